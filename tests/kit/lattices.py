"""A lattice with values, keys and targets, for any kind of kernels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_diner.representations import interpolation
from napari_diner.representations.lattice import Lattice

WEIGHTED = pytest.mark.parametrize("weighted", [False, True])


def example(
    width: int, outputs: int, count: int, size: int, device: str = "cpu"
) -> tuple[Lattice, Tensor, Tensor, Tensor]:
    """Return a lattice, values at its points, keys in its cells but not at their borders, and targets."""
    generator = torch.Generator().manual_seed(0)
    cells = torch.randint(0, size - 1, (count, width), generator=generator)
    places = (cells + 0.1 + 0.8 * torch.rand(count, width, generator=generator)) / (size - 1)
    lattice = Lattice(torch.tensor([0.3, -2.0, 1.0][:width]), torch.tensor([0.5, 2.0, 1e-3][:width]), size)
    keys = lattice.centre + lattice.half * (2 * places - 1)
    values, targets = (torch.rand(shape, generator=generator) for shape in ((size**width, outputs), (outputs, count)))
    lattice = Lattice(lattice.centre.to(device), lattice.half.to(device), size)
    return lattice, values.to(device), keys.to(device), targets.to(device)


def compared(
    lattice: Lattice, values: Tensor, keys: Tensor, targets: Tensor, weights: Tensor | None
) -> tuple[Tensor, ...]:
    """Return a misfit, and its derivatives by values and keys."""
    to_keys = torch.full_like(keys, torch.nan)
    return (*lattice.misfit(values, keys, targets, weights, 0.25, to_keys), to_keys)


def torch_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave interpolation to torch."""
    monkeypatch.setattr(interpolation, "kernels_for", lambda values, keys: None)


def are_close(one: Tensor, other: Tensor) -> bool:
    """Return whether two arrays agree to rounding."""
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))
