"""Loss, gradient and linearisation of the problem of diffraction tomography."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_diner.physics.idt.base import IDTModel
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from tests.kit.adjoint import assert_adjoint
from tests.kit.fields import noise
from tests.solvers.idt.small_volumes import TV, blocks, born

SHAPE = (3, 12, 14)
FRAMES = 5
LINEAR = born(SHAPE, FRAMES)
MODELS: dict[str, IDTModel] = {
    "born": LINEAR,
    "multislice": SSNPModel(
        VolumeGeometry(SHAPE, 0.5, 0.515, 1.33, 0.18, 0.65), ring(0.637, FRAMES), dtype=torch.complex128
    ),
}


@pytest.fixture(params=list(MODELS))
def problem(request: pytest.FixtureRequest) -> VolumeProblem:
    """A problem with all priors, of which some frames do not count."""
    model: IDTModel = MODELS[request.param]
    data = model.forward(blocks(SHAPE, 0.02)) + 0.01 * noise((FRAMES, *SHAPE[1:]))
    priors = VolumePriors(tikhonov=0.3, tv=0.02, sign_re=1)
    return VolumeProblem(model, data, priors, TV, frames=(0, 2, 3), scale=(0.02, 0.01))


def test_gradient_is_the_slope_of_the_loss(problem: VolumeProblem) -> None:
    contrast = blocks(SHAPE, 0.01) + 2e-3 * noise((2, *SHAPE), 1)
    loss, gradient, misfit = problem.evaluate(contrast)
    assert misfit == pytest.approx(float(problem.misfit(problem.projected(contrast))))
    assert loss == pytest.approx(problem.loss(problem.projected(contrast)), rel=1e-2)
    # values that must not be negative, and are, count as zero: their slope is one-sided
    direction = noise((2, *SHAPE), 2)
    direction[0][contrast[0] <= 1e-6] = 0
    ahead, behind = (problem.evaluate(contrast + sign * 1e-7 * direction).loss for sign in (1, -1))
    assert float((gradient * direction).sum()) == pytest.approx((ahead - behind) / 2e-7, rel=1e-5)


def test_linearisation_is_the_derivative_with_its_adjoint(problem: VolumeProblem) -> None:
    contrast, change = blocks(SHAPE, 0.01), noise((2, *SHAPE), 3)
    linearised = problem.linearise(contrast)
    assert torch.equal(linearised.residual(), problem.model.forward(contrast, [0, 2, 3]) - problem.data[[0, 2, 3]])
    assert_adjoint(linearised.apply, linearised.adjoint, change, noise((3, *SHAPE[1:]), 4))
    ahead, behind = (problem.linearise(contrast + sign * 1e-5 * change).residual() for sign in (1, -1))
    torch.testing.assert_close(linearised.apply(change), (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-8)


def test_a_problem_with_other_priors_is_another_problem(problem: VolumeProblem) -> None:
    free = problem.with_priors(VolumePriors())
    contrast = blocks(SHAPE)
    assert free.loss(contrast) == pytest.approx(float(problem.misfit(contrast)))
    assert problem.loss(contrast) > free.loss(contrast)


def test_linear_model_is_needed_where_the_model_is_not_linear(problem: VolumeProblem) -> None:
    assert replace(problem, model=MODELS["multislice"], slope=LINEAR).linear is LINEAR
    assert replace(problem, model=LINEAR).linear is LINEAR
    with pytest.raises(TypeError, match="linear model"):
        _ = replace(problem, model=MODELS["multislice"], slope=None).linear


def test_a_model_gives_frames_the_level_that_their_own_mean_hides() -> None:
    model, truth = MODELS["multislice"], blocks(SHAPE, 0.05)
    intensity = model.forward(truth) + 1
    means = intensity.mean((1, 2), keepdim=True)
    assert float(means.min()) < 0.99
    without = torch.tensor([True, True, False, True, True])
    data = torch.where(without[:, None, None], intensity / means, intensity) - 1
    problem = VolumeProblem(model, data, VolumePriors(tikhonov=0.0, tv=0.02), TV, without_level=without)
    assert float(problem.misfit(truth)) < 1e-20 < 1e-4 < float(replace(problem, without_level=None).misfit(truth))
    linearised = problem.linearise(truth)
    assert float(linearised.residual().abs().max()) < 1e-9
    # saturated pixels say nothing about the level
    clipped = data.clamp_max(float(data.quantile(0.9)))
    full = clipped == clipped.max()
    assert float(replace(problem, data=clipped, at_least=full).misfit(truth)) < 1e-20
    # single scattering by phase does not change the mean
    linear = replace(problem, model=LINEAR)
    assert torch.equal(linear.residual(truth, None), LINEAR.forward(truth) - data)
