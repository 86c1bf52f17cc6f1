"""Preconditioned conjugate gradients for a symmetric positive system over complex images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Operator = Callable[[Tensor], Tensor]


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Return Re ⟨a, b⟩: the inner product of two complex images read as pairs of real ones."""
    return torch.vdot(a.flatten(), b.flatten()).real


class ConjugateGradients:
    """Solve ``(A + μ) x = b`` step by step, from x = 0 (Hestenes and Stiefel, J. Res. NBS 49, 409 (1952)).

    Parameters
    ----------
    operator
        Applies A, symmetric and positive in the real inner product `inner`.
    right
        Right-hand side b, complex.
    preconditioner
        Applies an approximate inverse of A + μ, symmetric and positive.
    damping
        The number μ.
    """

    def __init__(self, operator: Operator, right: Tensor, preconditioner: Operator, damping: float = 0.0) -> None:
        self._operator = operator
        self._damping = damping
        self._preconditioner = preconditioner
        self.solution = torch.zeros_like(right)
        self._residual = right
        self._direction = preconditioner(right)
        self._square = inner(right, self._direction)
        self._first_square = self._square

    def step(self) -> None:
        """Take one step along a new conjugate direction."""
        image = self._operator(self._direction) + self._damping * self._direction
        length = self._square / inner(self._direction, image)
        self.solution = self.solution + length * self._direction
        self._residual = self._residual - length * image
        preconditioned = self._preconditioner(self._residual)
        square = inner(self._residual, preconditioned)
        self._direction = preconditioned + (square / self._square) * self._direction
        self._square = square

    def converged(self, tolerance: float) -> bool:
        """Return whether the preconditioned residual has fallen below `tolerance` times the first one."""
        return not bool(self._square > tolerance**2 * self._first_square)
