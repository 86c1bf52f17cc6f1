"""Weights of amplitudes by the estimated noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.lensless.weighting import weigh
from napari_diner.solvers.settings import GaussNewtonSettings

SHAPE = (64, 64)


def textured(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(*(torch.arange(size) / size for size in SHAPE), indexing="ij")
    amplitude = 0.65 + 0.3 * torch.cos(6.28 * 3 * x) * torch.cos(6.28 * 2 * y)
    return torch.polar(amplitude, 0.3 * torch.sin(6.28 * 4 * y) + 0.05 * torch.randn(SHAPE, generator=generator))


def recording(read: float = 0.0, photons: float | None = None, dust: int = 0) -> PhaseProblem:
    model = MultiHeight(SHAPE, Heights(Optics(1.5, 0.5), (150.0, 220.0, 300.0, 390.0, 500.0)))
    intensities = model.intensities(textured()).numpy()
    rng = np.random.default_rng(0)
    if photons is not None:
        intensities = rng.poisson(intensities * photons) / photons
    noisy = intensities + read * rng.standard_normal(intensities.shape)
    for frame in range(len(noisy)):
        rows, columns = rng.integers(0, SHAPE[0], (2, dust))
        noisy[frame, rows, columns] = 0.05
    return PhaseProblem(model, torch.from_numpy(np.sqrt(np.clip(noisy, 0, None)).astype(np.float32)))


def solved(problem: PhaseProblem, start: Tensor | None = None) -> Tensor:
    field = problem.flat_field() if start is None else start
    # to the end, as the first steps leave a part of the noise out
    settings = GaussNewtonSettings(warm_up=20 if start is None else 0, iterations=12, tolerance=0)
    solver = GaussNewton(problem, field, settings)
    for _ in solver.steps():
        pass
    return solver.result()


def error(field: Tensor) -> float:
    """The error of the field where it counts alike everywhere, less the phase that is free."""
    turned = field * torch.exp(1j * torch.sum(textured() * field.conj()).angle())
    return float((turned - textured()).abs().square().mean().sqrt())


def test_shot_noise_weighs_all_alike() -> None:
    problem = recording(photons=2000)
    problem, noise = weigh(problem, textured(), robust=False)
    assert noise.shot == pytest.approx(1 / (4 * 2000), rel=0.1)
    assert problem.weights is not None
    assert float(problem.weights.std()) < 0.05


def test_read_noise_makes_dark_pixels_count_less() -> None:
    problem = recording(read=0.02)
    problem, noise = weigh(problem, textured(), robust=False)
    assert noise.read_sigma == pytest.approx(0.02, rel=0.1)
    assert problem.weights is not None
    assert float(problem.weights.mean()) == pytest.approx(1, rel=1e-5)
    # the variance of the amplitude goes with the inverse of the intensity
    bright, dark = (problem.model.intensities(textured()) / 1).quantile(torch.tensor([0.9, 0.1])).tolist()
    seen = problem.model.intensities(textured())
    means = [float(problem.weights[(seen - level).abs() < 0.02].mean()) for level in (bright, dark)]
    assert means[0] / means[1] == pytest.approx(bright / dark, rel=0.1)


def test_weights_help_in_read_noise() -> None:
    problem = recording(read=0.04)
    even = solved(problem)
    weighted, _ = weigh(problem, even, robust=False)
    assert error(solved(weighted, even)) < 0.97 * error(even)


def test_dust_does_harm_unless_outliers_count_less() -> None:
    clean, dusty = recording(read=0.01), recording(read=0.01, dust=60)
    least, even = solved(clean), solved(dusty)
    field = even
    for _ in range(2):
        dusty, _ = weigh(dusty, field, robust=True)
        field = solved(dusty, field)
    assert error(even) > 2 * error(least)
    assert error(field) < 1.3 * error(least)


def test_masked_amplitudes_have_no_part_in_it() -> None:
    problem = recording(read=0.02)
    mask = torch.ones(problem.amplitudes.shape, dtype=torch.bool)
    mask[:, :20] = False
    masked = PhaseProblem(problem.model, torch.where(mask, problem.amplitudes, 9.0), mask)
    masked, noise = weigh(masked, textured(), robust=False)
    assert noise.read_sigma == pytest.approx(0.02, rel=0.1)
    assert masked.weights is not None
    assert float(masked.weights[mask].mean()) == pytest.approx(1, rel=1e-5)


def test_frames_without_noise_are_not_weighed() -> None:
    model = recording().model
    # the amplitudes that the model itself expects, to the last bit
    expected = PhaseProblem(model, model.fields(textured()).abs()).modulus(textured())
    exact, noise = weigh(PhaseProblem(model, expected), textured(), robust=False)
    assert (noise.shot, noise.read) == (0, 0)
    assert exact.weights is None
