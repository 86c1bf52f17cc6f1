"""Estimated noise, and standard errors compared with actual errors."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.noise import NoiseModel, fine_noise, fit_noise
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.lensless.uncertainty import Uncertainty, UncertaintyEstimate
from napari_diner.solvers.lensless.uncertainty_settings import UncertaintySettings
from napari_diner.solvers.settings import GaussNewtonSettings

SHAPE, PIXEL_UM, WAVELENGTH_UM = (48, 60), 1.12, 0.532
HEIGHTS_UM = (60.0, 85.0, 120.0, 170.0)
QUICK = UncertaintySettings(samples=6, cg_steps=150)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def specimen() -> Tensor:
    y, x = (torch.arange(size, dtype=torch.float64) * 2 * math.pi / size for size in SHAPE)
    wave = torch.sin(3 * y)[:, None] * torch.cos(2 * x)[None, :] + torch.cos(6 * y)[:, None]
    return torch.polar(0.7 + 0.15 * wave, 0.5 * torch.sin(2 * x)[None, :] - 0.3 * wave)


def solved(truth: Tensor, sigma: Tensor | float, seed: int, heights: tuple[float, ...] = HEIGHTS_UM) -> PhaseProblem:
    model = MultiHeight(SHAPE, Heights(Optics(PIXEL_UM, WAVELENGTH_UM), heights), dtype=torch.complex128)
    noisy = model.intensities(truth) + sigma * normal(seed, len(heights), *SHAPE)
    return PhaseProblem(model, noisy.clamp_min(0).sqrt())


def estimated(
    problem: PhaseProblem, truth: Tensor, settings: UncertaintySettings = QUICK
) -> tuple[Tensor, Uncertainty]:
    """Return the field found and its uncertainty."""
    solver = GaussNewton(problem, truth, GaussNewtonSettings(warm_up=0, iterations=6, cg_steps=60))
    for _ in solver.steps():
        pass
    estimate = UncertaintyEstimate(problem, solver.result(), settings, PIXEL_UM)
    assert estimate.result() is None
    done = [step.done for step in estimate.steps()]
    # it can be ended between any two steps of conjugate gradients
    assert len(done) > 2 * settings.samples and done == sorted(done)
    uncertainty = estimate.result()
    assert uncertainty is not None
    return solver.result(), uncertainty


def test_shot_and_read_noise_are_told_apart() -> None:
    modulus = (0.2 + 0.8 * torch.rand(3, 100, 100, generator=torch.Generator().manual_seed(0))).double()
    noise = NoiseModel(shot=2e-4, read=1e-5)
    found = fit_noise(modulus, noise.variance(modulus).sqrt() * normal(1, 3, 100, 100))
    assert found.shot == pytest.approx(noise.shot, rel=0.15)
    assert found.read == pytest.approx(noise.read, rel=0.15)


def test_pixels_outside_the_mask_do_not_count_as_noise() -> None:
    modulus, residual = torch.ones(2, 40, 40, dtype=torch.float64), 0.01 * normal(1, 2, 40, 40)
    mask = torch.ones(2, 40, 40, dtype=torch.bool)
    mask[:, :5] = False
    residual[:, :5] = 9
    assert float(fit_noise(modulus, residual, mask).variance(modulus).mean()) == pytest.approx(1e-4, rel=0.1)


def test_fine_structure_tells_the_noise_of_smooth_frames() -> None:
    y = torch.linspace(0, 3, 200, dtype=torch.float64)
    frames = torch.sin(y)[:, None] + 0.02 * normal(2, 4, 200, 200)
    assert fine_noise(frames).shot == pytest.approx(4e-4, rel=0.05)


def test_errors_are_as_large_as_they_are_said_to_be() -> None:
    """Over noisy recordings of one object, the error in units of the standard deviation stated has one of one."""
    truth, phases, amplitudes = specimen(), [], []
    bands: list[Tensor] = []
    for seed in range(6):
        field, found = estimated(solved(truth, 0.01, seed), truth)
        error = (field * truth.conj()).angle()
        phases.append((error - error.mean()) / found.phase)
        amplitudes.append((field.abs() - truth.abs()) / found.amplitude)
        bands.append(torch.tensor([entry.phase_sigma_rad for entry in found.bands]))
        assert found.noise_is_known
        assert float(found.phase.min()) > 0
    assert 0.8 < float(torch.stack(phases).std()) < 1.25
    assert 0.9 < float(torch.stack(amplitudes).std()) < 1.1
    # octaves add up to the whole
    torch.testing.assert_close(found.phase_bands.square().sum(0).sqrt(), found.phase)
    assert float(bands[0].square().sum().sqrt()) == pytest.approx(0.02, rel=0.5)


def test_where_the_light_is_weak_the_phase_is_less_certain() -> None:
    """A dark half next to a bright one, under even read noise."""
    x = torch.linspace(-1, 1, SHAPE[1], dtype=torch.float64)
    amplitude = (0.65 - 0.35 * torch.tanh(8 * x)).expand(SHAPE)
    truth = torch.polar(amplitude, torch.zeros_like(amplitude))
    _, found = estimated(solved(truth, 0.004, 0), truth)
    assert float(found.phase[:, 35:55].mean()) > 1.5 * float(found.phase[:, 5:25].mean())


def test_noise_that_is_known_is_taken_as_it_is() -> None:
    truth = specimen()
    problem = solved(truth, 0.01, 0)
    _, measured = estimated(problem, truth)
    _, doubled = estimated(problem, truth, QUICK.model_copy(update={"noise": 0.02}))
    modulus = problem.model.fields(truth).abs()
    expected = NoiseModel(0.0, 0.01**2 / 4).variance(modulus).mean()
    assert float(measured.noise.variance(modulus).mean()) == pytest.approx(float(expected), rel=0.1)
    assert float(doubled.phase.mean()) == pytest.approx(2 * float(measured.phase.mean()), rel=0.2)


def test_two_heights_leave_nothing_to_measure_the_noise_by() -> None:
    truth = specimen()
    _, found = estimated(solved(truth, 0.01, 0, HEIGHTS_UM[::2]), truth)
    assert not found.noise_is_known
    assert float(found.phase.mean()) > 0.01
