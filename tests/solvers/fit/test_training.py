"""Training of a DINER: Adam, searches during the run, and the final placement of keys."""

from __future__ import annotations

import functools
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from napari_diner.representations.diner import Diner
from napari_diner.representations.settings import CompleteDinerSettings
from napari_diner.representations.unknown import Values
from napari_diner.solvers.adam import AdamDescent
from napari_diner.solvers.fit.keys import KeyPlacement, KeySearch
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.settings import AdamSettings
from napari_diner.solvers.step import Step
from tests.solvers.clocks import Clock

COUNT = 600


def colours(seed: int = 0) -> Tensor:
    """Values of 3 outputs on a curved surface, with a little noise: (3, n)."""
    generator = torch.Generator().manual_seed(seed)
    u, v = torch.rand(2, COUNT, generator=generator)
    noise = 0.01 * torch.randn(3, COUNT, generator=generator)
    return torch.stack([u, v, 0.5 + 0.4 * torch.sin(3 * u + 2 * v)]) + noise


def build(targets: Tensor, **settings: Any) -> Diner:
    torch.manual_seed(0)
    values = {"hidden_features": 32, "lattice_size": 32, "key_range": 0.0} | settings
    generator = torch.Generator().manual_seed(0)
    return Diner((targets.shape[1],), 3, CompleteDinerSettings(**values), generator).to(targets.dtype)


def fit(
    targets: Tensor,
    weights: Tensor | None = None,
    *,
    epochs: int = 60,
    searches: int = 4,
    key_steps: int = 6,
    **settings: Any,
) -> tuple[Diner, list[Step]]:
    diner, problem = build(targets, **settings), ValueProblem(targets, weights)
    adam = AdamSettings(iterations=epochs, learning_rate=5e-3, patience=None)
    search = KeySearch(diner, targets, searches)
    steps = list(AdamDescent(problem, Values(diner), adam, polish=False, refinement=search).steps())
    list(KeyPlacement(diner, targets, key_steps, lambda: 0.0).steps())
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
    options = {"epochs": 25, "searches": searches, "evaluation": evaluation}
    shared, shared_steps = fit(targets, counts.double(), **options)
    alone, alone_steps = fit(targets.repeat_interleave(counts, 1), **options)
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
        searches: mean_square(fit(targets, epochs=150, searches=searches, key_range=1e-4)[0], targets)
        for searches in (0, 8)
    }
    assert reached[8] < 0.7 * reached[0]


def test_searches_are_spread_over_the_run_and_take_the_momentum_off_moved_keys() -> None:
    targets = colours()
    diner = build(targets, key_range=0.3)
    optimizer = torch.optim.Adam(diner.parameters())
    diner().square().sum().backward()
    optimizer.step()
    search = KeySearch(diner, targets, 4)
    before = diner.hash_table.detach().clone()
    due = [part / 100 for part in range(101) if search.is_due(part / 100) and not list(search.apply(optimizer))]
    # the first when there is a network to search, the last early enough for what moved to settle
    assert due == pytest.approx([0.08, 0.28, 0.47, 0.66])
    moved = (diner.hash_table.detach() != before).any(1)
    momentum = optimizer.state[diner.hash_table]["exp_avg"]
    assert 0 < int(moved.sum()) < COUNT
    assert float(momentum[moved].abs().max()) == 0 < float(momentum[~moved].abs().max())


def test_searches_take_a_small_part_of_a_limited_time() -> None:
    targets = colours()
    diner, clock = build(targets, key_range=0.3), Clock()

    class Slow:
        @property
        def state(self) -> dict[Tensor, Any]:
            clock.seconds += 0.4  # what a search takes
            return {}

    search, optimizer, done = KeySearch(diner, targets, 20, clock.budget(10.0)), Slow(), 0
    while clock.seconds < 10:
        clock.seconds += 0.08
        if search.is_due(clock.seconds / 10.0):
            list(search.apply(cast(torch.optim.Optimizer, optimizer)))
            done += 1
    # all twenty would take most of the time
    assert 2 <= done <= 4


def test_the_last_key_steps_only_help() -> None:
    targets = colours()
    rough, _ = fit(targets, epochs=30, key_steps=0)
    placed, _ = fit(targets, epochs=30, key_steps=6)
    assert mean_square(placed, targets) < mean_square(rough, targets)


def test_the_placement_reports_the_fraction_of_keys() -> None:
    targets = colours().repeat(1, 30)
    diner = build(targets, key_range=0.1)
    unknown = Values(diner)
    objective = functools.partial(ValueProblem(targets).objective, unknown)
    before = objective()
    placement = KeyPlacement(diner, targets, 1, objective)
    steps = list(placement.steps())
    assert [step.loss for step in steps] == [before, before, objective()]
    assert objective() < before
    assert [step.done for step in steps] == pytest.approx([8192 / 18_000, 16_384 / 18_000, 1.0])
    assert placement.result() is placement.current() is diner


def test_same_seed_same_result() -> None:
    targets = colours()
    first, _ = fit(targets, epochs=20, key_range=1e-4)
    second, _ = fit(targets, epochs=20, key_range=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_best_is_returned_when_a_run_diverges() -> None:
    targets = colours()
    diner, problem = build(targets), ValueProblem(targets)
    unknown = Values(diner)
    adam = AdamSettings(iterations=41, learning_rate=5e-3, schedule="constant", patience=None)
    solver = AdamDescent(problem, unknown, adam, polish=False)
    running = solver.steps()
    best = min(next(running).loss for _ in range(40))
    with torch.no_grad():
        diner.hash_table.fill_(7.0)  # what a run that diverged leaves behind
    unknown.load_state_dict(dict(solver.result().parameters))
    assert problem.objective(unknown) < 2 * best


def test_a_time_limit_ends_the_run_and_anneals_over_it() -> None:
    targets = colours()
    diner, clock = build(targets, lattice_size=16), Clock()
    adam = AdamSettings(iterations=10_000, learning_rate=5e-3, patience=None)
    solver = AdamDescent(
        ValueProblem(targets), Values(diner), adam, clock.budget(10.0), refinement=KeySearch(diner, targets, 3)
    )
    count = 0
    for _ in solver.steps():
        clock.seconds += 0.2
        count += 1
    assert 45 <= count <= 52
