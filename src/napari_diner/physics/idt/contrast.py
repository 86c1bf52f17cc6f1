"""Permittivity contrast and refractive index, Eq. 7 of the DINER paper both ways."""

from __future__ import annotations

import torch
from torch import Tensor


def refractive_index(contrast: Tensor, medium_index: float) -> tuple[Tensor, Tensor]:
    """Return the refractive index of a permittivity contrast.

    With a = n0² + Δε_re, ``n_re = √(½(a + √(a² + Δε_im²)))`` and ``n_im = Δε_im / (2 n_re)`` (Eq. 7): the square root
    of n0² + Δε in the complex plane.

    Parameters
    ----------
    contrast
        Δε_re and Δε_im, real, (2, ...).
    medium_index
        Refractive index n0 of the medium.

    Returns
    -------
    n_re, n_im
        Real, (...). A positive n_im absorbs.
    """
    real, imaginary = medium_index**2 + contrast[0], contrast[1]
    # ten times as fast as the square root of complex numbers; the larger part is computed without cancellation
    larger = ((real.abs() + torch.hypot(real, imaginary)) / 2).sqrt().clamp_min(1e-30)
    smaller = imaginary / (2 * larger)
    is_negative = real < 0
    n_re = torch.where(is_negative, smaller.abs(), larger)
    return n_re, torch.where(is_negative, torch.copysign(larger, imaginary), smaller)


def permittivity_contrast(n_re: Tensor, n_im: Tensor | None, medium_index: float) -> Tensor:
    """Return the contrast ``Δε = n² − n0²`` of a refractive index, (2, ...); the inverse of `refractive_index`.

    Parameters
    ----------
    n_re, n_im
        Real and imaginary part of the index, (...); no absorption if `n_im` is None.
    medium_index
        Refractive index n0 of the medium.
    """
    # (n − n0)(n + n0) preserves the digits of a weak contrast that n² − n0² would lose
    real = (n_re - medium_index) * (n_re + medium_index)
    if n_im is None:
        return torch.stack([real, torch.zeros_like(real)])
    return torch.stack([real - n_im**2, 2 * n_re * n_im])
