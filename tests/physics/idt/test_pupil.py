"""Aberrations of the objective, in both models."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.idt.preflight import low_frequencies
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.physics.zernike import zernike
from tests.kit.adjoint import assert_adjoint
from tests.kit.fields import noise, relative_error

WAVELENGTH_UM, NA, N0, PIXEL_UM = 0.515, 0.65, 1.33, 0.1625
ROWS, COLUMNS = 24, 30
STEP_NA = np.array([WAVELENGTH_UM / (size * PIXEL_UM) for size in (ROWS, COLUMNS)])
LIT = Illumination.of([[0.6, 0.1], [[0.2, 0.3, 3.0], [-0.1, 0.5, 1.0]], [0.0, 0.0]])
# on the grid of frequencies, so that fields can be multiplied by the pupil as it stands
ON_GRID = Illumination.of((np.array([[3, 1], [-2, 4], [0, -5]]) * STEP_NA).tolist())
ABERRATED = (0.3, -0.2, 0.4, 0.25, -0.35, 0.1, 0.2, 0.3)


def geometry(shape: tuple[int, int, int] = (6, ROWS, COLUMNS), **changes: Any) -> VolumeGeometry:
    plain = VolumeGeometry(shape, 0.5, WAVELENGTH_UM, N0, PIXEL_UM, NA, 0.4, ABERRATED)
    return replace(plain, **changes)


def contrast(shape: tuple[int, int, int] = (6, ROWS, COLUMNS), dn: float = 0.02) -> Tensor:
    return 2 * N0 * dn * noise((2, *shape), 1)


def written_out(y: Tensor, x: Tensor) -> Tensor:
    """Noll's modes 4 to 11 with the coefficients of `ABERRATED`."""
    r2, a = x**2 + y**2, ABERRATED
    third = (a[3] * (3 * r2 - 2) * y + a[4] * (3 * r2 - 2) * x) + (
        a[5] * (3 * x**2 * y - y**3) + a[6] * (x**3 - 3 * x * y**2)
    )
    return (
        a[0] * math.sqrt(3) * (2 * r2 - 1)
        + math.sqrt(6) * (a[1] * 2 * x * y + a[2] * (x**2 - y**2))
        + math.sqrt(8) * third
        + a[7] * math.sqrt(5) * (6 * r2**2 - 6 * r2 + 1)
    )


def test_the_pupil_multiplies_the_spectrum_of_the_whole_field() -> None:
    """An independent simulation: light of the ideal objective, refocused with the pupil's phase."""
    ideal = SSNPModel(geometry(zernike_rad=()), ON_GRID, dtype=torch.complex128)
    y, x = (torch.arange(size, dtype=torch.float64) for size in (ROWS, COLUMNS))
    fy, fx = (torch.fft.fftfreq(size, PIXEL_UM, dtype=torch.float64) * WAVELENGTH_UM / NA for size in (ROWS, COLUMNS))
    phase = written_out(fy[:, None], fx[None, :])
    expected = []
    for (down, right), field in zip(ON_GRID.apertures / STEP_NA, ideal.fields(contrast()), strict=True):
        turns = 2 * math.pi * (down * y[:, None] / ROWS + right * x[None, :] / COLUMNS)
        spectrum = torch.fft.fft2(field * torch.polar(torch.ones_like(turns), turns))
        expected.append(torch.fft.ifft2(spectrum * torch.polar(torch.ones_like(phase), phase)).abs().square())
    aberrated = SSNPModel(geometry(), ON_GRID, dtype=torch.complex128).intensities(contrast())
    torch.testing.assert_close(aberrated, torch.stack(expected), rtol=1e-9, atol=1e-9)
    assert relative_error(aberrated - 1, ideal.forward(contrast())) > 0.3


def test_weak_objects_are_those_of_the_linear_model() -> None:
    born = BornModel(geometry(), LIT, dtype=torch.complex128)
    weak = contrast(dn=1e-5)
    assert relative_error(born.forward(weak), SSNPModel(geometry(), LIT, dtype=torch.complex128).forward(weak)) < 5e-3


def test_a_turn_of_the_pupil_along_the_axis_moves_the_volume() -> None:
    """W = −2π d η moves the volume by d: mostly defocus, and a little of the spherical aberrations."""
    moved_um, modes = 0.8, range(4, 38)
    y, x = torch.meshgrid(*2 * [torch.linspace(-1, 1, 101, dtype=torch.float64)], indexing="ij")
    inside = x**2 + y**2 <= 1
    basis = torch.stack([zernike(mode, y, x)[inside] for mode in (1, *modes)], -1)
    eta = (N0**2 - NA**2 * (x**2 + y**2)[inside]).sqrt() / WAVELENGTH_UM
    fitted = torch.linalg.lstsq(basis, -2 * math.pi * moved_um * eta[:, None]).solution[1:, 0]
    through = BornModel(geometry(zernike_rad=tuple(fitted.tolist())), LIT, dtype=torch.complex128)
    moved = BornModel(geometry(zernike_rad=(), first_slice_um=0.4 + moved_um), LIT, dtype=torch.complex128)
    assert relative_error(through.forward(contrast()), moved.forward(contrast())) < 1e-4
    assert float(fitted[0]) > 20 * float(fitted[1:].abs().max())


@pytest.mark.parametrize("frames", [None, [2, 0]])
def test_adjoint_and_derivative(frames: list[int] | None) -> None:
    shape = (3, 6, 8)
    small = geometry(shape)
    born = BornModel(small, LIT, dtype=torch.complex128)
    data = noise((len(frames or LIT.frames), *shape[1:]), 3)
    assert_adjoint(lambda v: born.forward(v, frames), lambda d: born.adjoint(d, frames), noise((2, *shape), 2), data)
    multislice = SSNPModel(small, LIT, dtype=torch.complex128)
    at, change = contrast(shape, 0.02), noise((2, *shape), 4)
    linear = multislice.linearised(at, frames)
    ahead, behind = (multislice.forward(at + sign * 1e-6 * change, frames) for sign in (1, -1))
    assert relative_error(linear.apply(change), (ahead - behind) / 2e-6) < 1e-8
    assert_adjoint(linear.apply, linear.adjoint, change, data)


@pytest.mark.parametrize("model", [BornModel, SSNPModel])
def test_coefficients_of_zero_change_nothing(model: type[BornModel] | type[SSNPModel]) -> None:
    plain, zero = (model(geometry(zernike_rad=numbers), LIT) for numbers in ((), (0.0, 0.0)))
    assert torch.equal(plain.forward(contrast().float()), zero.forward(contrast().float()))


def test_aberrations_show_slow_changes_of_phase() -> None:
    """Both sidebands cancel in a focused image, and no longer where the pupil delays them."""
    central = Illumination.of([[0.0, 0.0]])
    ideal, defocused = (
        low_frequencies(geometry((1, 64, 64), first_slice_um=0.0, zernike_rad=numbers), central)
        for numbers in ((), (3.0,))
    )
    assert defocused.rms > 2 * ideal.rms
