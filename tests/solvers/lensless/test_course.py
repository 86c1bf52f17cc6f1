"""The loss along the steps of conjugate gradients: when they still pay off."""

from __future__ import annotations

import pytest
import torch

from napari_diner.solvers.lensless.course import Course
from tests.solvers.lensless.small_problems import Recording, rich_problem


@pytest.mark.parametrize("masked", [False, True])
def test_the_value_is_the_loss(masked: bool) -> None:
    problem = rich_problem(masked, "unknown")
    field = torch.ones(problem.model.shape, dtype=torch.complex128)
    for other in (problem, problem.with_weights(problem.amplitudes), problem.with_kind("intensity")):
        assert other.value(field) == pytest.approx(other.evaluate(field).loss, rel=1e-12)


def course_of(recording: Recording, tolerance: float = 1e-6) -> tuple[Course, torch.Tensor, float]:
    """Return the course from a field to the solution, the step between them, and the loss of the field."""
    problem, truth = recording.problem, recording.truth
    towards = 0.01 * torch.sin(torch.arange(truth.numel(), dtype=torch.float64)).reshape(truth.shape) * (1 + 1j)
    field = truth * torch.exp(-towards)
    loss = problem.value(field)
    return Course(problem, field, torch.ones_like(towards.real), loss, tolerance), towards, loss


def test_steps_go_on_while_the_loss_follows_its_model(recording: Recording) -> None:
    course, towards, loss = course_of(recording)
    assert course.goes_on(0.5 * towards, 0.75 * loss)
    assert course.goes_on(0.9 * towards, 0.99 * loss)
    assert not course.solved
    assert torch.equal(course.furthest(towards), 0.9 * towards)


def test_a_step_too_far_is_taken_back(recording: Recording) -> None:
    course, towards, loss = course_of(recording)
    assert course.goes_on(0.9 * towards, 0.99 * loss)
    assert not course.goes_on(2 * towards, 0.999 * loss)
    assert torch.equal(course.furthest(2 * towards), 0.9 * towards)


def test_steps_end_where_the_model_has_erred_by_more_than_they_gain(recording: Recording) -> None:
    course, towards, loss = course_of(recording)
    assert course.goes_on(0.5 * towards, 0.76 * loss)
    assert not course.goes_on(0.51 * towards, 0.99 * loss)
    assert not course.solved


def test_nothing_is_left_when_neither_steps_nor_errors_are_worth_the_time(recording: Recording) -> None:
    course, towards, loss = course_of(recording, tolerance=0.5)
    after = recording.problem.value(recording.truth * torch.exp(-0.9 * towards))
    assert not course.goes_on(0.1 * towards, loss - after)
    assert course.solved


def test_a_first_look_without_a_gain_is_not_the_last(recording: Recording) -> None:
    course, towards, loss = course_of(recording)
    assert [course.goes_on(-towards, 0.5 * loss) for _ in range(3)] == [True, True, False]
    assert torch.equal(course.furthest(towards), towards)
