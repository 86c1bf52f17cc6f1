"""The multi-height model: linearity, adjoint, gradient, and options."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.physics.padding import Padding
from napari_diner.physics.propagation import propagate, transfer_function
from tests.kit.adjoint import AdjointMixin, Operator
from tests.kit.fields import complex_noise

WAVELENGTH_UM, PIXEL_UM, DISTANCES_UM = 0.532, 1.12, (80.0, 130.0, 210.0)


OPTICS = Optics(PIXEL_UM, WAVELENGTH_UM)


def build(
    shape: tuple[int, int] = (18, 22),
    illumination: Tensor | None = None,
    padding: Padding | None = None,
    optics: Optics = OPTICS,
    **chosen: Any,
) -> MultiHeight:
    heights = Heights(optics, DISTANCES_UM, **chosen)
    return MultiHeight(shape, heights, illumination=illumination, padding=padding, dtype=torch.complex128)


def everything(shape: tuple[int, int], padding: Padding) -> MultiHeight:
    return build(
        shape,
        optics=replace(OPTICS, medium_index=1.1),
        shifts_um=[(0.0, 0.0), (0.4, -0.3), (-2.0, 5.0)],
        gains=[1.0, 0.6, 1.5],
        intensity_scale=2.5,
        illumination=complex_noise(shape, 7),
        padding=padding,
    )


@pytest.mark.parametrize("method", ["angular_spectrum", "fresnel"])
@pytest.mark.parametrize("band_limit", [True, False])
@pytest.mark.parametrize("padding", ["none", "reflect", "replicate", "unknown"])
@pytest.mark.parametrize("options", ["plain", "shifts", "gains", "illumination", "all"])
class TestFields(AdjointMixin):
    @pytest.fixture
    def operator(self, method: Any, band_limit: bool, padding: Any, options: str) -> Operator:
        shape = (18, 22)
        chosen: dict[str, Any] = {}
        if options in ("shifts", "all"):
            chosen["shifts_um"] = [(0.0, 0.0), (0.4, -0.3), (-2.0, 5.0)]
        if options in ("gains", "all"):
            chosen |= {"gains": [1.0, 0.6, 1.5], "intensity_scale": 2.5}
        if options in ("illumination", "all"):
            chosen["illumination"] = complex_noise(Padding(shape, padding, 6).object_shape, 7)
        optics = replace(OPTICS, method=method)
        model = build(shape, optics=optics, band_limit=band_limit, padding=Padding(shape, padding, 6), **chosen)
        return Operator(model.fields, model.adjoint, model.shape, (3, *shape))


@pytest.mark.parametrize("mode", ["none", "reflect", "replicate"])
def test_gradient_of_the_intensities(mode: Any) -> None:
    shape = (5, 6)
    model = everything(shape, Padding(shape, mode, 2))
    field = complex_noise(shape, 3).requires_grad_()
    assert torch.autograd.gradcheck(model.intensities, (field,), rtol=1e-6, atol=1e-8)


def test_one_frame_is_one_propagation() -> None:
    field = complex_noise((18, 22), 1)
    fields = build().fields(field)
    for frame, distance in enumerate(DISTANCES_UM):
        transfer = transfer_function((18, 22), OPTICS, distance, dtype=torch.complex128)
        assert torch.allclose(fields[frame], propagate(field, transfer), rtol=0, atol=1e-13)


def test_intensities_are_squared_moduli() -> None:
    field = complex_noise((18, 22), 1)
    assert torch.allclose(build().intensities(field), build().fields(field).abs() ** 2, rtol=1e-13, atol=0)


def test_shifts_move_the_pattern_down_and_to_the_right() -> None:
    field = complex_noise((18, 22), 1)
    plain = build().intensities(field)
    moved = build(shifts_um=[(0, 0), (2 * PIXEL_UM, 0), (0, -5 * PIXEL_UM)]).intensities(field)
    assert torch.allclose(moved[0], plain[0])
    assert torch.allclose(moved[1], torch.roll(plain[1], 2, 0))
    assert torch.allclose(moved[2], torch.roll(plain[2], -5, 1))
    assert not torch.allclose(moved[1], plain[1])


def test_shifts_of_fractions_of_a_pixel_move_the_field_along_its_waves() -> None:
    y = torch.arange(24, dtype=torch.float64)
    shape, dy = (24, 8), 0.37 * PIXEL_UM

    def wave(moved_px: float) -> Tensor:
        return (1 + 0.2 * torch.cos(2 * math.pi * 3 * (y - moved_px) / 24))[:, None].expand(shape).to(torch.complex128)

    shifted = build(shape, shifts_um=[(dy, 0.0)] * 3).fields(wave(0))
    assert torch.allclose(shifted, build(shape).fields(wave(0.37)), rtol=0, atol=1e-13)


def test_gains_and_scale_multiply_the_intensity() -> None:
    field, gains = complex_noise((18, 22), 1), [0.5, 1.0, 3.0]
    plain = build().intensities(field)
    scaled = build(gains=gains, intensity_scale=4.0).intensities(field)
    for frame, gain in enumerate(gains):
        assert torch.allclose(scaled[frame], plain[frame] * gain / 4, rtol=1e-12, atol=0)


def test_illumination_multiplies_the_object() -> None:
    field, illumination = complex_noise((18, 22), 1), complex_noise((18, 22), 2)
    lit = build(illumination=illumination).fields(field)
    assert torch.allclose(lit, build().fields(illumination * field), rtol=0, atol=1e-13)


def test_padding_keeps_light_from_wrapping_around() -> None:
    shape = (40, 40)
    field = torch.ones(shape, dtype=torch.complex128)
    field[1:4, 18:22] = 0.2

    def far_side(padding: Padding) -> float:
        # rings of an object at the top that are seen at the bottom
        return float((build(shape, padding=padding).intensities(field)[0, -6:] - 1).abs().max())

    assert far_side(Padding(shape, "replicate", 40, apodise=False)) < 0.5 * far_side(Padding(shape))


def test_shift_and_distance_explain_a_frequency_grid_with_both_ends() -> None:
    # The published synthetic data take linspace(−1/2dx, 1/2dx, N) for the frequencies, N/(N−1) · (f + 1/(2 N dx)).
    # Completing the square of the paraxial phase, that is a longer way and a shift.
    size, pixel, wavelength = 40, 1.67, 0.6328
    distances = (100.0, 130.0, 170.0)
    field = complex_noise((size, size), 4)
    both_ends = np.linspace(-0.5 / pixel, 0.5 / pixel, size)
    f2 = both_ends[:, None] ** 2 + both_ends[None, :] ** 2
    expected = []
    for z in distances:
        spectrum = np.fft.fftshift(np.fft.fft2(field.numpy())) * np.exp(-1j * np.pi * wavelength * z * f2)
        expected.append(np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum))) ** 2)

    stretch = (size / (size - 1)) ** 2
    shifts = [(wavelength * z * stretch / (2 * size * pixel),) * 2 for z in distances]
    optics = Optics(pixel, wavelength, method="fresnel")
    longer = [stretch * z for z in distances]
    model = MultiHeight((size, size), Heights(optics, longer, False, shifts), dtype=torch.complex128)
    found = model.intensities(field).numpy()
    assert np.abs(found - np.array(expected)).max() < 1e-11
    # at the size of those data the shift is a few hundredths of a pixel, and without it nothing fits
    assert 0.02 < wavelength * 100 * (400 / 399) ** 2 / (2 * 400 * pixel) / pixel < 0.03
    plain = MultiHeight((size, size), Heights(optics, longer, False), dtype=torch.complex128)
    assert np.abs(plain.intensities(field).numpy() - found).max() > 0.1
