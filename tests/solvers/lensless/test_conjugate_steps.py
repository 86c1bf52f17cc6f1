"""Conjugate steps: fewer of them where the data are not explained, and the same ones after a restart."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from napari_diner.solvers.lensless.conjugate_steps import ConjugateSteps, Trial
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GaussNewtonSettings
from tests.kit.fields import noise
from tests.solvers.lensless.small_problems import record


@pytest.fixture(scope="module")
def unexplained() -> PhaseProblem:
    """A recording with noise of a tenth, so that second derivatives count."""
    problem = record().problem
    disturbed = problem.amplitudes * (1 + 0.1 * torch.stack([noise(problem.model.shape, seed) for seed in range(4)]))
    return PhaseProblem(problem.model, disturbed.abs())


def solver(problem: PhaseProblem) -> GaussNewton:
    return GaussNewton(problem, problem.flat_field(), GaussNewtonSettings(iterations=12, warm_up=5, tolerance=0))


class Exact(ConjugateSteps):
    """Gauss-Newton steps of equations that are solved exactly."""

    worthwhile = 0.0

    def further(self, problem: PhaseProblem, start: Trial, step: Tensor, whole: Trial) -> Trial:
        return whole


def states(solver: GaussNewton) -> list[Mapping[str, object]]:
    return [solver.state() for step in solver.steps() if step.resumable]


def test_steps_that_are_too_short_are_lengthened() -> None:
    problem = record().problem
    first = solver(problem)
    fields = [first.result() for step in first.steps() if step.resumable]
    (loss, gradient, _), end = problem.evaluate(fields[1]), problem.evaluate(fields[2]).loss
    start, step = Trial(fields[1], loss, gradient), 0.25 * torch.log(fields[2] / fields[1])
    short = Trial(fields[1] * torch.exp(step), *problem.evaluate(fields[1] * torch.exp(step))[:2])
    for predicted in (0.6, 0.3):
        steps = ConjugateSteps()
        steps.assess(loss - short.loss, predicted * (loss - short.loss), whole=True)
        found = steps.further(problem, start, step, short)
        assert end <= found.loss < short.loss
        assert loss - found.loss > 0.9 * (loss - end)
        assert found.loss == problem.evaluate(found.field).loss


def test_steps_as_good_as_predicted_are_left_alone() -> None:
    problem = record().problem
    field = problem.flat_field()
    trial = Trial(field, *problem.evaluate(field)[:2])
    steps = ConjugateSteps()
    for gain, whole in ((1.05, True), (0.3, False)):
        steps.assess(gain, 1.0, whole=whole)
        assert steps.further(problem, trial, torch.zeros_like(field), trial) is trial


def test_unexplained_data_need_fewer_inner_steps_and_come_to_the_same(unexplained: PhaseProblem) -> None:
    adaptive, exact = solver(unexplained), solver(unexplained)
    exact._conjugate = Exact()
    counts = [sum(1 for _ in one.steps()) for one in (adaptive, exact)]
    losses = [unexplained.evaluate(one.result()).loss for one in (adaptive, exact)]
    print(counts, losses)
    assert counts[0] < 0.7 * counts[1]
    assert losses[0] < 1.002 * losses[1]


def test_continues_from_a_state(unexplained: PhaseProblem) -> None:
    whole, second = solver(unexplained), solver(unexplained)
    second.restore(states(whole)[5])
    assert len(states(second)) == 6
    assert torch.equal(second.result(), whole.result())
