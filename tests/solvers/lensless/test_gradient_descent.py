"""Adam on representations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from napari_diner.representations.complex_field import ComplexField
from torch import nn

from napari_diner.representations.diner import Diner
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.settings import DinerSettings
from napari_diner.solvers.lensless.gradient_descent import GradientDescent
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import GradientSettings
from tests.solvers.lensless.small_problems import SHAPE, record


@pytest.fixture
def problem() -> PhaseProblem:
    return record(torch.complex64).problem


def unknown(kind: str, seed: int = 0, **settings: Any) -> ComplexField:
    torch.manual_seed(seed)
    parts: list[nn.Module]
    if kind == "pixels":
        parts = [Pixels(SHAPE, 1), Pixels(SHAPE, 1)]
        with torch.no_grad():
            parts[0].values.fill_(0.8)
    else:
        generator = torch.Generator().manual_seed(seed)
        chosen = DinerSettings(**({"lattice_size": 24, "backbone": kind} | settings))
        parts = [Diner(SHAPE, 1, chosen, generator) for _ in range(2)]
    return ComplexField(parts)


def descend(problem: PhaseProblem, field: ComplexField, **settings: Any) -> tuple[GradientDescent, list[float]]:
    solver = GradientDescent(problem, field, GradientSettings.model_validate(settings))
    return solver, [step.loss for step in solver.steps()]


@pytest.mark.parametrize("loss", ["amplitude", "intensity"])
@pytest.mark.parametrize(("kind", "rate"), [("pixels", 2e-2), ("siren", 2e-3), ("mlp", 5e-3)])
def test_the_loss_falls(problem: PhaseProblem, kind: str, rate: float, loss: str) -> None:
    losses = descend(problem, unknown(kind), iterations=150, learning_rate=rate, loss=loss)[1]
    assert len(losses) == 150
    assert losses[-1] < 0.1 * losses[0]


def test_the_best_is_kept_and_put_back(problem: PhaseProblem) -> None:
    field = unknown("siren", evaluation="exact")
    # a rate at which Adam goes astray; at the end the best is not the last
    solver, losses = descend(problem, field, iterations=40, learning_rate=0.3, schedule="constant")
    assert min(losses) < 0.99 * losses[-1]
    best = solver.field()
    assert problem.evaluate(best)[0] == pytest.approx(min(losses), rel=1e-4)
    assert not torch.equal(field.exact(), best)
    solver.finish()
    assert torch.equal(field.exact(), best)


def test_asking_for_the_best_disturbs_nothing(problem: PhaseProblem) -> None:
    undisturbed = descend(problem, unknown("siren"), iterations=20)[1]
    solver = GradientDescent(problem, unknown("siren"), GradientSettings(iterations=20))
    losses = []
    for step in solver.steps():
        assert not solver.field().requires_grad
        losses.append(step.loss)
    assert losses == undisturbed


def test_patience_ends_it(problem: PhaseProblem) -> None:
    losses = descend(problem, unknown("pixels"), iterations=500, learning_rate=1e-9, patience=7)[1]
    assert len(losses) == 8  # the first one is always an improvement


def test_equal_seeds_give_equal_losses(problem: PhaseProblem) -> None:
    runs = [descend(problem, unknown("siren", seed), iterations=15)[1] for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_last_steps_are_taken_on_the_exact_network(problem: PhaseProblem) -> None:
    # keys far apart on a lattice of few points: it differs from the network
    field = unknown("siren", lattice_size=8, key_range=1.0)
    exact, lattice = (float(problem.loss(value.detach())) for value in (field.exact(), field()))
    assert abs(exact / lattice - 1) > 1e-3
    losses = descend(problem, field, iterations=40, learning_rate=1e-12, schedule="constant")[1]
    assert losses[:30] == pytest.approx([lattice] * 30, rel=1e-5)
    assert losses[30:] == pytest.approx([exact] * 10, rel=1e-5)


def test_a_time_limit_takes_the_place_of_the_iterations(problem: PhaseProblem) -> None:
    field = unknown("siren", lattice_size=8, key_range=1.0)
    exact, lattice = (float(problem.loss(value.detach())) for value in (field.exact(), field()))
    seconds = iter(range(1000))
    settings = GradientSettings(iterations=1000, learning_rate=1e-12, patience=1000, schedule="constant")
    solver = GradientDescent(problem, field, settings, max_seconds=20.0, elapsed=lambda: float(next(seconds)))
    steps = solver.steps()
    losses = [next(steps).loss for _ in range(40)]
    # by that clock one step takes one second; a hundredth of the time is kept for the exact network
    assert losses[:19] == pytest.approx([lattice] * 19, rel=1e-5)
    assert losses[20:] == pytest.approx([exact] * 20, rel=1e-5)


def test_the_rate_falls_along_a_cosine(problem: PhaseProblem) -> None:
    # under Adam a single value moves by about the rate at every step as long as its gradient keeps its sign
    def travelled(schedule: str) -> float:
        field = unknown("pixels")
        before = [parameter.detach().clone() for parameter in field.parameters()]
        descend(problem, field, iterations=40, learning_rate=1e-5, schedule=schedule)
        return max(float((a - b).detach().abs().max()) for a, b in zip(field.parameters(), before, strict=True))

    assert travelled("constant") == pytest.approx(40e-5, rel=0.05)
    assert travelled("cosine") == pytest.approx(20e-5, rel=0.1)
