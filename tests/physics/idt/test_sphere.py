"""Both models against the exact solution for a sphere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from tests.physics.idt.sphere import born_amplitude, image, scattering_amplitude, volume

WAVELENGTH_UM, NA, N0, RADIUS_UM = 0.515, 0.65, 1.33, 1.5
SIZE, PIXEL_UM, SPACING_UM, SLICES = 64, 0.1625, 0.25, 18
DIRECTIONS = [(0.0, 0.0), (0.3, 0.1), (0.45, -0.45), (0.0, 0.637)]
CENTRE_UM = (0.6, SIZE / 2 * PIXEL_UM + 0.03, SIZE / 2 * PIXEL_UM)
"""Off the plane in focus and off the grid."""


@pytest.fixture(scope="module")
def filled() -> torch.Tensor:
    spacing = (SPACING_UM, PIXEL_UM, PIXEL_UM)
    first_um = -SPACING_UM * (SLICES - 1) / 2
    return torch.from_numpy(volume((SLICES, SIZE, SIZE), spacing, first_um, CENTRE_UM, RADIUS_UM))


def error(model: type[BornModel] | type[SSNPModel], filled: torch.Tensor, index: complex) -> float:
    """Relative error of the data of a model."""
    exact = np.stack(
        [
            image(SIZE, PIXEL_UM, na, CENTRE_UM, RADIUS_UM, index, na=NA, n0=N0, wavelength_um=WAVELENGTH_UM)
            for na in DIRECTIONS
        ]
    )
    lit = Illumination.of(DIRECTIONS)
    geometry = VolumeGeometry((SLICES, SIZE, SIZE), SPACING_UM, WAVELENGTH_UM, N0, PIXEL_UM, NA)
    built = model(geometry, lit, dtype=torch.complex128)
    n = torch.tensor([index.real, index.imag], dtype=torch.float64)
    contrast = permittivity_contrast(n[0], n[1], N0)[:, None, None, None] * filled
    found = built.forward(contrast).numpy()
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def test_partial_waves_of_a_weak_sphere_are_those_of_born() -> None:
    cosine = np.linspace(-1, 1, 41)
    born = born_amplitude(cosine, RADIUS_UM, N0 + 1e-6, N0, WAVELENGTH_UM)
    exact = scattering_amplitude(cosine, RADIUS_UM, N0 + 1e-6, N0, WAVELENGTH_UM)
    assert np.abs(exact - born).max() < 5e-5 * np.abs(born).max()


def test_partial_waves_obey_the_optical_theorem() -> None:
    # what a sphere without absorption takes out of the wave it scatters: 4π/k Im f(0) = ∫ |f|² dΩ
    cosine, weights = np.polynomial.legendre.leggauss(120)
    f = scattering_amplitude(cosine, RADIUS_UM, 1.45, N0, WAVELENGTH_UM)
    forward = scattering_amplitude(np.array([1.0]), RADIUS_UM, 1.45, N0, WAVELENGTH_UM)[0]
    k = 2 * np.pi * N0 / WAVELENGTH_UM
    assert 2 * np.pi * (weights * np.abs(f) ** 2).sum() == pytest.approx(4 * np.pi / k * forward.imag, rel=1e-10)


@pytest.mark.parametrize("change", [1e-4, -1e-4, 1e-4j, (1 + 1j) * 1e-4])
def test_weak_sphere_by_the_linear_model(change: complex, filled: torch.Tensor) -> None:
    assert error(BornModel, filled, N0 + change) < 0.01


@pytest.mark.parametrize(("change", "expected"), [(3e-3, 0.03), (1e-2, 0.10), (4e-2, 0.44)])
def test_linear_model_fails_as_the_phase_grows(change: float, expected: float, filled: torch.Tensor) -> None:
    assert error(BornModel, filled, N0 + change) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("change", [1e-4, 1e-2, 4e-2, -4e-2, 0.03 + 0.01j])
def test_sphere_by_the_multi_slice_model(change: complex, filled: torch.Tensor) -> None:
    assert error(SSNPModel, filled, N0 + change) < 0.01


def test_strong_sphere_by_the_multi_slice_model(filled: torch.Tensor) -> None:
    assert error(SSNPModel, filled, N0 + 0.08) < 0.02


@pytest.mark.parametrize(("change", "expected"), [(-0.07, 0.02), (-0.1, 0.04)])
def test_waves_that_a_bubble_reflects_do_not_grow(change: float, expected: float, filled: torch.Tensor) -> None:
    assert error(SSNPModel, filled, N0 + change) < expected
