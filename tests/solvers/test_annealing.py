"""The learning rate over a run."""

from __future__ import annotations

import pytest

from napari_diner.solvers.annealing import Annealing
from napari_diner.solvers.solver import Budget
from tests.solvers.clocks import Clock


def test_a_cosine_falls_from_one_to_a_hundredth() -> None:
    annealing = Annealing("cosine", Budget())
    factors = [annealing.factor(annealing.done(part / 10)) for part in range(11)]
    assert factors[0] == 1
    assert factors[5] == pytest.approx(0.505)
    assert factors[10] == pytest.approx(0.01)
    assert factors == sorted(factors, reverse=True)
    assert {Annealing("constant", Budget()).factor(part / 10) for part in range(11)} == {1.0}


def test_the_shorter_of_iterations_and_time_decides() -> None:
    clock = Clock()
    clock.seconds = 100.0
    annealing = Annealing("cosine", clock.budget(10.0))
    assert annealing.done(0.3) == pytest.approx(0.3)
    clock.seconds = 105.0
    assert annealing.done(0.3) == pytest.approx(0.5)
    assert annealing.done(0.8) == pytest.approx(0.8)
    clock.seconds = 200.0
    assert annealing.done(0.3) == 1
