"""Plain pixels: every value of every sample is a parameter of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_diner.representations.base import Representation
from napari_diner.representations.settings import RepresentationSettings


class Pixels(Representation):
    """The values themselves as parameters, (outputs, *shape); they start at zero."""

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__(shape, outputs)
        self.values = nn.Parameter(torch.zeros(outputs, *shape))

    def forward(self) -> Tensor:
        """Return the values, (outputs, *shape)."""
        return self.values

    def exact(self) -> Tensor:
        """Return the values, (outputs, *shape)."""
        return self.values

    def sample(self, indices: Tensor) -> Tensor:
        """Return the values of the samples with these flat indices, (n,): (n, outputs)."""
        return self.values.flatten(1)[:, indices].T


def build(
    shape: tuple[int, ...], outputs: int, settings: RepresentationSettings, generator: torch.Generator | None = None
) -> Pixels:
    """Build pixels, all zero."""
    return Pixels(shape, outputs)
