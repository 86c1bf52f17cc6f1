"""Tests for every linear operator.

Write a class ``TestName(AdjointMixin)`` with a fixture ``operator`` that returns an `Operator`; give the fixture
``params`` to test several. Where a test of its own serves better, call `assert_adjoint`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from tests.kit.fields import noise

Map = Callable[[Tensor], Tensor]
TOLERANCE = 1e-10
"""Largest relative error of an adjoint in double precision."""


@dataclass(frozen=True)
class Operator:
    """A linear operator A and its adjoint.

    Parameters
    ----------
    forward, adjoint
        x → Ax and y → A*y, in double precision.
    domain, codomain
        Shapes of x and y.
    real_domain, real_codomain
        Whether x or y is real. Unless both are complex, A is linear over the real numbers and the inner products are
        real parts.
    """

    forward: Map
    adjoint: Map
    domain: tuple[int, ...]
    codomain: tuple[int, ...]
    real_domain: bool = False
    real_codomain: bool = False

    def argument(self, seed: int) -> Tensor:
        """Return a random x."""
        return noise(self.domain, seed, torch.float64 if self.real_domain else torch.complex128)

    def value(self, seed: int) -> Tensor:
        """Return a random y."""
        return noise(self.codomain, seed, torch.float64 if self.real_codomain else torch.complex128)


class AdjointMixin:
    """Adjointness, linearity, shapes and types of the operator of the fixture ``operator``."""

    @pytest.fixture
    def operator(self) -> Operator:
        raise NotImplementedError("give the class a fixture that returns the operator to test")

    def test_adjoint(self, operator: Operator) -> None:
        assert_adjoint(operator.forward, operator.adjoint, operator.argument(1), operator.value(2))

    def test_linear(self, operator: Operator) -> None:
        factor = 0.3 if operator.real_domain or operator.real_codomain else 0.3 - 1.7j
        for apply, first, second in (
            (operator.forward, operator.argument(3), operator.argument(4)),
            (operator.adjoint, operator.value(5), operator.value(6)),
        ):
            torch.testing.assert_close(
                apply(first + factor * second), apply(first) + factor * apply(second), rtol=1e-9, atol=1e-10
            )

    def test_shapes_and_types(self, operator: Operator) -> None:
        x, y = operator.argument(7), operator.value(8)
        assert (operator.forward(x).shape, operator.forward(x).dtype) == (y.shape, y.dtype)
        assert (operator.adjoint(y).shape, operator.adjoint(y).dtype) == (x.shape, x.dtype)


def inner(a: Tensor, b: Tensor) -> complex:
    """Return ⟨a, b⟩."""
    return complex((a.conj() * b).sum())


def assert_adjoint(forward: Map, adjoint: Map, x: Tensor, y: Tensor, tolerance: float = TOLERANCE) -> None:
    """Check that ⟨Ax, y⟩ = ⟨x, A*y⟩, relative to ‖x‖ ‖y‖, and that it is not trivially zero."""
    left, right = inner(forward(x), y), inner(x, adjoint(y))
    if not (x.is_complex() and y.is_complex()):
        left, right = complex(left.real), complex(right.real)
    assert abs(left - right) < tolerance * float(x.norm() * y.norm())
    assert abs(left) > 0
