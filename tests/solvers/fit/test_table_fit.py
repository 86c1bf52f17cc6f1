"""Fitting a DINER to values that are known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from napari_diner.representations.diner import Diner
from napari_diner.representations.settings import DinerSettings
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.fit.table_fit import TableFit
from napari_diner.solvers.settings import TrainingSettings
from napari_diner.solvers.step import Step

COUNT = 600


def colours(seed: int = 0) -> Tensor:
    """Values of 3 outputs on a curved surface, with a little noise: (3, n)."""
    generator = torch.Generator().manual_seed(seed)
    u, v = torch.rand(2, COUNT, generator=generator)
    noise = 0.01 * torch.randn(3, COUNT, generator=generator)
    return torch.stack([u, v, 0.5 + 0.4 * torch.sin(3 * u + 2 * v)]) + noise


def fit(
    targets: Tensor,
    weights: Tensor | None = None,
    *,
    epochs: int = 60,
    rate: float = 5e-3,
    training: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[Diner, list[Step]]:
    torch.manual_seed(0)
    values = {"hidden_features": 32, "lattice_size": 32, "key_range": 0.0} | settings
    diner = Diner((targets.shape[1],), 3, DinerSettings(**values), torch.Generator().manual_seed(0)).to(targets.dtype)
    solver = TableFit(ValueProblem(targets, weights), diner, TrainingSettings(**(training or {})), epochs, rate)
    steps = list(solver.steps())
    list(solver.finish())
    return diner, steps


def mean_square(diner: Diner, targets: Tensor) -> float:
    return float((diner.exact().detach() - targets).square().mean())


@pytest.mark.parametrize("evaluation", ["lattice", "exact"])
@pytest.mark.parametrize("backbone", ["siren", "mlp", "finer"])
def test_every_backbone_learns(backbone: str, evaluation: str) -> None:
    targets = colours()
    diner, steps = fit(targets, epochs=150, backbone=backbone, evaluation=evaluation, key_range=1e-4)
    assert [step.iteration for step in steps] == list(range(1, 151))
    assert steps[0].loss > 5 * steps[-1].loss
    assert mean_square(diner, targets) < (0.03 if backbone == "mlp" else 2e-3)
    assert mean_square(diner, targets) < 1.1 * steps[-1].loss


# through the lattice the slopes jump from cell to cell, so that the last digits of a key can decide its next step
@pytest.mark.parametrize(("evaluation", "tolerance"), [("exact", 1e-6), ("lattice", 1e-2)])
@pytest.mark.parametrize("searches", [0, 4])
def test_equal_values_that_share_a_key_are_trained_as_if_they_did_not(
    searches: int, evaluation: str, tolerance: float
) -> None:
    # Proposition 2: with equal first keys, equal values have equal keys for ever
    counts = torch.randint(1, 6, (COUNT,), generator=torch.Generator().manual_seed(3))
    targets = colours().double()
    training = {"searches": searches}
    shared, shared_steps = fit(targets, counts.double(), epochs=25, training=training, evaluation=evaluation)
    repeated = targets.repeat_interleave(counts, 1)
    alone, alone_steps = fit(repeated, epochs=25, training=training, evaluation=evaluation)
    for one, other in zip(shared_steps, alone_steps, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=tolerance)
    if evaluation == "exact":
        # the sums of gradients differ in their order only
        assert torch.allclose(shared.hash_table.repeat_interleave(counts, 0), alone.hash_table, rtol=1e-4, atol=1e-7)
        for first, second in zip(shared.backbone.parameters(), alone.backbone.parameters(), strict=True):
            assert torch.allclose(first, second, rtol=1e-4, atol=1e-7)


def test_the_order_of_samples_does_not_matter() -> None:
    targets = colours()
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(8))
    straight, _ = fit(targets, epochs=25)
    shuffled, _ = fit(targets[:, order], epochs=25)
    assert mean_square(shuffled, targets[:, order]) == pytest.approx(mean_square(straight, targets), rel=0.1)


def test_searching_for_keys_helps() -> None:
    # three outputs from keys of two numbers: the surface has to fold, and keys get stuck on the wrong fold
    generator = torch.Generator().manual_seed(0)
    targets = torch.rand(3, COUNT, generator=generator)
    reached = {
        searches: mean_square(fit(targets, epochs=150, training={"searches": searches}, key_range=1e-4)[0], targets)
        for searches in (0, 8)
    }
    assert reached[8] < 0.7 * reached[0]


def test_the_last_key_steps_only_help() -> None:
    targets = colours()
    rough, _ = fit(targets, epochs=30, training={"key_steps": 0})
    placed, _ = fit(targets, epochs=30, training={"key_steps": 6})
    assert mean_square(placed, targets) < mean_square(rough, targets)


def test_same_seed_same_result() -> None:
    targets = colours()
    first, _ = fit(targets, epochs=20, key_range=1e-4)
    second, _ = fit(targets, epochs=20, key_range=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_best_is_kept_when_a_run_diverges() -> None:
    targets = colours()
    torch.manual_seed(0)
    diner = Diner((COUNT,), 3, DinerSettings(lattice_size=32), torch.Generator().manual_seed(0))
    time = iter(range(10_000))
    # a clock that ticks a second at each look lets every epoch be looked at
    problem = ValueProblem(targets)
    training = TrainingSettings(searches=0, key_steps=0, schedule="constant")
    solver = TableFit(problem, diner, training, 40, 5e-3, elapsed=lambda: float(next(time)))
    best = min(step.loss for step in solver.steps())
    with torch.no_grad():
        diner.hash_table.fill_(7.0)  # what a run that diverged leaves behind
    list(solver.finish())
    assert problem.exact_loss(diner) < 2 * best


def test_a_time_limit_ends_the_run_and_anneals_over_it() -> None:
    now = 0.0

    def clock() -> float:
        return now

    torch.manual_seed(0)
    diner = Diner((COUNT,), 3, DinerSettings(lattice_size=16), torch.Generator().manual_seed(0))
    solver = TableFit(ValueProblem(colours()), diner, TrainingSettings(searches=3), 10_000, 5e-3, 10.0, clock)
    count = 0
    for _ in solver.steps():
        now += 0.2
        count += 1
    assert 45 <= count <= 51
