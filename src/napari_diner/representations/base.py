"""The base of representations."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Representation(nn.Module, ABC):
    """Values of samples as a function of learnable parameters.

    Parameters
    ----------
    shape
        Samples of the signal, e.g. (Y, X).
    outputs
        Quantities per sample.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.outputs = outputs

    @abstractmethod
    def forward(self) -> Tensor:
        """Return the values of all samples, (outputs, *shape), by the fastest method."""

    @abstractmethod
    def exact(self) -> Tensor:
        """Return the values of all samples, (outputs, *shape), without approximation."""

    @abstractmethod
    def sample(self, indices: Tensor) -> Tensor:
        """Return the values of the samples with these flat indices, (n,), without approximation: (n, outputs)."""

    def parameter_count(self) -> int:
        """Return the number of learnable parameters, including those of a table."""
        return sum(parameter.numel() for parameter in self.parameters())
