"""The closed form as a solver."""

from __future__ import annotations

import pytest
import torch

from napari_diner.solvers.idt.least_squares import WeightedLeastSquares, build
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.idt.weight_choice import choose_tikhonov
from napari_diner.solvers.solver import Budget
from tests.solvers.idt.small_volumes import TV, blocks, born, noise

SHAPE = (4, 16, 18)
MODEL = born(SHAPE, 8)
PROBLEM = VolumeProblem(MODEL, MODEL.forward(blocks(SHAPE)) + 0.01 * noise(8, *SHAPE[1:]), VolumePriors(), TV)


def test_penalty_is_chosen_where_none_is_given() -> None:
    solver = WeightedLeastSquares(PROBLEM)
    (step,) = solver.steps()
    answer = solver.result()
    closed = ClosedForm(MODEL)
    assert answer.choice == choose_tikhonov(closed, PROBLEM.data)
    assert torch.equal(answer.volume, closed.solve(PROBLEM.data, answer.tikhonov))
    assert step.loss == pytest.approx(
        PROBLEM.with_priors(VolumePriors(tikhonov=answer.tikhonov)).loss(answer.volume), rel=1e-12
    )


def test_given_penalty_is_kept_and_frames_left_out_do_not_count() -> None:
    kept = (0, 1, 4, 6)
    problem = VolumeProblem(MODEL, PROBLEM.data, VolumePriors(tikhonov=0.5), TV, kept)
    solver = build(problem, torch.zeros(2, *SHAPE), None, Budget())
    assert len(list(solver.steps())) == 1
    expected = ClosedForm(MODEL, frames=kept).solve(PROBLEM.data[list(kept)], 0.5)
    assert torch.equal(solver.result(), expected)
