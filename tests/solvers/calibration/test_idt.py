"""Wrong directions and gains are corrected by the mutual prediction of frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.simulate.idt.cells import cells
from napari_diner.solvers.calibration.idt import IlluminationRefinement
from napari_diner.solvers.calibration.spectral_circles import CircleSearch, fitted_pattern

Vector = npt.NDArray[np.float64]
SHAPE, PIXEL_UM, SPACING_UM, WAVELENGTH_UM, NA, MEDIUM = (8, 64, 64), 0.2, 1.0, 0.515, 0.6, 1.33
GEOMETRY = VolumeGeometry(SHAPE, SPACING_UM, WAVELENGTH_UM, MEDIUM, PIXEL_UM, NA)


def recorded(illumination: Illumination, noise: float = 0.003) -> torch.Tensor:
    """Frames of a weak cell under multiple scattering, as g, (N, Y, X)."""
    phantom = cells(GEOMETRY, peak_phase_rad=0.2, seed=1)
    contrast = permittivity_contrast(torch.from_numpy(phantom.n_re), torch.from_numpy(phantom.n_im), MEDIUM)
    model = SSNPModel(GEOMETRY, illumination)
    with torch.no_grad():
        frames = model.forward(contrast.float())
    return frames + noise * torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))


def off(apertures: Vector, by: float, seed: int = 0) -> Vector:
    """Directions that are wrong by a numerical aperture, each elsewhere, and not outside the objective's."""
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(apertures))
    moved = apertures + by * np.stack([np.sin(angle), np.cos(angle)], 1)
    radius = np.linalg.norm(moved, axis=1, keepdims=True)
    inside: Vector = moved * np.minimum(1, NA / radius)
    return inside


def rms(difference: Vector) -> float:
    return float(np.sqrt((difference**2).sum(1).mean()))


def refined(work: IlluminationRefinement) -> Vector:
    for _ in work.steps():
        pass
    return work.result().apertures


@pytest.fixture(scope="module")
def recording() -> tuple[Illumination, torch.Tensor]:
    illumination = ring(0.56, 16)
    return illumination, recorded(illumination)


def test_each_direction_is_found_among_wrong_ones(recording: tuple[Illumination, torch.Tensor]) -> None:
    illumination, data = recording
    true = illumination.apertures
    wrong = off(true, 0.017)
    found = refined(IlluminationRefinement(GEOMETRY, Illumination.of(wrong.tolist()), data, range_na=0.04))
    assert rms(found - true) < 0.2 * rms(wrong - true)


def test_a_turned_pattern_is_found_as_one(recording: tuple[Illumination, torch.Tensor]) -> None:
    illumination, data = recording
    true = illumination.apertures
    turn = np.deg2rad(2)
    wrong = true @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    found = refined(
        IlluminationRefinement(GEOMETRY, Illumination.of(wrong.tolist()), data, together=True, range_na=0.03)
    )
    assert rms(found - true) < 0.1 * rms(wrong - true)
    # nothing but shifted, turned and scaled
    assert rms(fitted_pattern(wrong, found) - found) < 1e-3


def test_right_directions_stay(recording: tuple[Illumination, torch.Tensor]) -> None:
    illumination, data = recording
    found = refined(IlluminationRefinement(GEOMETRY, illumination, data, range_na=0.04))
    assert rms(found - illumination.apertures) < 0.003


def test_gains_are_found(recording: tuple[Illumination, torch.Tensor]) -> None:
    illumination, data = recording
    gains = np.exp(np.random.default_rng(0).normal(0, 0.05, len(illumination)))
    gains /= np.exp(np.log(gains).mean())
    brighter = (1 + data) * torch.from_numpy(gains)[:, None, None].float() - 1
    work = IlluminationRefinement(GEOMETRY, illumination, brighter, directions=False, gain=True)
    np.testing.assert_array_equal(refined(work), illumination.apertures)
    np.testing.assert_allclose(work.result().gains, gains, rtol=0.005)


def test_circles_are_found_where_they_are() -> None:
    """Frames of noise that the objective's aperture has passed, on both sides of the direction."""
    random, size = np.random.default_rng(0), 96
    true = off(ring(0.35, 6).apertures, 0.03, seed=3)
    fy, fx = np.fft.fftfreq(size, PIXEL_UM)[:, None], np.fft.fftfreq(size, PIXEL_UM)[None, :]
    frames = []
    for y, x in true / WAVELENGTH_UM:
        light = np.fft.fft2(random.standard_normal((size, size)) + 1j * random.standard_normal((size, size)))
        passed = np.fft.ifft2(light * (np.hypot(fy + y, fx + x) <= NA / WAVELENGTH_UM))
        frames.append(passed.real + 0.1 * random.standard_normal((size, size)))
    wrong = off(true, 0.04, seed=4)
    search = CircleSearch(np.array(frames), wrong, replace(GEOMETRY, shape=(8, size, size)), range_na=0.06)
    for _ in search.steps():
        pass
    fit = search.result()
    # half a step of frequency is an aperture of 0.013
    assert np.linalg.norm(fit.apertures - true, axis=1).max() < 0.013
    assert fit.likelihood_gain is not None and fit.likelihood_gain > 10
