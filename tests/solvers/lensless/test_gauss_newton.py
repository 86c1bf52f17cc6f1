"""Gauss-Newton: operators, and exact solutions for an exact model."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.padding import Padding
from napari_diner.solvers.conjugate_gradients import inner
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.linearised import by_frequency
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GaussNewtonSettings
from tests.kit.fields import complex_noise
from tests.solvers.lensless.small_problems import SHAPE, Recording, Space, psnr_db, record, rich_problem


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("padding", [False, True, "unknown"])
def test_the_normal_operator_is_that_of_the_amplitudes(masked: bool, padding: Space) -> None:
    problem = rich_problem(masked, padding)
    field, x, y = (complex_noise(problem.model.shape, seed) for seed in (1, 2, 3))
    scaling = field.abs().rsqrt()
    apply = problem.linearise(field).normal(scaling)

    def slope(step: Tensor) -> Tensor:
        """The change J δ of the amplitudes, by central differences."""
        ends = [problem.model.fields(field * torch.exp(sign * 1e-6 * scaling * step)).abs() for sign in (1, -1)]
        change = (ends[0] - ends[1]) / 2e-6
        return change if problem.mask is None else change.where(problem.mask, 0)

    assert float(inner(apply(x), y)) == pytest.approx(float((slope(x) * slope(y)).sum()), rel=1e-6)
    # symmetric and positive as conjugate gradients see it
    assert float(inner(apply(x), y)) == pytest.approx(float(inner(x, apply(y))), rel=1e-12)
    assert float(inner(apply(x), x)) > 0


@pytest.mark.parametrize("padding", [False, True])
def test_the_preconditioner_is_symmetric_and_positive(padding: bool) -> None:
    x, y = complex_noise((5, 6), 2), complex_noise((5, 6), 3)
    space = Padding((5, 6), "reflect", 2) if padding else Padding((5, 6), "none", 0)
    height, width = space.padded_shape
    gains = torch.rand(2, height, width // 2 + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    apply = by_frequency(space, gains + 0.1)
    assert float(inner(apply(x), y)) == pytest.approx(float(inner(x, apply(y))), rel=1e-10)
    assert float(inner(apply(x), x)) > 0


@pytest.mark.parametrize(("dtype", "least_db"), [(torch.complex128, 100.0), (torch.complex64, 90.0)])
@pytest.mark.parametrize("start", ["flat", "contrast transfer"])
def test_an_undisturbed_recording_is_solved_exactly(dtype: torch.dtype, least_db: float, start: str) -> None:
    recording = record(dtype)
    problem = recording.problem
    first = problem.flat_field()
    if start != "flat":
        first = contrast_transfer_inverse(problem.model, problem.amplitudes)
    assert max(psnr_db(first, recording.truth)) < 40
    solver = GaussNewton(problem, first, GaussNewtonSettings(iterations=40))
    losses = [step.loss for step in solver.steps()]
    assert min(psnr_db(solver.result(), recording.truth)) >= least_db
    assert all(later <= sooner for sooner, later in pairwise(losses))
    assert losses[-1] == pytest.approx(problem.evaluate(solver.result()).loss, rel=1e-6, abs=1e-30)


def test_masked_and_shifted_frames_do_no_harm() -> None:
    recording = record()
    mask = torch.ones(4, *SHAPE, dtype=torch.bool)
    mask[0, 10:14, 10:20] = False
    mask[2, :, :3] = False
    spoilt = recording.problem.amplitudes.where(mask, 7.0)
    problem = PhaseProblem(recording.problem.model, spoilt, mask)
    solver = GaussNewton(problem, problem.flat_field(), GaussNewtonSettings(iterations=40))
    assert list(solver.steps())
    assert min(psnr_db(solver.result(), recording.truth)) >= 90


def test_inner_steps_are_reported_in_order(recording: Recording) -> None:
    settings = GaussNewtonSettings(iterations=2, cg_steps=4)
    steps = list(GaussNewton(recording.problem, recording.problem.flat_field(), settings).steps())
    assert [step.iteration for step in steps] == sorted(step.iteration for step in steps)
    assert steps[-1].iteration == 2 and steps[-1].within == 1
    assert all(0 <= step.within <= 1 and step.iterations == 2 for step in steps)
    assert sum(step.within < 1 for step in steps) > 4


def test_it_stops_when_there_is_nothing_to_gain(recording: Recording) -> None:
    solver = GaussNewton(recording.problem, recording.truth, GaussNewtonSettings(iterations=40, tolerance=0.5))
    assert max((step.iteration for step in solver.steps()), default=0) < 10
    assert min(psnr_db(solver.result(), recording.truth)) > 150


def test_the_answer_to_a_problem_leaves_the_problem_as_it_was(recording: Recording) -> None:
    problem = recording.problem
    loss = problem.evaluate(recording.truth).loss
    list(GaussNewton(problem, problem.flat_field(), GaussNewtonSettings(iterations=2)).steps())
    assert problem.priors is None and problem.weights is None
    assert problem.evaluate(recording.truth).loss == loss
