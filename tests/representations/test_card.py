"""The kernels for graphics cards agree with torch: on a card, or in Triton's interpreter where there is none."""

from __future__ import annotations

import importlib.util
import os

import pytest
import torch
from torch import Tensor

from napari_diner.representations import interpolation
from napari_diner.representations.interpolation import Samples
from napari_diner.representations.lattice import Lattice
from tests.kit import lattices

if importlib.util.find_spec("triton") is None:
    pytest.skip("the kernels need triton", allow_module_level=True)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"

from napari_diner.representations import card  # noqa: E402  (the interpreter is chosen on import)

SIZE = 7
COUNT = 600


def example(width: int, outputs: int) -> tuple[Lattice, Tensor, Tensor, Tensor]:
    return lattices.example(width, outputs, COUNT, SIZE, DEVICE)


@pytest.mark.parametrize(("width", "outputs"), [(2, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("magnitude", [1.0, 1e-8])
def test_values_and_gradients_are_those_of_torch(
    width: int, outputs: int, magnitude: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lattice, values, keys, gradient = example(width, outputs)
    gradient = magnitude * (gradient - 0.3)
    lattices.torch_only(monkeypatch)
    inputs = (values.clone().requires_grad_(), keys.clone().requires_grad_())
    expected = lattice.read(*inputs)
    to_values, to_keys = torch.autograd.grad(expected, inputs, gradient)
    box = lattice.box
    assert lattices.are_close(card.read(box, values, keys), expected.detach())
    found = torch.full_like(keys, torch.nan)
    assert lattices.are_close(card.adjoint(box, values, keys, gradient, found), to_values)
    assert lattices.are_close(found, to_keys)


@lattices.WEIGHTED
@pytest.mark.parametrize(("width", "outputs"), [(2, 3), (3, 2)])
def test_the_misfit_is_that_of_torch(width: int, outputs: int, weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lattice, values, keys, targets = example(width, outputs)
    weights = torch.rand(COUNT, device=DEVICE) + 0.5 if weighted else None
    lattices.torch_only(monkeypatch)
    expected = lattices.compared(lattice, values, keys, targets, weights)
    monkeypatch.setattr(interpolation, "kernels_for", lambda values, keys: card)
    for ours, theirs in zip(lattices.compared(lattice, values, keys, targets, weights), expected, strict=True):
        assert lattices.are_close(ours, theirs)


@pytest.mark.parametrize("width", [2, 3])
def test_keys_outside_the_box_are_moved_to_its_edge(width: int) -> None:
    lattice, values, keys, _ = example(width, 2)
    box = lattice.box
    keys[:4] = torch.tensor([1e30, -1e30, torch.inf, torch.nan], device=DEVICE)[:, None]
    corners = card.read(box, values, keys)[:, :4].T
    last, first = values[-1], values[0]
    assert lattices.are_close(corners, torch.stack([last, first, last, first]))


def test_sums_do_not_depend_on_the_order_of_keys() -> None:
    lattice, values, keys, targets = example(2, 3)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    box, to_keys = lattice.box, torch.empty_like(keys)
    _, one = card.misfit(box, values, keys, Samples(targets, None), 1.0, to_keys)
    _, other = card.misfit(box, values, keys[order], Samples(targets[:, order], None), 1.0, to_keys)
    assert torch.equal(one, other)


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_the_nearest_value_is_that_of_a_search_by_distances(outputs: int) -> None:
    generator = torch.Generator().manual_seed(2)
    values = torch.rand(150, outputs, generator=generator).to(DEVICE)
    targets = (1.4 * torch.rand(outputs, COUNT, generator=generator) - 0.2).to(DEVICE)
    distances = torch.cdist(targets.T, values)
    chosen = card.nearest(values, targets)
    squares = distances.gather(1, chosen[:, None])[:, 0].square()
    assert bool((squares <= distances.amin(1).square() + 1e-6).all())
