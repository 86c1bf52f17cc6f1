"""A compiled step of Adam with all keys agrees with torch's Adam on the derivative of the misfit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_diner.representations import interpolation
from napari_diner.representations.lattice import Lattice
from napari_diner.solvers.moments import next_moments
from tests.kit import lattices

pytest.importorskip("numba", reason="the compiled loops need numba")

RATE, STEPS = 1e-3, 3
# more than two blocks of a thread, which no vector fills evenly
COUNT, SIZE = 3301, 12
pytestmark = pytest.mark.usefixtures("threads", "for_few_keys")


def adam(keys: Tensor) -> torch.optim.Adam:
    return torch.optim.Adam([keys], lr=RATE, betas=(0.9, 0.99), eps=1e-15)


def stepped(
    lattice: Lattice, values: Tensor, keys: Tensor, targets: Tensor, weights: Tensor | None
) -> tuple[Tensor, ...]:
    """Return keys and moments after some steps, and what the last one has found."""
    keys = keys.clone()
    optimizer = adam(keys)
    for _ in range(STEPS):
        moments = next_moments(optimizer, keys)
        found = lattice.step(values, keys, interpolation.Samples(targets, weights), 0.25, moments)
    assert torch.equal(found.low, keys.amin(0)) and torch.equal(found.high, keys.amax(0))
    return keys, moments.averages, moments.squares, found.misfit, found.to_values


@lattices.WEIGHTED
@pytest.mark.parametrize(("width", "outputs"), [(2, 1), (2, 3), (3, 4), (3, 9)])
def test_steps_are_those_of_torch(width: int, outputs: int, weighted: bool) -> None:
    lattice, values, start, targets = lattices.example(width, outputs, COUNT, SIZE)
    weights = torch.rand(COUNT, generator=torch.Generator().manual_seed(1)) + 0.5 if weighted else None
    keys = start.clone().requires_grad_()
    keys.grad = torch.empty_like(keys)
    optimizer = adam(keys)
    for _ in range(STEPS):
        misfit, to_values = lattice.misfit(values, keys.detach(), targets, weights, 0.25, keys.grad)
        optimizer.step()
    state = optimizer.state[keys]
    expected = (keys.detach(), state["exp_avg"], state["exp_avg_sq"], misfit, to_values)
    found = stepped(lattice, values, start, targets, weights)
    for one, other in zip(found, expected, strict=True):
        assert lattices.are_close(one, other)
    # compared with how far the keys have moved
    assert float((found[0] - expected[0]).abs().max()) < 1e-3 * float((expected[0] - start).abs().max())


@pytest.mark.parametrize(("width", "outputs"), [(2, 3), (3, 9)])
def test_repeated_steps_are_equal(width: int, outputs: int) -> None:
    example = lattices.example(width, outputs, COUNT, SIZE)
    for one, other in zip(stepped(*example, None), stepped(*example, None), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("width", [2, 3])
def test_keys_that_are_far_or_no_numbers_reach_nothing_beyond_the_lattice(width: int) -> None:
    lattice, values, keys, targets = lattices.example(width, 2, COUNT, SIZE)
    far = torch.tensor([1e30, -1e30, torch.inf, -torch.inf, torch.nan])
    keys[: len(far)] = far[:, None]
    corners = values[[-1, 0, -1, 0, 0]].T
    targets[:, : len(far)] = corners
    before = keys.clone()
    found = lattice.step(values, keys, interpolation.Samples(targets, None), 0.25, next_moments(adam(keys), keys))
    rest = lattice.read(values, before[len(far) :]) - targets[:, len(far) :]
    assert float(found.misfit) == pytest.approx(0.25 * float(rest.square().sum()), rel=1e-4)
    assert bool(found.to_values.isfinite().all())


def test_small_tables_and_those_with_gaps_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    _, values, keys, _ = lattices.example(2, 3, COUNT, SIZE)
    assert interpolation.can_step(values, keys)
    assert not interpolation.can_step(values, keys.T.contiguous().T)
    assert not interpolation.can_step(values.double(), keys.double())
    monkeypatch.setattr(interpolation, "FEWEST_KEYS", COUNT + 1)
    assert not interpolation.can_step(values, keys)
