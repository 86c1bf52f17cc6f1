"""Smoothness of a complex field: the mean square of its differences to the next pixels.

Detail that the frames show to be absent may count more: by a factor for each ring of frequencies.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.propagation import frequencies
from napari_diner.solvers.lensless.total_variation import adjoint, difference

# number of rings into which frequencies up to the Nyquist frequency are divided
_RINGS = 24


def rings(shape: tuple[int, int]) -> Tensor:
    """Return the number of the ring to which each frequency of a grid belongs, (Y, X)."""
    return (torch.hypot(*frequencies(shape, 1.0)) * (2 * _RINGS)).long()


def ring_means(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean over each ring of a real image of frequencies, (Y, X), and their numbers; one for empty rings."""
    places = rings((image.shape[0], image.shape[1])).to(image.device).flatten()
    sums = torch.zeros(int(2**0.5 * _RINGS) + 1, dtype=image.dtype, device=image.device)
    counts = torch.bincount(places, minlength=len(sums)).clamp_min(1)
    return sums.index_add_(0, places, image.flatten()) / counts, counts


def curvature(shape: tuple[int, int], device: torch.device, factors: Tensor | None = None) -> Tensor:
    """Return the eigenvalues of DᵀD for the frequencies of a grid, (Y, X), times the factors of their rings."""
    fy, fx = frequencies(shape, 1.0)
    values = (4 * (torch.sin(torch.pi * fy) ** 2 + torch.sin(torch.pi * fx) ** 2)).float().to(device)
    return values if factors is None else values * factors[rings(shape).to(device)]


def roughness(field: Tensor, part: Tensor | None = None, factors: Tensor | None = None) -> tuple[float, Tensor]:
    """Return ``mean |DO|²`` of a field O, (Y, X), and its derivative by Re O plus i times that by Im O.

    D are the differences to the next pixels along both axes, of those pixels that `part` is true at, or of all; those
    across the edges do not count. The frequencies of each ring count `factors` times, at least once.
    """
    value, slope = 0.0, torch.zeros_like(field)
    for axis in (0, 1):
        step = _steps(field, axis, part)
        value += float((step.real**2 + step.imag**2).mean())
        slope += adjoint(step, axis)
    if factors is not None:
        further = _further(field, factors)(field)
        value += float(torch.vdot(field.flatten(), further.flatten()).real) / field.numel()
        slope += further
    return value, slope * (2 / field.numel())


def quadratic(field: Tensor, part: Tensor | None = None, factors: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """Return half the second derivative of `roughness` by log-amplitude and phase: ``O* DᵀD (O δ) / pixels``."""
    further = None if factors is None else _further(field, factors)

    def apply(change: Tensor) -> Tensor:
        moved, result = field * change, torch.zeros_like(field)
        for axis in (0, 1):
            result += adjoint(_steps(moved, axis, part), axis)
        if further is not None:
            result += further(moved)
        return field.conj() * result / field.numel()

    return apply


def _further(field: Tensor, factors: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the operator that multiplies frequencies by the curvature beyond that of a factor of one."""
    extra = curvature((field.shape[0], field.shape[1]), field.device, factors - 1)

    def apply(image: Tensor) -> Tensor:
        filtered: Tensor = ifft2(extra * torch.fft.fft2(image))
        return filtered

    return apply


def _steps(field: Tensor, axis: int, part: Tensor | None) -> Tensor:
    steps = difference(field, axis, periodic=False)
    return steps if part is None else steps.where(part, 0)
