"""Compiled interpolation agrees with that of torch to rounding for any keys."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_diner.representations import interpolation, threaded
from napari_diner.representations.lattice import Lattice
from tests.kit import lattices

pytest.importorskip("numba", reason="the compiled loops need numba")

SIZE = 12
pytestmark = pytest.mark.usefixtures("threads", "for_few_keys")


def example(width: int, outputs: int) -> tuple[Lattice, Tensor, Tensor, Tensor]:
    return lattices.example(width, outputs, 500, SIZE)


@pytest.mark.parametrize(("width", "outputs"), [(2, 1), (2, 3), (3, 2), (3, 5)])
def test_values_and_gradients_are_those_of_torch(width: int, outputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lattice, values, keys, weights = example(width, outputs)
    results = []
    for prepare in (lambda: None, lambda: lattices.torch_only(monkeypatch)):
        prepare()
        inputs = (values.clone().requires_grad_(), keys.clone().requires_grad_())
        read = lattice.read(*inputs)
        results.append((read.detach(), *torch.autograd.grad(read, inputs, weights)))
    for compiled, expected in zip(*results, strict=True):
        assert lattices.are_close(compiled, expected)


@lattices.WEIGHTED
@pytest.mark.parametrize(("width", "outputs"), [(2, 3), (3, 2)])
def test_the_misfit_and_its_gradients_are_those_of_torch(
    width: int, outputs: int, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lattice, values, keys, targets = example(width, outputs)
    weights = torch.rand(len(keys)) + 0.5 if weighted else None
    results = []
    for prepare in (lambda: None, lambda: lattices.torch_only(monkeypatch)):
        prepare()
        results.append(lattices.compared(lattice, values, keys, targets, weights))
    for compiled, expected in zip(*results, strict=True):
        assert lattices.are_close(compiled, expected)


@pytest.mark.parametrize("width", [2, 3])
def test_keys_outside_the_box_are_moved_to_its_edge(width: int) -> None:
    lattice, values, keys, _ = example(width, 2)
    far = torch.tensor([1e30, -1e30, torch.inf, -torch.inf])
    keys[:4] = far[:, None]
    corners = lattice.read(values, keys)[:, :4]
    assert torch.equal(corners, values[[-1, 0, -1, 0]].T)


@pytest.mark.parametrize("keys", [1, 4, 511, 513, 1030])
def test_any_number_of_keys_shares_the_corners_of_cells(keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lattice, values, some, gradient = lattices.example(2, 1, keys, SIZE)
    results = []
    for largest in (SIZE, SIZE - 1):
        monkeypatch.setattr(threaded, "_LARGEST_WITH_CORNERS", largest)
        inputs = (values.clone().requires_grad_(), some.clone().requires_grad_())
        read = lattice.read(*inputs)
        results.append((read.detach(), *torch.autograd.grad(read, inputs, gradient)))
    for compiled, expected in zip(*results, strict=True):
        assert lattices.are_close(compiled, expected)


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
