"""Priors: terms, weights, and benefit with noise."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.conjugate_gradients import inner
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.held_out import HeldOutFrame
from napari_diner.solvers.lensless.prior_settings import PriorSettings
from napari_diner.solvers.lensless.priors import Priors
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GaussNewtonSettings
from napari_diner.tasks.lensless.truth import phase_error

SHAPE = (64, 64)


def discs() -> tuple[Tensor, Tensor]:
    """A field of even patches, and where they are."""
    y, x = torch.meshgrid(*(torch.arange(size) for size in SHAPE), indexing="ij")
    patches = [(20, 20, 9), (40, 42, 12), (18, 46, 6)]
    inside = torch.stack([(y - row) ** 2 + (x - column) ** 2 < radius**2 for row, column, radius in patches])
    phase = (inside * torch.tensor([0.8, 0.5, 1.2])[:, None, None]).sum(0)
    amplitude = 1 - 0.3 * inside[1].float()
    return torch.polar(amplitude, phase), inside.any(0)


def recording(noise: float, seed: int = 0) -> PhaseProblem:
    model = MultiHeight(SHAPE, Heights(Optics(1.5, 0.5), (150.0, 220.0, 300.0, 390.0)))
    intensities = model.intensities(discs()[0])
    noisy = intensities + noise * torch.randn(intensities.shape, generator=torch.Generator().manual_seed(seed))
    return PhaseProblem(model, noisy.clamp_min(0).sqrt())


def priors(problem: PhaseProblem, support: Tensor | None = None, factor: float = 1.0, **settings: object) -> Priors:
    known = PriorSettings.model_validate(settings)
    frames = problem.model.frames
    return Priors(
        known, 1.0, periodic=True, values_per_pixel=frames, freedom=problem.freedom, support=support, factor=factor
    )


def solved(problem: PhaseProblem) -> Tensor:
    solver = GaussNewton(problem, problem.flat_field(), GaussNewtonSettings(warm_up=20, iterations=15))
    for _ in solver.steps():
        pass
    return solver.result()


def phase_rmse(field: Tensor) -> float:
    return float(np.sqrt(np.mean(phase_error(field.angle().numpy(), discs()[0].angle().numpy()) ** 2)))


def test_priors_do_not_change_but_give_other_priors() -> None:
    problem = recording(0.02)
    usual = priors(problem, total_variation="noise").adapted(1e-3)
    others = (usual.adapted(2e-3), usual.exaggerated(), usual.with_factor(3.0))
    assert [other.weight / usual.weight for other in others] == pytest.approx([2, 16, 3])
    strong = usual.exaggerated()
    assert strong.relaxed().weight < strong.weight == pytest.approx(16 * usual.weight)
    with pytest.raises(FrozenInstanceError):
        usual.factor = 2.0  # type: ignore[misc]
    without = problem.with_priors(None)
    assert problem.with_priors(usual).priors is usual
    assert without.priors is problem.priors is None


def test_what_is_added_has_the_gradient_it_says() -> None:
    problem = recording(0.02)
    support = discs()[1]
    field = (discs()[0] * torch.exp(0.1j * torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)))).to(
        torch.complex128
    )
    known = priors(problem, support, total_variation="noise", of="phase")
    known = known.adapted(1e-3)
    gradient = known.evaluate(field)[1]
    step = 1j * field * torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    # the mean outside is held, as the pull follows it only from step to step; so only changes inside are tried
    step = torch.where(support, step, 0)
    ends = [known.evaluate(field + sign * 1e-7 * step)[0] for sign in (1, -1)]
    assert float(inner(gradient, step)) == pytest.approx((ends[0] - ends[1]) / 2e-7, rel=1e-3)


def test_the_noise_is_found_and_sets_the_weight() -> None:
    problem = recording(0.03)
    problem = problem.with_priors(priors(problem, total_variation="noise", usual_step=0.5))
    solver = GaussNewton(problem, problem.flat_field(), GaussNewtonSettings(warm_up=20, iterations=15))
    list(solver.steps())
    final = solver.problem.priors
    assert final is not None
    # a standard deviation σ of an intensity near one is half of it in the amplitude
    assert final.variance**0.5 == pytest.approx(0.015, rel=0.3)
    assert final.weight == pytest.approx(2 * final.variance / (4 * 0.5))
    assert final.settled
    # the problem that was given keeps its priors
    assert problem.priors is not None and problem.priors.variance == 0


def test_exaggerated_priors_relax_to_what_suits_the_noise() -> None:
    known = priors(recording(0.03), total_variation="noise").adapted(1e-3)
    strong = known.exaggerated()
    weights = [strong.weight]
    while not strong.settled:
        strong = strong.relaxed()
        weights.append(strong.weight)
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 10 * weights[-1] == pytest.approx(10 * known.weight)
    # a support alone has no weight that could be too strong
    assert priors(recording(0.03), discs()[1]).exaggerated().settled


def test_noise_is_taken_out_and_edges_are_kept() -> None:
    plain = recording(0.05)
    known = plain.with_priors(priors(plain, total_variation="noise", factor=4))
    assert phase_rmse(solved(known)) < 0.5 * phase_rmse(solved(plain))


def test_without_noise_the_prior_fades() -> None:
    problem = recording(0.0)
    problem = problem.with_priors(priors(problem, total_variation="noise"))
    assert phase_rmse(solved(problem)) < 0.005


def test_a_support_tells_slow_phase() -> None:
    plain = recording(0.05)
    known = plain.with_priors(priors(plain, discs()[1]))
    error = [phase_error(solved(problem).angle().numpy(), discs()[0].angle().numpy()) for problem in (plain, known)]
    slow = [np.abs(np.fft.fft2(each))[:4, :4].std() for each in error]
    assert slow[1] < 0.6 * slow[0]
    outside = ~discs()[1].numpy()
    assert np.std(error[1][outside]) < 0.5 * np.std(error[0][outside])


def test_the_held_out_frame_prefers_a_weight_that_is_neither_none_nor_all() -> None:
    problem = recording(0.05)
    known = priors(problem, total_variation="held_out")
    solver = HeldOutFrame(problem, known, problem.flat_field(), GaussNewtonSettings(warm_up=20), 2)
    assert solver.result().factor == known.factor
    steps = list(solver.steps())
    choice = solver.result()
    assert len(choice.misfits) == len(choice.factors) == steps[-1].iterations
    assert choice.factors[-1] < choice.factor < choice.factors[0]
    assert min(choice.misfits) < 0.95 * choice.misfits[-1]
    assert all(0 <= step.done <= 1 for step in steps)
