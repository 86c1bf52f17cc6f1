"""The question of a fit: which parameters make a representation return values that are known?"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.representations.diner import Diner, Lattice

# keys that are read off a lattice at a time: many enough to share between threads, few enough to stay near a core
_PART = 1 << 17


class ValueProblem:
    """Values that a representation should return, and the misfit between the two.

    The misfit is the mean over all samples and outputs of ``(f_i − y_i)²``, where sample i counts `weights[i]` times.

    Parameters
    ----------
    targets
        Wanted outputs, (outputs, n), float32.
    weights
        How often each sample occurs, (n,); None if once.
    """

    def __init__(self, targets: Tensor, weights: Tensor | None = None) -> None:
        self.targets = targets
        self.weights = weights
        total = targets.shape[1] if weights is None else float(weights.sum(dtype=torch.float64))
        self.count = total * targets.shape[0]

    def loss(self, outputs: Tensor) -> Tensor:
        """Return the misfit of outputs, (outputs, n), as a scalar with gradients."""
        errors = (outputs - self.targets).square()
        if self.weights is not None:
            errors = errors * self.weights
        return errors.sum() / self.count

    @torch.no_grad()
    def exact_loss(self, diner: Diner) -> float:
        """Return the misfit of the exact network, added up in double precision, in parts that need little memory."""
        total = 0.0
        for start in range(0, self.targets.shape[1], _PART):
            part = slice(start, start + _PART)
            errors = torch.cat([diner.backbone(keys) for keys in diner.hash_table[part].split(8192)]).T
            errors = (errors - self.targets[:, part]).square_()
            if self.weights is not None:
                errors *= self.weights[part]
            total += float(errors.sum(dtype=torch.float64))
        return total / self.count

    def descend_lattice(self, diner: Diner) -> Tensor:
        """Put the gradient of the misfit, as seen through the lattice, into the parameters of a DINER.

        The keys are worked through in parts, so that no more than their gradient is held besides them.

        Returns
        -------
        Tensor
            The misfit, a scalar without gradients.
        """
        keys = diner.hash_table
        lattice = Lattice.covering(keys, diner.settings.lattice_size)
        values = lattice.evaluate(diner.backbone)
        leaf = values.detach().requires_grad_()
        towards_values = torch.zeros_like(leaf)
        if keys.grad is None:
            keys.grad = torch.empty_like(keys)
        total = keys.new_zeros(())
        for start in range(0, len(keys), _PART):
            part = slice(start, start + _PART)
            own = keys[part].detach().requires_grad_()
            outputs = lattice.read(leaf, own)
            errors = outputs.detach() - self.targets[:, part]
            weighted = errors if self.weights is None else errors * self.weights[part]
            total += (errors * weighted).sum()
            to_values, to_keys = torch.autograd.grad(outputs, (leaf, own), weighted * (2 / self.count))
            towards_values += to_values
            keys.grad[part] = to_keys
        values.backward(towards_values)
        return total / self.count
