"""Voxels by Gauss-Newton steps under the multi-slice model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.gauss_newton import GaussNewtonVoxels
from napari_diner.solvers.idt.multislice import MultiSliceVoxels
from napari_diner.solvers.idt.regularisers import VolumePriors
from tests.solvers.idt.test_multislice import FRAMES, LINEAR, SHAPE, error, recorded

EMPTY = torch.zeros(2, *SHAPE)


def test_sample_of_several_radians_comes_out_where_chords_are_lost() -> None:
    problem, truth = recorded(0.25)
    assert problem.linear.peak_phase(truth) > 3
    chords = MultiSliceVoxels(problem, EMPTY, 20)
    exact = GaussNewtonVoxels(problem, EMPTY, 25)
    for solver in (chords, exact):
        for _ in solver.steps():
            pass
    assert exact.result().min() >= 0
    assert exact.objective < 3 * problem.loss(truth) < 0.1 * chords.objective
    assert error(exact.result(), truth) < 0.6 * error(chords.result(), truth)


def test_weak_object_is_that_of_the_linear_solver() -> None:
    problem, _ = recorded(1e-3, 1e-4)
    problem = problem.with_priors(VolumePriors(tv=1e-4, sign_re=1, sign_im=1))
    admm = Admm(replace(problem, model=LINEAR), EMPTY, 120, 1e-5)
    exact = GaussNewtonVoxels(problem, EMPTY, 40)
    for solver in (admm, exact):
        for _ in solver.steps():
            pass
    assert exact.objective < 1.15 * problem.loss(admm.result())


@pytest.mark.parametrize("tv", [0.0, 2e-2])
def test_continues_from_a_state(tv: float) -> None:
    problem, _ = recorded(0.2)
    problem = problem.with_priors(VolumePriors(tv=tv, tikhonov=0.1, sign_re=1, sign_im=1))
    whole, second = (GaussNewtonVoxels(problem, EMPTY, 3) for _ in range(2))
    states = []
    for step in whole.steps():
        if step.iteration == 1:
            states.append(whole.state())
    second.restore(states[0])
    for _ in second.steps():
        pass
    assert torch.allclose(second.result(), whole.result(), atol=1e-6)


def test_frames_left_out_and_saturated_pixels_do_not_count() -> None:
    problem, truth = recorded(0.2, 0.0)
    spoiled = problem.data.clone()
    spoiled[[2, 5]] = 1e3
    bounds = torch.zeros(FRAMES, *SHAPE[1:], dtype=torch.bool)
    bounds[:, 10:14, 10:14] = True
    spoiled[bounds] -= 0.5
    frames = (0, 1, 3, 4, 6, 7)
    exact = GaussNewtonVoxels(replace(problem, data=spoiled, frames=frames, at_least=bounds), EMPTY, 15)
    for _ in exact.steps():
        pass
    assert error(exact.result(), truth) < 0.6
