"""Free-space propagation of a scalar field between parallel planes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.optics import Optics


def frequencies(shape: tuple[int, int], pixel_size_um: float) -> tuple[Tensor, Tensor]:
    """Return the spatial frequencies fy, (Y, 1), and fx, (1, X), of the discrete Fourier transform in cycles/µm.

    Parameters
    ----------
    shape
        Pixels (Y, X) of the grid.
    pixel_size_um
        Distance between neighbouring pixels.
    """
    fy = torch.fft.fftfreq(shape[0], pixel_size_um, dtype=torch.float64)[:, None]
    fx = torch.fft.fftfreq(shape[1], pixel_size_um, dtype=torch.float64)[None, :]
    return fy, fx


def propagation_phase(fy: Tensor, fx: Tensor, distance_um: float, optics: Optics) -> Tensor:
    """Return the phase that each plane wave acquires, relative to the axial one.

    Exact: ``2πz (√((n/λ)² − f²) − n/λ)`` (Goodman, Introduction to Fourier Optics, Sec. 3.10); paraxial:
    ``−π (λ/n) z f²``. Both are zero for the axial wave, f = 0.

    Parameters
    ----------
    fy, fx
        Spatial frequencies in cycles/µm, of shapes that broadcast to (Y, X).
    distance_um
        Distance z along the light, negative for backwards.
    optics
        Wavelength, medium and method.

    Returns
    -------
    Tensor
        Float64, (Y, X), in radians; evanescent waves have the phase of f = n/λ.
    """
    cutoff = optics.medium_frequency
    f2 = fy**2 + fx**2
    if optics.method == "fresnel":
        return -math.pi * distance_um / cutoff * f2
    # √(c² − f²) − c = −f² / (√(c² − f²) + c): equal, but not the difference of two large numbers
    return -2 * math.pi * distance_um * f2 / ((cutoff**2 - f2).clamp_min(0).sqrt() + cutoff)


def passband(fy: Tensor, fx: Tensor, distance_um: float, optics: Optics, limit: bool) -> Tensor:
    """Return a mask (Y, X) of the plane waves that reach the other plane and are represented faithfully by the grid.

    Exact propagation excludes evanescent waves. `limit` also excludes waves whose transfer function oscillates faster
    than the frequency grid samples it, since they would re-enter from the opposite side of a periodic field:
    ``|fx| > (n/λ) / √((2 z Δfx)² + 1)`` and likewise for y (Matsushima and Shimobaba, Opt. Express 17, 19662 (2009),
    Eqs. 13 and 20); for paraxial propagation ``|fx| > (n/λ) / (2 z Δfx)``.

    Parameters
    ----------
    fy, fx
        Spatial frequencies of shape (Y, 1) and (1, X), in cycles/µm, as made by `frequencies`.
    distance_um, optics
        As for `propagation_phase`.
    limit
        Whether to limit the band.
    """
    cutoff, exact = optics.medium_frequency, optics.method == "angular_spectrum"
    band = fy**2 + fx**2 < cutoff**2 if exact else torch.ones(fy.shape[0], fx.shape[1], dtype=torch.bool)
    if limit:
        for f in (fy, fx):
            if f.numel() > 1:
                step = float(f.flatten()[1])
                steepness = 2 * abs(distance_um) * step
                highest = cutoff / math.hypot(steepness, 1) if exact else cutoff / max(steepness, 1e-30)
                band = band & (f.abs() <= highest)
    return band


def transfer_function(
    shape: tuple[int, int],
    optics: Optics,
    distance_um: float,
    *,
    band_limit: bool = True,
    shift_um: tuple[float, float] = (0.0, 0.0),
    dtype: torch.dtype = torch.complex64,
) -> Tensor:
    """Return the transfer function H of propagation over a distance, optionally followed by a shift.

    ``H = exp(iφ(f)) · exp(−2πi (fy·dy + fx·dx))`` with φ of `propagation_phase`, and zero outside `passband`. Phases
    are always computed in double precision: over a millimetre they reach thousands of radians.

    Parameters
    ----------
    shape
        Pixels (Y, X).
    optics
        Pixels, wavelength, medium and method.
    distance_um
        Distance z along the light, negative for backwards.
    band_limit
        Exclude waves that the grid cannot represent over this distance; see `passband`.
    shift_um
        Displacement (dy, dx) of the propagated field, down and to the right.
    dtype
        Complex type of the result.

    Returns
    -------
    Tensor
        Complex, (Y, X), in the frequency order of ``torch.fft.fft2``.
    """
    fy, fx = frequencies(shape, optics.pixel_size_um)
    phase = propagation_phase(fy, fx, distance_um, optics)
    if shift_um != (0.0, 0.0):
        phase = phase - 2 * math.pi * (fy * shift_um[0] + fx * shift_um[1])
    band = passband(fy, fx, distance_um, optics, band_limit)
    return torch.polar(band.to(torch.float64), phase).to(dtype)


def propagate(field: Tensor, transfer: Tensor) -> Tensor:
    """Propagate a field, ``F⁻¹[H · F[U]]``, periodic in y and x.

    Parameters
    ----------
    field
        Complex, (..., Y, X).
    transfer
        Transfer function H, (..., Y, X), as from `transfer_function`.
    """
    propagated: Tensor = ifft2(transfer * torch.fft.fft2(field))
    return propagated


def propagate_adjoint(field: Tensor, transfer: Tensor) -> Tensor:
    """Apply the adjoint of `propagate`, ``F⁻¹[H* · F[U]]``: propagation backwards."""
    propagated: Tensor = ifft2(transfer.conj() * torch.fft.fft2(field))
    return propagated
