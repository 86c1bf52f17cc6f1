"""The problem of a fit: parameters with which a representation returns given values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.representations import interpolation
from napari_diner.representations.diner import Diner, chunk_size
from napari_diner.representations.unknown import Unknown
from napari_diner.solvers.moments import next_moments
from napari_diner.solvers.problem import Batch, Evaluation

# number of keys to interpolate on a lattice at a time: enough for several threads, few enough for the cache
_PART = 1 << 17


class ValueProblem:
    """Values that a representation should return, and the misfit: Eq. 4b with P the identity; a `Problem`.

    The misfit is the mean over all samples and outputs of ``(f_i − y_i)²``, where sample i counts `weights[i]` times.

    Parameters
    ----------
    targets
        Values to be returned, (outputs, n), float32.
    weights
        How often each sample occurs, (n,); None if once.
    """

    priors = None

    def __init__(self, targets: Tensor, weights: Tensor | None = None) -> None:
        self.targets = targets
        self.weights = weights
        total = targets.shape[1] if weights is None else float(weights.sum(dtype=torch.float64))
        self.count = total * targets.shape[0]

    @property
    def device(self) -> torch.device:
        """Device of the values."""
        return self.targets.device

    def loss(self, outputs: Tensor) -> Tensor:
        """Return the misfit of outputs, (outputs, n), as a scalar with gradients."""
        errors = (outputs - self.targets).square()
        if self.weights is not None:
            errors = errors * self.weights
        return errors.sum() / self.count

    def evaluate(self, estimate: Tensor) -> Evaluation:
        """Return the misfit of outputs, (outputs, n), and its derivative, ``2 w (f − y) / count``."""
        errors = estimate - self.targets
        weighted = errors if self.weights is None else errors * self.weights
        misfit = float((errors * weighted).sum(dtype=torch.float64)) / self.count
        return Evaluation(misfit, weighted * (2 / self.count), misfit)

    def linearise(self, estimate: Tensor) -> Identity:
        """Return the linearisation, which is the identity."""
        return Identity(estimate - self.targets)

    @torch.no_grad()
    def objective(self, unknown: Unknown) -> float:
        """Return the misfit of the exact outputs; a DINER is evaluated in parts to save memory."""
        (representation,) = unknown.parts
        if not isinstance(representation, Diner):
            return self.evaluate(unknown.exact().flatten(1)).loss
        total = 0.0
        for start in range(0, self.targets.shape[1], _PART):
            part = slice(start, start + _PART)
            keys = representation.hash_table[part]
            errors = torch.cat([representation.backbone(some) for some in keys.split(chunk_size(keys))]).T
            errors = (errors - self.targets[:, part]).square_()
            if self.weights is not None:
                errors *= self.weights[part]
            total += float(errors.sum(dtype=torch.float64))
        return total / self.count

    def batches(self, size: int | None, generator: torch.Generator | None) -> Sequence[Batch]:
        """Return the indices of the samples in random parts of `size`; ``[None]`` for all at once."""
        if size is None:
            return [None]
        order = torch.randperm(self.targets.shape[1], generator=generator).to(self.device)
        return list(order.split(size))

    def descend(self, unknown: Unknown, batch: Batch, *, exact: bool) -> Tensor:
        """Add the gradient of the misfit to the parameters of an unknown; return the misfit.

        A DINER is evaluated through its lattice unless its settings or `exact` ask for the network; a part of the
        samples is evaluated directly.
        """
        (representation,) = unknown.parts
        if isinstance(representation, Diner):
            representation.forget_extent()
        if isinstance(batch, Tensor):
            loss = (representation.sample(batch) - self.targets[:, batch].T).square().mean()
        elif isinstance(representation, Diner) and representation.settings.evaluation == "lattice" and not exact:
            return self._descend_lattice(representation)
        else:
            loss = self.loss(representation.exact().flatten(1))
        loss.backward()
        return loss.detach()

    def descend_and_step(self, unknown: Unknown, optimizer: torch.optim.Adam) -> Tensor | None:
        """Take the step with the keys of a DINER, too, if it is evaluated through its lattice; see `TakesSteps`."""
        (representation,) = unknown.parts
        if isinstance(representation, Diner) and representation.settings.evaluation == "lattice":
            return self._descend_lattice(representation, optimizer)
        return None

    def _descend_lattice(self, diner: Diner, optimizer: torch.optim.Adam | None = None) -> Tensor:
        """Compute the gradient of the misfit by the parameters of a DINER through its lattice.

        With compiled loops, the step of an optimiser with the keys is taken in the same pass over them.
        """
        keys, lattice = diner.hash_table, diner.lattice_of_keys()
        values, scale = lattice.evaluate(diner.backbone), 1 / self.count
        if optimizer is not None and interpolation.can_step(values, keys):
            samples = interpolation.Samples(self.targets, self.weights)
            moments = next_moments(optimizer, keys)
            loss, to_values, *extent = lattice.step(values.detach(), keys.detach(), samples, scale, moments)
            diner.remember_extent(*extent)
            keys.grad = None
        else:
            diner.forget_extent()
            if keys.grad is None:
                keys.grad = torch.empty_like(keys)
            loss, to_values = lattice.misfit(
                values.detach(), keys.detach(), self.targets, self.weights, scale, keys.grad
            )
        values.backward(to_values)
        return loss


@dataclass(frozen=True)
class Identity:
    """The identity as a `Linearisation`."""

    difference: Tensor
    """Estimate minus data."""

    def residual(self) -> Tensor:
        """Return estimate minus data."""
        return self.difference

    def apply(self, change: Tensor) -> Tensor:
        """Return the change."""
        return change

    def adjoint(self, data: Tensor) -> Tensor:
        """Return the data."""
        return data
