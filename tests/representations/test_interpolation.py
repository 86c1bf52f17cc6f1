"""Compiled interpolation agrees with that of torch to rounding for any keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from napari_diner.representations import interpolation
from napari_diner.representations.lattice import Lattice

pytest.importorskip("numba", reason="the compiled loops need numba")

SIZE = 12


@pytest.fixture(params=[1, 3], autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Share the work between threads, also unevenly."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def for_few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpolation, "FEWEST_KEYS", 1)


def example(width: int, outputs: int, count: int = 500) -> tuple[Lattice, Tensor, Tensor, Tensor]:
    """Return a lattice, values at its points, keys in its cells but not at their borders, and targets."""
    generator = torch.Generator().manual_seed(0)
    cells = torch.randint(0, SIZE - 1, (count, width), generator=generator)
    places = (cells + 0.1 + 0.8 * torch.rand(count, width, generator=generator)) / (SIZE - 1)
    lattice = Lattice(torch.tensor([0.3, -2.0, 1.0][:width]), torch.tensor([0.5, 2.0, 1e-3][:width]), SIZE)
    keys = lattice.centre + lattice.half * (2 * places - 1)
    return lattice, torch.rand(SIZE**width, outputs, generator=generator), keys, torch.rand(outputs, count)


def torch_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpolation, "FEWEST_KEYS", 1 << 40)


@pytest.mark.parametrize(("width", "outputs"), [(2, 1), (2, 3), (3, 2), (3, 5)])
def test_values_and_gradients_are_those_of_torch(width: int, outputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lattice, values, keys, weights = example(width, outputs)
    results = []
    for prepare in (lambda: None, lambda: torch_only(monkeypatch)):
        prepare()
        inputs = (values.clone().requires_grad_(), keys.clone().requires_grad_())
        read = lattice.read(*inputs)
        results.append((read.detach(), *torch.autograd.grad(read, inputs, weights)))
    for compiled, expected in zip(*results, strict=True):
        assert torch.allclose(compiled, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("width", "outputs"), [(2, 3), (3, 2)])
def test_the_misfit_and_its_gradients_are_those_of_torch(
    width: int, outputs: int, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lattice, values, keys, targets = example(width, outputs)
    weights = torch.rand(len(keys)) + 0.5 if weighted else None
    results = []
    for prepare in (lambda: None, lambda: torch_only(monkeypatch)):
        prepare()
        to_keys = torch.full_like(keys, torch.nan)
        results.append((*lattice.misfit(values, keys, targets, weights, 0.25, to_keys), to_keys))
    for compiled, expected in zip(*results, strict=True):
        assert torch.allclose(compiled, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("width", [2, 3])
def test_keys_outside_the_box_are_moved_to_its_edge(width: int) -> None:
    lattice, values, keys, _ = example(width, 2)
    far = torch.tensor([1e30, -1e30, torch.inf, -torch.inf])
    keys[:4] = far[:, None]
    corners = lattice.read(values, keys)[:, :4]
    assert torch.equal(corners, values[[-1, 0, -1, 0]].T)


def test_keys_that_are_not_numbers_read_nothing_beyond_the_lattice() -> None:
    lattice, values, keys, _ = example(2, 1)
    keys[7] = torch.nan
    assert 0 <= float(lattice.read(values, keys)[0, 7]) <= 1


def test_small_tables_and_other_precisions_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    _, values, keys, _ = example(2, 1)
    assert interpolation.kernels_for(values, keys) is not None
    assert interpolation.kernels_for(values.double(), keys.double()) is None
    monkeypatch.setattr(interpolation, "FEWEST_KEYS", 501)
    assert interpolation.kernels_for(values, keys) is None
