"""Smoothness of a complex field: the mean square of its differences to the next pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_diner.solvers.lensless.total_variation import adjoint, difference


def roughness(field: Tensor, part: Tensor | None = None) -> tuple[float, Tensor]:
    """Return ``mean |DO|²`` of a field O, (Y, X), and its derivative by Re O plus i times that by Im O.

    D are the differences to the next pixels along both axes, of those pixels that `part` is true at, or of all; those
    across the edges do not count.
    """
    value, slope = 0.0, torch.zeros_like(field)
    for axis in (0, 1):
        step = _steps(field, axis, part)
        value += float((step.real**2 + step.imag**2).mean())
        slope += adjoint(step, axis)
    return value, slope * (2 / field.numel())


def quadratic(field: Tensor, part: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """Return half the second derivative of `roughness` by log-amplitude and phase: ``O* DᵀD (O δ) / pixels``."""

    def apply(change: Tensor) -> Tensor:
        moved, result = field * change, torch.zeros_like(field)
        for axis in (0, 1):
            result += adjoint(_steps(moved, axis, part), axis)
        return field.conj() * result / field.numel()

    return apply


def _steps(field: Tensor, axis: int, part: Tensor | None) -> Tensor:
    steps = difference(field, axis, periodic=False)
    return steps if part is None else steps.where(part, 0)
