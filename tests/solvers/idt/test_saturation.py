"""Saturated pixels in diffraction tomography as lower bounds of the light."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from napari_diner.physics.idt.base import IDTModel
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.least_squares import WeightedLeastSquares
from napari_diner.solvers.idt.multislice import MultiSliceVoxels
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from tests.kit.adjoint import assert_adjoint
from tests.kit.fields import noise, relative_error
from tests.solvers.idt.small_volumes import TV, blocks, born

SHAPE = (3, 12, 14)
FRAMES = 7
LINEAR = born(SHAPE, FRAMES)
MODELS: dict[str, IDTModel] = {
    "born": LINEAR,
    "multislice": SSNPModel(
        VolumeGeometry(SHAPE, 0.5, 0.515, 1.33, 0.18, 0.65), ring(0.637, FRAMES), dtype=torch.complex128
    ),
}
PRIORS = VolumePriors(tikhonov=0.0, tv=0.005, sign_re=1)
TRUTH = blocks(SHAPE, 0.005)


def clipped(model: IDTModel, share: float = 0.15, spread: float = 0.0) -> VolumeProblem:
    """A recording of blocks whose brightest pixels are saturated; three frames do not count if there is noise."""
    data = model.forward(TRUTH) + spread * noise((FRAMES, *SHAPE[1:]))
    level = data.quantile(1 - share)
    frames = (0, 2, 3, 5) if spread else None
    return VolumeProblem(model, data.clamp_max(level), PRIORS, TV, frames, LINEAR, data >= level, (0.02, 0.01))


@pytest.fixture(params=list(MODELS))
def problem(request: pytest.FixtureRequest) -> VolumeProblem:
    return clipped(MODELS[request.param], spread=0.003)


def near_truth(seed: int) -> Tensor:
    return TRUTH * 0.9 + 5e-4 * noise((2, *SHAPE), seed)


def test_only_what_is_too_dark_counts_of_a_saturated_pixel(problem: VolumeProblem) -> None:
    contrast = near_truth(1)
    chosen = list(problem.frames)
    error = problem.model.forward(contrast, chosen) - problem.data[chosen]
    bounds = problem.at_least[chosen]
    assert 0 < int((error[bounds] > 0).sum()) < int(bounds.sum())
    expected = torch.where(bounds, error.clamp_max(0), error)
    assert float(problem.misfit(contrast)) == pytest.approx(float(expected.square().sum()) / 2)
    assert float(problem.misfit(contrast, [2, 5])) == pytest.approx(float(expected[[1, 3]].square().sum()) / 2)


def test_gradient_and_derivative_are_those_of_finite_differences(problem: VolumeProblem) -> None:
    free = problem.with_priors(VolumePriors())
    contrast, direction = near_truth(2), noise((2, *SHAPE), 3)
    ahead, behind = (free.evaluate(contrast + sign * 1e-7 * direction).loss for sign in (1, -1))
    slope = float((free.evaluate(contrast).gradient * direction).sum())
    assert slope == pytest.approx((ahead - behind) / 2e-7, rel=1e-5)
    linear = free.linearise(contrast)
    before, after = (free.linearise(contrast + sign * 1e-6 * direction).residual() for sign in (-1, 1))
    torch.testing.assert_close(linear.apply(direction), (after - before) / 2e-6, rtol=1e-5, atol=1e-7)
    assert_adjoint(linear.apply, linear.adjoint, direction, noise((4, *SHAPE[1:]), 4))
    torch.testing.assert_close(linear.adjoint(linear.residual()), free.evaluate(contrast).gradient)


def test_completed_data_give_a_majorant(problem: VolumeProblem) -> None:
    here = near_truth(5)
    data, loss = problem.completed(here)

    def majorant(contrast: Tensor) -> float:
        left = problem.model.forward(contrast, problem.frames) - data
        return float(left.square().sum()) / 2 + problem.penalty(contrast)

    assert loss == pytest.approx(problem.loss(here))
    assert majorant(here) == pytest.approx(loss)
    for seed in range(6, 10):
        elsewhere = near_truth(seed)
        assert majorant(elsewhere) >= problem.loss(elsewhere)


def test_nothing_changes_where_no_pixel_is_saturated() -> None:
    for model in MODELS.values():
        plain = replace(clipped(model), at_least=None)
        none = replace(plain, at_least=torch.zeros_like(plain.data, dtype=torch.bool))
        results = []
        for each in (plain, none):
            kind = Admm if model is LINEAR else MultiSliceVoxels
            solver = kind(each, torch.zeros_like(TRUTH), 5)
            list(solver.steps())
            results.append(solver.result())
            assert torch.equal(each.evaluate(TRUTH).gradient, plain.evaluate(TRUTH).gradient)
        assert torch.equal(*results)


@pytest.mark.parametrize("name", list(MODELS))
def test_what_was_cut_off_is_predicted(name: str) -> None:
    model = MODELS[name]
    bounded = clipped(model)
    errors = []
    for each in (replace(bounded, at_least=None), bounded):
        kind = Admm if model is LINEAR else MultiSliceVoxels
        solver = kind(each, torch.zeros_like(TRUTH), 40)
        list(solver.steps())
        errors.append(relative_error(model.forward(solver.result()), model.forward(TRUTH)))
    assert errors[1] < 0.6 * errors[0]


def test_the_closed_form_completes_saturated_pixels() -> None:
    bounded = replace(clipped(LINEAR), priors=VolumePriors(tikhonov=1e-3))
    believed = WeightedLeastSquares(replace(bounded, at_least=None))
    solver = WeightedLeastSquares(bounded)
    losses = [step.loss for step in solver.steps()]
    assert len(losses) > 1 and losses == sorted(losses, reverse=True)
    errors = [relative_error(each.result().volume[0], TRUTH[0]) for each in (believed, solver)]
    assert errors[1] < errors[0]
