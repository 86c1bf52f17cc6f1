"""Dark field in the multi-slice model: amplitudes, gradients, and the curvature for preconditioning."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.dark_field import DarkField, Recorded
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from tests.kit.adjoint import assert_adjoint
from tests.kit.fields import noise, relative_error

NA, N0, WAVELENGTH_UM, PIXEL_UM = 0.65, 1.33, 0.515, 0.1625
# the second frame has two sources; the first and the last are bright field
LIT = Illumination.of([[0.6, 0.1], [[0.7, 0.3, 3.0], [-0.1, 0.8, 1.0]], [0.0, 0.9], [0.0, 0.0]])


def geometry(shape: tuple[int, int, int]) -> VolumeGeometry:
    return VolumeGeometry(shape, 0.5, WAVELENGTH_UM, N0, PIXEL_UM, NA)


def model(shape: tuple[int, int, int], lit: Illumination = LIT, floor: float = 1e-4) -> SSNPModel:
    units = DarkField.of(lit.dark_field(NA), len(lit))
    units.floor.fill_(floor)
    units.weight[1:] = 0.7
    return SSNPModel(geometry(shape), lit, dark_field=units, dtype=torch.complex128)


def grains(shape: tuple[int, int, int], dn: float) -> torch.Tensor:
    return 2 * N0 * dn * noise((2, *shape), seed=3) * torch.tensor([1.0, 0.1])[:, None, None, None]


def test_frames_lit_from_outside_alone_are_dark_field() -> None:
    assert LIT.dark_field(NA) == (1, 2)
    assert LIT.dark_field(1.0) == ()


def test_an_empty_medium_is_dark() -> None:
    empty = torch.zeros(2, 3, 8, 9, dtype=torch.float64)
    assert float(model((3, 8, 9)).forward(empty).abs().max()) < 1e-12
    light = model((3, 8, 9)).intensities(empty).mean((1, 2))
    torch.testing.assert_close(light, torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64))


@pytest.mark.parametrize("na_x", [0.7, 0.9, -1.1])
def test_weak_objects_scatter_the_amplitude_of_born(na_x: float) -> None:
    """Against the first Born approximation, written down once more with NumPy."""
    shape, direction = (2, 36, 40), np.array([0.1, na_x])
    contrast = grains(shape, 1e-5).numpy()
    k, k0 = N0 / WAVELENGTH_UM, 2 * np.pi / WAVELENGTH_UM
    fy, fx = np.meshgrid(np.fft.fftfreq(shape[1], PIXEL_UM), np.fft.fftfreq(shape[2], PIXEL_UM), indexing="ij")
    squared = (fy + direction[0] / WAVELENGTH_UM) ** 2 + (fx + direction[1] / WAVELENGTH_UM) ** 2
    eta, eta_in = np.sqrt(np.maximum(k**2 - squared, 1e-9)), np.sqrt(k**2 - (direction**2).sum() / WAVELENGTH_UM**2)
    scattered = np.zeros(shape[1:], complex)
    for z, plane in zip((-0.25, 0.25), contrast[0] + 1j * contrast[1], strict=True):
        spectrum = np.fft.fft2(plane)
        spectrum[shape[1] // 2] = spectrum[:, shape[2] // 2] = 0
        slab = np.sinc(0.5 * (eta - eta_in)) * np.exp(-2j * np.pi * z * (eta - eta_in))
        scattered += 1j * k0**2 * 0.5 / (4 * np.pi * eta) * slab * spectrum
    field = np.fft.ifft2(np.where(squared <= (NA / WAVELENGTH_UM) ** 2, scattered, 0))

    lit = Illumination.of([[0.0, 0.0], direction.tolist()])
    units = DarkField.of([1], 2)
    fine = SSNPModel(geometry(shape), lit, steps_per_slice=40, dark_field=units, dtype=torch.complex128)
    light = fine.intensities(torch.from_numpy(contrast))[1]
    assert relative_error(light, torch.from_numpy(abs(field) ** 2)) < 2e-3
    # no term is linear in the contrast
    twice = fine.intensities(2 * torch.from_numpy(contrast))[1]
    assert relative_error(twice, 4 * light) < 1e-3


TINY = (3, 5, 6)


def of_unknown_brightness() -> SSNPModel:
    recorded = Recorded(0.01 * noise((2, *TINY[1:]), seed=11).square(), noise((2, *TINY[1:]), seed=12).square())
    known = model(TINY)
    known.dark_field = replace(known.dark_field, recorded=recorded)
    return known


@pytest.mark.parametrize("frames", [None, [2, 0, 1]])
@pytest.mark.parametrize("build", [functools.partial(model, TINY), of_unknown_brightness])
def test_gradient(build: Callable[[], SSNPModel], frames: list[int] | None) -> None:
    contrast = grains(TINY, 0.02).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: build().forward(x, frames), contrast, fast_mode=True)


@pytest.mark.parametrize("frames", [None, [2, 0, 1]])
@pytest.mark.parametrize("build", [functools.partial(model, TINY), of_unknown_brightness])
def test_derivative_and_adjoint(build: Callable[[], SSNPModel], frames: list[int] | None) -> None:
    contrast, change = grains(TINY, 0.02), noise((2, *TINY), seed=5)
    linearised = build().linearised(contrast, frames)
    torch.testing.assert_close(linearised.data, build().forward(contrast, frames))
    step = 1e-6
    ahead, behind = (build().forward(contrast + sign * step * change, frames) for sign in (1, -1))
    assert relative_error(linearised.apply(change), (ahead - behind) / (2 * step)) < 1e-6
    assert_adjoint(linearised.apply, linearised.adjoint, change, noise(tuple(linearised.data.shape), seed=6))


def test_unknown_brightness_does_not_change_the_data() -> None:
    contrast = grains(TINY, 0.02)
    dark = model(TINY).intensities(contrast)[1:3]
    brightness = torch.tensor([3.0, 0.2], dtype=torch.float64)
    scaled = model(TINY)
    weight = torch.ones_like(dark)
    scaled.dark_field = replace(scaled.dark_field, recorded=Recorded(brightness[:, None, None] * dark, weight))
    assert scaled.brightness(contrast) == pytest.approx(brightness.tolist())
    recorded = scaled.dark_field.chosen([1, 2]).data(brightness[:, None, None] * dark)
    torch.testing.assert_close(scaled.forward(contrast)[1:3], recorded)


def test_the_slope_of_single_scattering_has_the_mean_curvature_of_the_amplitudes() -> None:
    shape, lit = (1, 48, 48), Illumination.of([[0.0, 0.9], [0.8, 0.2], [-0.7, 0.5], [0.0, 0.0]])
    units = DarkField.of(lit.dark_field(NA), len(lit))
    units.weight[:3] = torch.tensor([0.5, 1.0, 2.0])
    slope = BornModel(geometry(shape), lit, dark_field=units, dtype=torch.complex128)
    exact = SSNPModel(geometry(shape), lit, dark_field=units, dtype=torch.complex128).linearised(grains(shape, 0.01))
    change = noise((2, *shape), seed=8)
    ours, theirs = (each.square().sum((1, 2))[:3] for each in (slope.forward(change), exact.apply(change)))
    torch.testing.assert_close(ours, theirs, rtol=0.1, atol=0.0)


def test_dark_field_is_refused_unless_it_is_wanted() -> None:
    lit = Illumination.of([[0.0, 0.0], [0.0, 0.9]])
    for kind in (SSNPModel, BornModel):
        with pytest.raises(RecipeError, match=r"outside the objective's NA of 0.65; for dark field, set"):
            kind(geometry((1, 8, 8)), lit)
    mixed = Illumination.of([[0.0, 0.0], [[0.0, 0.9], [0.0, 0.1]]])
    with pytest.raises(RecipeError, match="frame 2 comes from inside and from outside"):
        model((1, 8, 8), mixed)
    with pytest.raises(RecipeError, match="impossible in a medium"):
        model((1, 8, 8), Illumination.of([[0.0, 0.0], [0.0, 1.4]]))
