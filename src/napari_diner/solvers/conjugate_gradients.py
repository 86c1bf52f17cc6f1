"""Preconditioned conjugate gradients for a symmetric positive system over complex images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_diner.device import captured

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
    recorded
        Record a step on a graphics card, see `napari_diner.device.captured`: worth it for many short ones. The
        operators must read nothing back from the card then.
    """

    def __init__(
        self,
        operator: Operator,
        right: Tensor,
        preconditioner: Operator,
        damping: float = 0.0,
        *,
        recorded: bool = True,
    ) -> None:
        solution, residual = torch.zeros_like(right), right.clone()
        # a preconditioner may return its argument
        direction = preconditioner(right).clone()
        square = inner(right, direction)

        def step() -> Tensor:
            # in place, so that the step can be recorded; without a reference to this object, which would keep the
            # recording alive in a cycle
            image = torch.add(operator(direction), direction, alpha=damping)
            length = square / inner(direction, image)
            solution.addcmul_(length.to(direction.dtype), direction)
            residual.addcmul_(-length.to(direction.dtype), image)
            preconditioned = preconditioner(residual)
            new_square = inner(residual, preconditioned)
            direction.mul_(new_square / square).add_(preconditioned)
            square.copy_(new_square)
            return square

        self.solution = solution
        """The solution so far; changed in place by each step."""
        self._square, self._first_square = square, square.clone()
        self._step = captured(step, right.device) if recorded else step

    def step(self) -> None:
        """Take one step along a new conjugate direction."""
        self._step()

    def converged(self, tolerance: float) -> bool:
        """Return whether the preconditioned residual has fallen below `tolerance` times the first one."""
        return not bool(self._square > tolerance**2 * self._first_square)
