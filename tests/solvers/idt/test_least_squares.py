"""The closed form as a solver."""

from __future__ import annotations

import pytest
import torch

from napari_diner.solvers.idt import tikhonov
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.least_squares import WeightedLeastSquares, build
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import VolumePriors
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.idt.weight_choice import TvSearch, choose_tikhonov
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


def test_what_a_smaller_penalty_leaves_is_found_only_if_the_present_one_leaves_much() -> None:
    data, closed = MODEL.forward(blocks(SHAPE)), ClosedForm(MODEL)
    for alpha in (500.0, 1e-3):
        problem = VolumeProblem(MODEL, data, VolumePriors(tikhonov=alpha), TV)
        assert WeightedLeastSquares(problem).result().loosened is None
        solver = WeightedLeastSquares(problem, compares=True)
        list(solver.steps())
        answer = solver.result()
        assert torch.equal(answer.volume, closed.solve(data, alpha))
        left, loosened = (
            2 * float(problem.misfit(closed.solve(data, part * alpha)) / data.square().sum()) for part in (1, 0.1)
        )
        assert answer.loosened == (None if left < 0.1 else pytest.approx(loosened, rel=1e-5))
        assert (alpha < 1) == (left < 0.1)
        assert loosened < 0.9 * left


def test_coarse_volumes_come_before_the_solution_and_are_its_result_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tikhonov, "_WORK", 1.0)
    # whatever is in memory that is allocated
    monkeypatch.setattr(torch, "empty", lambda *size, **of: torch.full(size, torch.nan, **of))
    MODEL.block_elements, before = 1, MODEL.block_elements
    solver, exact = WeightedLeastSquares(PROBLEM), WeightedLeastSquares(PROBLEM).result()
    volumes, done = [], []
    for step in solver.steps():
        done.append(step.done)
        answer = solver.current()
        if answer is not None and (not volumes or answer.volume is not volumes[-1]):
            volumes.append(answer.volume)
        if len(done) == 20:
            early = solver.result()
            assert early.is_coarse
            assert 0 < float((early.volume - exact.volume).norm()) < float(exact.volume.norm())
    MODEL.block_elements = before
    assert done == sorted(done)
    assert done[-1] == 1
    # each is closer to the solution than the one before
    errors = [float((volume - exact.volume).norm()) for volume in volumes]
    assert len(volumes) >= 3
    assert errors == sorted(errors, reverse=True)
    assert torch.equal(volumes[-1], exact.volume)
    assert not solver.result().is_coarse


def test_other_solvers_report_their_preparation_and_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = PROBLEM.with_priors(VolumePriors(tv=0.01, sign_re=1))
    for solver in (
        lambda: Admm(problem, torch.zeros(2, *SHAPE), 3, 0.0),
        lambda: TvSearch(problem, torch.zeros(2, *SHAPE), candidates=[0.1, 0.01], iterations=2),
    ):
        plain, slow = solver(), solver()
        list(plain.steps())
        with monkeypatch.context() as patch:
            patch.setattr(tikhonov, "_WORK", 1.0)
            patch.setattr(MODEL, "block_elements", 1)
            steps = list(slow.steps())
        done = [step.done for step in steps]
        preparing = [step for step in steps if step.iteration == 0]
        assert done == sorted(done)
        assert len(preparing) > 20
        assert done[-1] == 1
        assert torch.allclose(
            *(torch.as_tensor(getattr(answer.result(), "errors", answer.result())) for answer in (plain, slow))
        )
