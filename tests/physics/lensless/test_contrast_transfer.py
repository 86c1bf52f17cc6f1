"""Weak objects: range of the linear theory, and its inverse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import (
    contrast_power,
    contrast_transfer,
    contrast_transfer_inverse,
    mirrored,
    shift_power,
)
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import transfer_function
from tests.kit.fields import smooth_noise

SHAPE, PIXEL_UM, WAVELENGTH_UM = (32, 36), 1.12, 0.532
SHIFTS_UM = [(0.0, 0.0), (0.8, -0.4), (-3.0, 1.7), (0.05, 0.02)]
GAINS = [1.0, 0.7, 1.3, 0.9]


def model(plain: bool = False) -> MultiHeight:
    return MultiHeight(
        SHAPE,
        Heights(
            Optics(PIXEL_UM, WAVELENGTH_UM),
            (80.0, 110.0, 150.0, 210.0),
            band_limit=False,
            shifts_um=None if plain else SHIFTS_UM,
            gains=None if plain else GAINS,
            intensity_scale=1.0 if plain else 2.0,
        ),
        dtype=torch.complex128,
    )


def smooth(seed: int) -> Tensor:
    """A smooth image without the frequencies near Nyquist's."""
    return smooth_noise(SHAPE, seed, 20)


def test_mirrored_is_the_spectrum_of_the_point_reflected_image() -> None:
    spectrum = torch.fft.fft2(smooth(0))
    assert torch.allclose(mirrored(spectrum), spectrum.conj())  # of a real image


def test_cosine_and_sine_of_the_paraxial_phase() -> None:
    transfer = transfer_function(
        SHAPE, Optics(PIXEL_UM, WAVELENGTH_UM, method="fresnel"), 100.0, band_limit=False, dtype=torch.complex128
    )
    C, S = contrast_transfer(transfer)
    fy, fx = (torch.fft.fftfreq(size, PIXEL_UM, dtype=torch.float64) for size in SHAPE)
    chi = math.pi * WAVELENGTH_UM * 100 * (fy[:, None] ** 2 + fx[None, :] ** 2)
    assert torch.allclose(C, torch.cos(chi).to(C.dtype), rtol=0, atol=1e-12)
    assert torch.allclose(S, torch.sin(chi).to(S.dtype), rtol=0, atol=1e-12)


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "shifts and gains"])
def test_the_linear_model_errs_quadratically(plain: bool) -> None:
    heights = model(plain)
    log_amplitude, phase = smooth(1), smooth(2)
    empty = heights.fields(torch.ones(SHAPE, dtype=torch.complex128)).abs()

    def error(strength: float) -> float:
        weak = heights.fields(torch.polar(torch.exp(strength * log_amplitude), strength * phase))
        worst = 0.0
        for frame in range(heights.frames):
            C, S = contrast_transfer(heights.transfers[frame])
            predicted = torch.fft.ifft2(C * torch.fft.fft2(log_amplitude) + S * torch.fft.fft2(phase)).real * strength
            found = weak[frame].abs() - empty[frame]
            worst = max(worst, float((found - predicted).abs().max()) / float(found.abs().max()))
        return worst * strength

    errors = [error(strength) for strength in (4e-3, 2e-3, 1e-3)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)
    assert errors[2] < 1e-5


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "shifts and gains"])
def test_the_inverse_recovers_a_weak_object(plain: bool) -> None:
    strength, background = 1e-3, 1.3
    log_amplitude, phase = strength * smooth(3), strength * smooth(4)
    heights = model(plain)
    amplitudes = heights.fields(background * torch.polar(torch.exp(log_amplitude), phase)).abs()
    found = contrast_transfer_inverse(heights, amplitudes, damping=1e-9)
    assert float((found.abs().log() - math.log(background) - log_amplitude).abs().max()) < 0.02 * strength
    assert float((found.angle() - phase).abs().max()) < 0.02 * strength


def test_damping_takes_slow_phase_first() -> None:
    heights = model()
    y = 2 * math.pi * torch.arange(SHAPE[0], dtype=torch.float64)[:, None].expand(SHAPE) / SHAPE[0]
    kept = []
    for waves in (1, 4):
        phase = 1e-3 * torch.cos(waves * y)
        amplitudes = heights.fields(torch.polar(torch.ones_like(phase), phase)).abs()
        found = contrast_transfer_inverse(heights, amplitudes, damping=1e-2).angle()
        kept.append(float((found * phase).sum() / (phase * phase).sum()))
    assert 0 < kept[0] < 0.95 * kept[1] <= 0.95 * 1.001


def test_a_strong_object_gives_finite_values() -> None:
    heights = model()
    amplitudes = heights.fields(torch.polar(torch.exp(3 * smooth(5)), 9 * smooth(6))).abs()
    found = contrast_transfer_inverse(heights, amplitudes)
    assert bool(torch.isfinite(found.real).all() and torch.isfinite(found.imag).all())


def test_no_height_sees_a_constant_phase_and_all_see_the_mean_brightness() -> None:
    power = contrast_power(model())
    assert float(power.phase[0, 0]) == pytest.approx(0, abs=1e-20)
    assert float(power.amplitude[0, 0]) == pytest.approx(sum(GAINS) / 2, rel=1e-12)
    # at every frequency the two share all that is transmitted
    assert torch.allclose(power.amplitude + power.phase, torch.full(SHAPE, sum(GAINS) / 2, dtype=torch.float64))


@pytest.mark.parametrize("plain", [True, False])
def test_slow_phase_is_seen_by_the_texture_that_it_shifts(plain: bool) -> None:
    exact = MultiHeight(
        (96, 96),
        Heights(
            Optics(PIXEL_UM, WAVELENGTH_UM, medium_index=1.33),
            (80.0, 110.0),
            gains=None if plain else (0.7, 1.3),
            intensity_scale=1.0 if plain else 2.0,
        ),
        dtype=torch.complex128,
    )
    noise = torch.randn(96, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    fy, fx = torch.fft.fftfreq(96)[:, None], torch.fft.fftfreq(96)[None, :]
    rough = torch.fft.ifft2(torch.fft.fft2(noise) * torch.exp(-60 * (fy**2 + fx**2))).real
    field = (2 + 0.5 * rough / rough.std()).to(torch.complex128)
    seen = shift_power(exact, field)
    weak = contrast_power(exact).phase
    small = 1e-5
    for axis, cycles in ((0, 1), (1, 2)):
        place = torch.arange(96, dtype=torch.float64) / 96
        wave = torch.cos(2 * math.pi * cycles * place).reshape((-1, 1) if axis == 0 else (1, -1))
        change = exact.fields(field * torch.exp(1j * small * wave)).abs() - exact.fields(field).abs()
        response = float((change / small).square().sum() / (field.abs().square().mean() * wave.square().mean() * 96**2))
        frequency = (cycles, 0) if axis == 0 else (0, cycles)
        assert float(seen[frequency] + weak[frequency]) == pytest.approx(response, rel=0.25)
        # the theory of weak objects alone does not know of it
        assert float(weak[frequency]) < 0.6 * response


def test_an_even_field_has_no_texture() -> None:
    even = torch.ones(SHAPE, dtype=torch.complex128)
    assert float(shift_power(model(), even).max()) < 1e-20
    # where the estimate would exceed what any phase can change, it is cut
    rough = 1 + 0.9 * smooth(2).clamp(-1, 1)
    power = shift_power(model(plain=True), rough.to(torch.complex128))
    assert float(power.max()) <= 2.0 + 1e-9
