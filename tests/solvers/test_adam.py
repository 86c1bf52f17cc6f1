"""Adam on the parameters of representations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner
from napari_diner.representations.networks import build_siren
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.settings import CompleteDinerSettings, RepresentationSettings
from napari_diner.representations.unknown import ComplexField, Unknown, Values
from napari_diner.solvers.adam import AdamDescent
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.problem import Problem
from napari_diner.solvers.settings import AdamSettings
from tests.solvers.clocks import Clock
from tests.solvers.lensless.small_problems import SHAPE, record


@pytest.fixture
def problem() -> PhaseProblem:
    return record(torch.complex64).problem


def field(kind: str, seed: int = 0, **settings: Any) -> ComplexField:
    torch.manual_seed(seed)
    parts: list[Representation]
    if kind == "pixels":
        bright = Pixels(SHAPE, 1)
        with torch.no_grad():
            bright.values.fill_(0.8)
        parts = [bright, Pixels(SHAPE, 1)]
    else:
        generator = torch.Generator().manual_seed(seed)
        chosen = CompleteDinerSettings(**({"lattice_size": 24, "backbone": kind} | settings))
        parts = [Diner(SHAPE, 1, chosen, generator) for _ in range(2)]
    return ComplexField(parts)


def descend(problem: Problem, unknown: Unknown, **settings: Any) -> tuple[AdamDescent, list[float]]:
    solver = AdamDescent(problem, unknown, AdamSettings(**settings))
    return solver, [step.loss for step in solver.steps()]


@pytest.mark.parametrize("loss", ["amplitude", "intensity"])
@pytest.mark.parametrize(("kind", "rate"), [("pixels", 2e-2), ("siren", 2e-3), ("mlp", 5e-3)])
def test_the_loss_falls(problem: PhaseProblem, kind: str, rate: float, loss: Any) -> None:
    losses = descend(problem.with_kind(loss), field(kind), iterations=150, learning_rate=rate)[1]
    assert len(losses) == 150
    assert losses[-1] < 0.1 * losses[0]


def test_the_best_is_kept_and_put_back(problem: PhaseProblem) -> None:
    unknown = field("siren", evaluation="exact")
    # a rate at which Adam goes astray; at the end the best is not the last
    solver, losses = descend(problem, unknown, iterations=30, learning_rate=0.3, schedule="constant")
    assert min(losses) < 0.99 * losses[-1]
    best = solver.result().estimate
    assert problem.evaluate(best).loss == pytest.approx(min(losses), rel=1e-4)
    assert torch.equal(unknown.exact(), best)


def test_in_the_middle_the_best_is_returned_and_the_present_is_kept(problem: PhaseProblem) -> None:
    unknown = field("siren", evaluation="exact")
    solver = AdamDescent(problem, unknown, AdamSettings(iterations=40, learning_rate=0.3, schedule="constant"))
    steps = solver.steps()
    losses = [next(steps).loss for _ in range(30)]
    present = unknown.exact().detach()
    best = solver.result()
    assert problem.evaluate(best.estimate).loss <= min(losses) * (1 + 1e-4)
    assert torch.equal(unknown.exact(), present)
    # the parameters belong to the estimate
    unknown.load_state_dict(dict(best.parameters))
    assert torch.equal(unknown.exact(), best.estimate)


def test_results_and_previews_disturb_nothing(problem: PhaseProblem) -> None:
    undisturbed = descend(problem, field("siren"), iterations=20)[1]
    solver = AdamDescent(problem, field("siren"), AdamSettings(iterations=20))
    losses = []
    for step in solver.steps():
        assert not solver.result().estimate.requires_grad
        assert not solver.current().estimate.requires_grad
        losses.append(step.loss)
    assert losses == undisturbed


def test_a_preview_is_the_fast_evaluation(problem: PhaseProblem) -> None:
    unknown = field("siren", lattice_size=8, key_range=1.0)
    solver = AdamDescent(problem, unknown, AdamSettings(iterations=20))
    next(solver.steps())
    assert torch.equal(solver.current().estimate, unknown().detach())
    assert not torch.equal(solver.current().estimate, solver.result().estimate)


def test_a_start_that_is_kept_is_returned_if_nothing_is_better(problem: PhaseProblem) -> None:
    def ended(keep_start: bool) -> tuple[float, float]:
        unknown = field("pixels")
        start = problem.objective(unknown)
        # far too large a step, in both directions
        settings = AdamSettings(iterations=3, learning_rate=10.0, schedule="constant")
        solver = AdamDescent(problem, unknown, settings, keep_start=keep_start)
        steps = solver.steps()
        next(steps)
        return start, problem.evaluate(solver.result().estimate).loss

    start, reached = ended(keep_start=True)
    assert reached == pytest.approx(start, rel=1e-6)


def test_patience_ends_it(problem: PhaseProblem) -> None:
    losses = descend(problem, field("pixels"), iterations=500, learning_rate=1e-9, patience=7)[1]
    assert len(losses) == 8  # the first one is always an improvement


def test_equal_seeds_give_equal_losses(problem: PhaseProblem) -> None:
    runs = [descend(problem, field("siren", seed), iterations=15)[1] for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_last_steps_are_taken_on_the_exact_network(problem: PhaseProblem) -> None:
    # keys far apart on a lattice of few points: it differs from the network
    unknown = field("siren", lattice_size=8, key_range=1.0)
    exact, lattice = (float(problem.loss(value.detach())) for value in (unknown.exact(), unknown()))
    assert abs(exact / lattice - 1) > 1e-3
    losses = descend(problem, unknown, iterations=40, learning_rate=1e-12, schedule="constant")[1]
    assert losses[:30] == pytest.approx([lattice] * 30, rel=1e-5)
    assert losses[30:] == pytest.approx([exact] * 10, rel=1e-5)


def test_a_time_limit_takes_the_place_of_the_iterations(problem: PhaseProblem) -> None:
    unknown = field("siren", lattice_size=8, key_range=1.0)
    exact, lattice = (float(problem.loss(value.detach())) for value in (unknown.exact(), unknown()))
    clock = Clock()
    settings = AdamSettings(iterations=1000, learning_rate=1e-12, patience=1000, schedule="constant")
    losses = []
    for step in AdamDescent(problem, unknown, settings, clock.budget(40.0)).steps():
        losses.append(step.loss)
        clock.seconds += 1
    # it ends by itself when the time is up; a twentieth of the time is kept for the exact network
    assert 40 <= len(losses) <= 41
    assert losses[:38] == pytest.approx([lattice] * 38, rel=1e-5)
    assert losses[38:] == pytest.approx([exact] * len(losses[38:]), rel=1e-5)


def test_the_rate_falls_along_a_cosine(problem: PhaseProblem) -> None:
    # under Adam a single value moves by about the rate at every step as long as its gradient keeps its sign
    def travelled(schedule: str) -> float:
        unknown = field("pixels")
        before = [parameter.detach().clone() for parameter in unknown.parameters()]
        descend(problem, unknown, iterations=40, learning_rate=1e-5, schedule=schedule)
        return max(float((a - b).detach().abs().max()) for a, b in zip(unknown.parameters(), before, strict=True))

    assert travelled("constant") == pytest.approx(40e-5, rel=0.05)
    assert travelled("cosine") == pytest.approx(20e-5, rel=0.1)


def batches_of_values(
    iterations: int, kind: str = "pixels", **options: Any
) -> tuple[Values, Tensor, AdamDescent, Iterator[Any]]:
    torch.manual_seed(0)
    targets = torch.rand(2, 1000, generator=torch.Generator().manual_seed(0))
    part = Pixels((20, 50), 2) if kind == "pixels" else build_siren((20, 50), 2, RepresentationSettings())
    unknown = Values(part)
    solver = AdamDescent(
        ValueProblem(targets),
        unknown,
        AdamSettings(iterations=iterations, learning_rate=0.05, patience=None),
        batch_size=256,
        generator=torch.Generator().manual_seed(0),
        **options,
    )
    return unknown, targets, solver, solver.steps()


def test_every_sample_is_shown_once_an_iteration() -> None:
    unknown, targets, _, running = batches_of_values(30)
    steps = list(running)
    # 1000 samples in batches of 256 are four batches
    assert len(steps) == 4 * 30
    assert [step.within for step in steps[:4]] == [0.25, 0.5, 0.75, 1.0]
    assert float((unknown.exact().detach().flatten(1) - targets).abs().max()) < 0.1


def test_the_loss_of_batches_is_that_of_the_latest_samples_of_one_iteration() -> None:
    _, targets, _, running = batches_of_values(3)
    steps = list(running)
    # pixels of zero: each sample is seen for the first time in the first iteration
    assert steps[3].loss == pytest.approx(float(targets.square().mean()), rel=0.02)
    assert steps[3].loss > steps[4].loss > 0.7 * steps[3].loss


def test_the_order_of_batches_is_that_of_the_seed() -> None:
    losses = [[step.loss for step in batches_of_values(2, "siren")[3]] for _ in range(2)]
    assert losses[0] == losses[1]


def test_a_time_limit_ends_batches_too() -> None:
    clock = Clock()
    _, _, _, running = batches_of_values(10_000, budget=clock.budget(50.0))
    count = 0
    for _ in running:
        count += 1
        clock.seconds += 1
    # at the latest at the end of the iteration, which has four batches
    assert 50 <= count <= 54


class Swap:
    """A refinement that acts once, half-way: it sets the values to the targets."""

    def __init__(self, pixels: Pixels, values: Tensor) -> None:
        self.pixels, self.values, self.calls = pixels, values, 0

    def is_due(self, done: float) -> bool:
        return self.calls == 0 and done >= 0.5

    def apply(self, optimizer: torch.optim.Optimizer) -> Iterator[float]:
        self.calls += 1
        with torch.no_grad():
            self.pixels.values.copy_(self.values)
        yield 0.5


def test_a_refinement_moves_parameters_when_it_is_due() -> None:
    targets = torch.rand(1, 30)
    pixels = Pixels((30,), 1)
    swap = Swap(pixels, targets)
    settings = AdamSettings(iterations=10, learning_rate=1e-6, patience=None)
    solver = AdamDescent(ValueProblem(targets), Values(pixels), settings, refinement=swap)
    losses = {(step.iteration, step.within): step.loss for step in solver.steps()}
    assert swap.calls == 1
    assert losses[(5, 1.0)] == pytest.approx(float(targets.square().mean()), rel=1e-3)
    assert losses[(6, 1.0)] < 1e-9
