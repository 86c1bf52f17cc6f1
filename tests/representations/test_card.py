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

if importlib.util.find_spec("triton") is None:
    pytest.skip("the kernels need triton", allow_module_level=True)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"

from napari_diner.representations import card  # noqa: E402  (the interpreter is chosen on import)

SIZE = 7
COUNT = 600


def example(width: int, outputs: int) -> tuple[Lattice, Tensor, Tensor, Tensor]:
    """Return a lattice, values at its points, keys in its cells but not at their borders, and targets."""
    generator = torch.Generator().manual_seed(0)
    cells = torch.randint(0, SIZE - 1, (COUNT, width), generator=generator)
    places = (cells + 0.1 + 0.8 * torch.rand(COUNT, width, generator=generator)) / (SIZE - 1)
    centre, half = torch.tensor([0.3, -2.0, 1.0][:width]), torch.tensor([0.5, 2.0, 1e-3][:width])
    lattice = Lattice(centre.to(DEVICE), half.to(DEVICE), SIZE)
    keys = lattice.centre + lattice.half * (2 * places.to(DEVICE) - 1)
    values = torch.rand(SIZE**width, outputs, generator=generator).to(DEVICE)
    return lattice, values, keys, torch.rand(outputs, COUNT, generator=generator).to(DEVICE)


def torch_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpolation, "FEWEST_KEYS", 1 << 40)


def are_close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize(("width", "outputs"), [(2, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("magnitude", [1.0, 1e-8])
def test_values_and_gradients_are_those_of_torch(
    width: int, outputs: int, magnitude: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lattice, values, keys, gradient = example(width, outputs)
    gradient = magnitude * (gradient - 0.3)
    torch_only(monkeypatch)
    inputs = (values.clone().requires_grad_(), keys.clone().requires_grad_())
    expected = lattice.read(*inputs)
    to_values, to_keys = torch.autograd.grad(expected, inputs, gradient)
    box = lattice.box
    assert are_close(card.read(box, values, keys), expected.detach())
    found = torch.full_like(keys, torch.nan)
    assert are_close(card.adjoint(box, values, keys, gradient, found), to_values)
    assert are_close(found, to_keys)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("width", "outputs"), [(2, 3), (3, 2)])
def test_the_misfit_and_its_gradients_are_those_of_torch(
    width: int, outputs: int, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lattice, values, keys, targets = example(width, outputs)
    weights = torch.rand(COUNT, device=DEVICE) + 0.5 if weighted else None
    torch_only(monkeypatch)
    to_keys = torch.full_like(keys, torch.nan)
    expected = (*lattice.misfit(values, keys, targets, weights, 0.25, to_keys), to_keys)
    to_keys = torch.full_like(keys, torch.nan)
    box = lattice.box
    for ours, theirs in zip(
        (*card.misfit(box, values, keys, Samples(targets, weights), 0.25, to_keys), to_keys), expected, strict=True
    ):
        assert are_close(ours, theirs)


@pytest.mark.parametrize("width", [2, 3])
def test_keys_outside_the_box_are_moved_to_its_edge(width: int) -> None:
    lattice, values, keys, _ = example(width, 2)
    box = lattice.box
    keys[:4] = torch.tensor([1e30, -1e30, torch.inf, torch.nan], device=DEVICE)[:, None]
    corners = card.read(box, values, keys)[:, :4].T
    last, first = values[-1], values[0]
    assert are_close(corners, torch.stack([last, first, last, first]))


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
