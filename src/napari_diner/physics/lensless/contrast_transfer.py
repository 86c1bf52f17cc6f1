"""Weak objects: intensity contrast as a linear function of log-amplitude and phase.

For O = a₀ exp(l + iφ) with small l and φ, the relative contrast of the amplitude at height z is linear,
``|U_z|/a₀ − 1 ≈ Re[PSF_z ∗ (l + iφ)]``, and diagonal in frequency: ``C_z L + S_z Φ``, with the transfer functions
``C = [H(f) + H*(−f)]/2`` (cos χ for a symmetric H = exp(−iχ)) and ``S = i[H(f) − H*(−f)]/2`` (sin χ). See Guigay,
Optik 49, 121 (1977), and Cloetens et al., Appl. Phys. Lett. 75, 2912 (1999).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.lensless.multiheight import LenslessModel


def mirrored(spectrum: Tensor) -> Tensor:
    """Return the spectrum at −f, in the frequency order of ``torch.fft.fft2``."""
    return torch.roll(torch.flip(spectrum, (-2, -1)), (1, 1), (-2, -1))


def contrast_transfer(transfer: Tensor) -> tuple[Tensor, Tensor]:
    """Return the contrast transfer functions C of log-amplitude and S of phase, (Y, X), for a transfer function H.

    Parameters
    ----------
    transfer
        Transfer function H of the field, (Y, X).
    """
    opposite = mirrored(transfer).conj()
    return (transfer + opposite) / 2, 0.5j * (transfer - opposite)


def frame_contrast(model: LenslessModel, frame: int) -> tuple[Tensor, Tensor]:
    """Return C and S of a frame, (Y', X'): the mean over the waves of its light, and less where the source blurs."""
    heights, transfer = model.heights, model.transfer(frame)
    C, S = contrast_transfer(transfer)
    if heights.is_coherent:
        return C, S
    # the transfer functions contain the roots of the weights
    roots = torch.tensor([weight**0.5 for _, weight in heights.lines], dtype=C.dtype, device=C.device)
    blur = heights.blur(frame, model.padding.padded_shape, model.real_dtype).to(model.device)
    return torch.einsum("m,myx->yx", roots, C) * blur, torch.einsum("m,myx->yx", roots, S) * blur


class ContrastPower(NamedTuple):
    """Response of all heights together to each frequency."""

    amplitude: Tensor
    """Σ_z |C_z|², (Y', X')."""
    phase: Tensor
    """Σ_z |S_z|², (Y', X'): zero for a constant phase, which leaves no trace at any height."""


def contrast_power(model: LenslessModel) -> ContrastPower:
    """Return the contrast transfer of log-amplitude and of phase, squared and summed over the heights."""
    amplitude = torch.zeros(model.padding.padded_shape, dtype=model.real_dtype, device=model.device)
    phase = torch.zeros_like(amplitude)
    for frame in range(model.frames):
        C, S = frame_contrast(model, frame)
        amplitude += C.abs() ** 2
        phase += S.abs() ** 2
    return ContrastPower(amplitude, phase)


def shift_power(model: LenslessModel, field: Tensor) -> Tensor:
    """Return the response of all heights together to slow phase, which shifts their patterns.

    A phase of gradient ∇φ tilts the light and displaces the pattern at height z by λz/2π ∇φ (λ in the medium). Where
    the amplitude |U_z| has texture, a phase of frequency f changes it by ``(λz/2π) ∇φ·∇|U_z|``, of mean square
    ``(λ z f)² ⟨|∇|U_z||²⟩ / 2`` for texture without a preferred direction. This decreases with f² towards slow phase,
    while the contrast transfer of a weak object, |S_z|², to which it adds, decreases with f⁴.

    Parameters
    ----------
    model
        The multi-height model.
    field
        Complex field O, (Y, X), whose patterns are evaluated.

    Returns
    -------
    Tensor
        Relative to the brightness of the illuminated object, as `ContrastPower`, (Y', X'); limited to half the largest
        contrast, as the estimate does not hold for high frequencies.
    """
    heights, optics, pixels = model.heights, model.heights.optics, math.prod(model.field_of_view)
    lit = model.lit(field)
    brightness = float((lit.real**2 + lit.imag**2).mean())
    slope = 0.0
    for frame, at, U in model.propagated(field):
        amplitude = model.sensor_at(frame, at).gathered(U.real**2 + U.imag**2).clamp_min(0).sqrt()
        part = amplitude.numel() / pixels
        texture = sum(part * float(torch.diff(amplitude, dim=axis).square().mean()) for axis in (-2, -1))
        blur = optics.wavelength_in_medium_um * heights.distances_um[frame] / optics.pixel_size_um
        slope += blur**2 * texture / 2
    largest = sum(heights.strength(frame) ** 2 for frame in range(model.frames))
    fy, fx = (
        torch.fft.fftfreq(size, optics.pixel_size_um, dtype=field.real.dtype, device=model.device)
        for size in model.padding.padded_shape
    )
    power: Tensor = (slope / max(brightness, 1e-30)) * (fy[:, None] ** 2 + fx[None, :] ** 2)
    return power.clamp_max(largest / 2)


def contrast_transfer_inverse(model: LenslessModel, amplitudes: Tensor, damping: float = 1e-3) -> Tensor:
    """Return the field O of a weak object, (Y, X), from the square roots of the recorded intensities.

    At each frequency, the 2×2 least-squares problem of all heights is solved for log-amplitude and phase, with
    `damping` times the number of heights added to its diagonal.

    Parameters
    ----------
    model
        The multi-height model.
    amplitudes
        Square roots of the recorded intensities, real, (N, Y, X); interpolated if the sensor's pixels are larger.
    damping
        Relative damping; larger gives smoother and weaker phases.
    """
    empty = torch.ones(model.shape, dtype=model.dtype, device=model.device)
    amplitudes, references = (model.sensor.interpolated(stack) for stack in (amplitudes, model.moduli(empty)))
    power = float((references**2).mean()) * model.frames
    background = (float((amplitudes**2).mean()) * model.frames / power) ** 0.5

    shape = model.padding.padded_shape
    CC = torch.full(shape, damping * power, dtype=amplitudes.dtype, device=model.device)
    SS = CC.clone()
    CS = torch.zeros(shape, dtype=model.dtype, device=model.device)
    Cm = torch.zeros_like(CS)
    Sm = torch.zeros_like(CS)
    for frame, reference in enumerate(references):
        C, S = frame_contrast(model, frame)
        # contrast of the frame to the empty field, weighted by √(g/s) as the transfer functions are
        weight = float((reference**2).mean()) ** 0.5
        floor = 1e-3 * weight
        contrast = amplitudes[frame] / (background * reference.clamp_min(floor)) - 1
        measured = torch.fft.fft2(model.padding.continued(contrast)) * weight
        CC += C.abs() ** 2
        SS += S.abs() ** 2
        CS += C.conj() * S
        Cm += C.conj() * measured
        Sm += S.conj() * measured
    determinant = CC * SS - CS.abs() ** 2
    log_amplitude = ifft2((SS * Cm - CS * Sm) / determinant).real
    phase = ifft2((CC * Sm - CS.conj() * Cm) / determinant).real
    log_amplitude, phase = model.padding.object_part(log_amplitude), model.padding.object_part(phase)
    # outside the weak regime the exponential would explode, and factors beyond e³ are useless as a start
    return torch.polar(background * torch.exp(log_amplitude.clamp(-3, 3)), phase - phase.mean())
