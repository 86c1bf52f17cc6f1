"""Zernike polynomials: modes of the phase of a pupil.

Modes are numbered as by R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976), and normalised to a root mean square of one over
the unit disc, so that a coefficient in radians is the RMS phase of its mode: with θ from +x towards +y,

    Z_j = √(n+1) R_n^0(r)  for m = 0,      √(2n+2) R_n^m(r) cos mθ  for even j,      √(2n+2) R_n^m(r) sin mθ  for odd j,
    R_n^m(r) = Σ_k (−1)^k (n−k)! / (k! ((n+m)/2−k)! ((n−m)/2−k)!) r^(n−2k).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

FIRST_MODE = 4
"""The first mode with an effect that is not a constant or a displacement: piston and tilts are 1 to 3."""


def degrees(mode: int) -> tuple[int, int]:
    """Return the radial degree n and the azimuthal degree m ≥ 0 of a mode, which counts from one."""
    n = (math.isqrt(8 * mode - 7) - 1) // 2
    place = mode - n * (n + 1) // 2
    return n, 2 * (place // 2) if n % 2 == 0 else 2 * ((place - 1) // 2) + 1


def zernike(mode: int, y: Tensor, x: Tensor) -> Tensor:
    """Return a mode at some points.

    Parameters
    ----------
    mode
        Noll's number j, from one.
    y, x
        Coordinates, in radii of the disc, of shapes that broadcast.
    """
    n, m = degrees(mode)
    square = x**2 + y**2
    radial = torch.zeros_like(square)
    for k in range((n - m) // 2 + 1):
        below = math.factorial(k) * math.factorial((n + m) // 2 - k) * math.factorial((n - m) // 2 - k)
        # a sum over powers of r², from the highest down; the remaining r^m is part of the angular factor
        radial = radial * square + (-1) ** k * math.factorial(n - k) // below
    if m == 0:
        return math.sqrt(n + 1) * radial
    angular = torch.complex(*torch.broadcast_tensors(x, y)) ** m
    return math.sqrt(2 * n + 2) * radial * (angular.real if mode % 2 == 0 else angular.imag)


def wavefront(coefficients_rad: Sequence[float], y: Tensor, x: Tensor) -> Tensor:
    """Return the phase ``W = Σ_j a_j Z_j`` at some points, in rad; see `zernike`.

    Parameters
    ----------
    coefficients_rad
        a_j of the modes from `FIRST_MODE` on.
    y, x
        Coordinates, in radii of the disc, of shapes that broadcast.
    """
    phase = torch.zeros_like(x + y)
    for mode, coefficient in enumerate(coefficients_rad, FIRST_MODE):
        if coefficient:
            phase = phase + coefficient * zernike(mode, y, x)
    return phase
