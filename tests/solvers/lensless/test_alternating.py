"""Averaged projections."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import AlternatingSettings
from tests.solvers.lensless.small_problems import Recording, Space, psnr_db, rich_problem


def run(problem: PhaseProblem, **settings: object) -> tuple[AlternatingProjections, list[float]]:
    solver = AlternatingProjections(problem, problem.flat_field(), AlternatingSettings.model_validate(settings))
    return solver, [step.loss for step in solver.steps()]


def test_one_height_is_one_projection(recording: Recording) -> None:
    truth = recording.truth
    model = MultiHeight(
        tuple(truth.shape), Heights(Optics(1.12, 0.532), (90.0,), band_limit=False), dtype=torch.complex128
    )
    problem = PhaseProblem(model, model.fields(truth).abs())
    losses = run(problem, iterations=2, momentum=False)[1]
    # amplitudes replaced at the only plane there is: nothing is left of the misfit
    assert losses[0] > 1e-3
    assert losses[1] < 1e-28


def test_without_momentum_the_misfit_never_rises(recording: Recording) -> None:
    losses = run(recording.problem, iterations=60, momentum=False)[1]
    assert all(later <= sooner for sooner, later in pairwise(losses))
    assert losses[-1] < 0.2 * losses[0]


def test_momentum_gets_further(recording: Recording) -> None:
    solver, losses = run(recording.problem, iterations=400, tolerance=0)
    plain = run(recording.problem, iterations=400, momentum=False, tolerance=0)[1]
    assert min(losses) < 0.05 * plain[-1]
    assert psnr_db(solver.result(), recording.truth)[0] > 45


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("padding", [False, True, "unknown"])
def test_steps_are_never_too_long(masked: bool, padding: Space) -> None:
    losses = run(rich_problem(masked, padding), iterations=100, momentum=False, tolerance=0)[1]
    assert all(later <= sooner * (1 + 1e-12) for sooner, later in pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]


def test_the_best_field_is_kept(recording: Recording) -> None:
    solver, losses = run(recording.problem, iterations=150)
    assert recording.problem.evaluate(solver.result()).loss == pytest.approx(min(losses), rel=1e-12)


def test_it_stops_when_progress_is_slow(recording: Recording) -> None:
    assert len(run(recording.problem, iterations=400, tolerance=0.9)[1]) < 60
    assert len(run(recording.problem, iterations=70, tolerance=0)[1]) == 70
