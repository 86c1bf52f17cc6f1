"""Standard deviations of volumes, compared with the scatter of reconstructions of repeated recordings."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_diner.physics.idt.contrast import refractive_index
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.settings import VolumeUncertaintySettings
from napari_diner.solvers.idt.uncertainty import VolumeUncertainty, VolumeUncertaintyEstimate
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.uncertainty import again
from tests.solvers.idt.small_volumes import PIXEL_UM, TV, blocks, born, noise

SHAPE, SIGMA, MEDIUM = (5, 20, 22), 0.004, 1.33
MODEL = born(SHAPE, 6, torch.complex64)
PRIORS = {
    "tikhonov": VolumePriors(tikhonov=0.3),
    "voxels": VolumePriors(tv=0.02, sign_re=1, sign_im=1),
}


def recorded(seed: int, priors: VolumePriors) -> VolumeProblem:
    data = MODEL.forward(blocks(SHAPE, 0.02).float()) + SIGMA * noise(6, *SHAPE[1:], seed=seed, dtype=torch.float32)
    return VolumeProblem(MODEL, data, priors, TV)


def solved(problem: VolumeProblem, recipe: IdtRecipe) -> Tensor:
    solver = again(problem, recipe)(problem, torch.zeros(2, *SHAPE))
    for _ in solver.steps():
        pass
    return solver.result()


def estimated(solver: str, samples: int = 8, **settings: float) -> tuple[Tensor, VolumeUncertainty]:
    recipe = IdtRecipe(solver=solver, iterations=25)
    problem = recorded(0, PRIORS[solver])
    volume = solved(problem, recipe)
    asked = VolumeUncertaintySettings(samples=samples, **settings)
    estimate = VolumeUncertaintyEstimate(problem, volume, again(problem, recipe), asked, PIXEL_UM, 0.4)
    assert estimate.result() is None
    for _ in estimate.steps():
        pass
    answer = estimate.result()
    assert answer is not None
    return volume, answer


@pytest.mark.parametrize("solver", ["tikhonov", "voxels"])
def test_bars_cover_the_scatter_of_repeats(solver: str) -> None:
    recipe = IdtRecipe(solver=solver, iterations=25)
    repeats = torch.stack([solved(recorded(seed, PRIORS[solver]), recipe) for seed in range(8)])
    indices = torch.stack(refractive_index(repeats.movedim(1, 0), MEDIUM), 1)
    _, estimate = estimated(solver)
    for part, sigma in enumerate((estimate.n_re, estimate.n_im)):
        errors = indices[:, part] - indices[:, part].mean(0)
        scatter = errors.square().mean().sqrt()
        assert 0.75 < sigma.square().mean().sqrt() / scatter < 1.4
        # nominally 95 %
        assert (errors.abs() <= 2 * sigma).float().mean() > 0.9
    assert estimate.noise == pytest.approx([SIGMA] * 6, rel=0.3)


def test_bars_grow_with_the_noise_and_samples_add_up_to_them() -> None:
    _, weak = estimated("tikhonov", noise=0.001)
    _, strong = estimated("tikhonov", noise=0.003)
    torch.testing.assert_close(strong.n_re, 3 * weak.n_re, rtol=0.05, atol=1e-9)
    rms = weak.deviations.square().mean().sqrt()
    torch.testing.assert_close(rms, weak.n_re.square().mean().sqrt(), rtol=0.05, atol=0)
    # the octaves divide the variance except for that of each slice's mean
    assert sum(band.sigma**2 for band in weak.bands) == pytest.approx(float(rms) ** 2, rel=0.05)


def test_the_change_with_the_priors_is_half_the_difference() -> None:
    _, estimate = estimated("tikhonov", samples=2)
    weak, strong = (
        solved(recorded(0, VolumePriors(tikhonov=0.3 * factor)), IdtRecipe(solver="tikhonov")) for factor in (0.25, 4)
    )
    half = (refractive_index(weak, MEDIUM)[0] - refractive_index(strong, MEDIUM)[0]) / 2
    assert estimate.prior_change is not None
    torch.testing.assert_close(estimate.prior_change, half, rtol=1e-4, atol=1e-6)
