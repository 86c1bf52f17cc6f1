"""The protocol of every inverse problem: Eq. 4b without its unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from napari_diner.representations.unknown import Unknown

Batch = Sequence[int] | Tensor | None
"""Part of the data: numbers of frames, or flat indices of samples; None for all."""


class Evaluation(NamedTuple):
    """Value of a problem at an estimate, with its derivative.

    Parameters
    ----------
    loss
        Misfit and priors.
    gradient
        Derivative of `loss` by the estimate, of its shape; for complex estimates by Re plus i times that by Im.
    misfit
        The contribution of the data to the loss.
    """

    loss: float
    gradient: Tensor
    misfit: float


class Linearisation(Protocol):
    """The forward model linearised about an estimate: P(x + δ) ≈ P(x) + J δ."""

    def residual(self) -> Tensor:
        """Return model minus data at the estimate."""

    def apply(self, change: Tensor) -> Tensor:
        """Return J δ, a change of the data."""

    def adjoint(self, data: Tensor) -> Tensor:
        """Return Jᵀ d, a change of the estimate."""


class Problem(Protocol):
    """The loss ``L(P(x), y)`` of Eq. 4b, with priors and weights.

    Problems are immutable; methods such as `with_weights` of an implementation return another problem.
    """

    @property
    def device(self) -> torch.device:
        """Device of data and estimates."""

    def evaluate(self, estimate: Tensor) -> Evaluation:
        """Return loss, gradient and misfit at an estimate."""

    def linearise(self, estimate: Tensor) -> Linearisation:
        """Return the forward model linearised about an estimate."""

    def objective(self, unknown: Unknown) -> float:
        """Return the loss at the exact values of an unknown."""

    def batches(self, size: int | None, generator: torch.Generator | None) -> Sequence[Batch]:
        """Return the data in random parts of `size`, once each; ``[None]`` for all at once."""

    def descend(self, unknown: Unknown, batch: Batch, *, exact: bool) -> Tensor:
        """Add the gradient of the loss to ``.grad`` of the unknown's parameters; return the loss, a scalar.

        Parameters
        ----------
        unknown
            The represented estimate.
        batch
            One of `batches`; the loss of a part is scaled to all data.
        exact
            Evaluate representations exactly, not by their fast approximation.
        """


@runtime_checkable
class TakesSteps(Protocol):
    """A problem that can take a step of Adam with some parameters while it computes their gradient."""

    def descend_and_step(self, unknown: Unknown, optimizer: torch.optim.Adam) -> Tensor | None:
        """Do the same as `descend` with all data, and take the step with some parameters; their gradient is None.

        Returns None, without any change, if `descend` has to be called instead.
        """
