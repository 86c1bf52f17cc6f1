"""Gauge freedom of the frames: position of the object, and whole turns of phase across it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.padding import Padding
from napari_diner.solvers.calibration.frame_geometry import DOWN, RIGHT, Derivatives, Geometry, trend

# factor by which a frequency must exceed the mean of the object for whole turns of phase to be removed
_UNWIND = 1.5


def unwound(field: Tensor, geometry: Geometry, derivatives: Derivatives) -> tuple[Tensor, Geometry] | None:
    """Remove whole turns of phase from a periodic object, and displace the frames in proportion to z instead.

    A tilt of the light by one turn across the field is equivalent to a phase ramp of one turn in the object, except
    for terms of third order. The turns are those of the object's strongest frequency.

    Returns
    -------
    tuple[Tensor, Geometry] or None
        An equivalent object and geometry, or None if the mean is already the strongest frequency of the object.
    """
    spectrum = torch.fft.fft2(field).abs()
    strongest = int(spectrum.argmax())
    if float(spectrum.flatten()[strongest]) < _UNWIND * float(spectrum[0, 0]):
        return None
    sizes = np.array(field.shape, float)
    turns = np.array(divmod(strongest, field.shape[1]), float)
    turns = np.where(turns > sizes / 2, turns - sizes, turns)
    y, x = (torch.arange(size, device=field.device) / size for size in field.shape)
    ramp = 2 * math.pi * (turns[0] * y[:, None] + turns[1] * x[None, :])
    tilt = derivatives.tilt_of(turns / (sizes * derivatives.optics.pixel_size_um))
    shifts = geometry.shifts_um + np.outer(geometry.distances_um, tilt)
    flat = field * torch.polar(torch.ones_like(ramp), -ramp).to(field.dtype)
    return flat, replace(geometry, shifts_um=shifts)


def placed(
    field: Tensor, geometry: Geometry, nominal: Geometry, derivatives: Derivatives, padding: Padding
) -> tuple[Tensor, Geometry]:
    """Choose the mean of the shifts, and displace the object in the opposite direction.

    Two conditions are weighted by their variances: the line through the shifts meets z = 0 at the same point as for the
    nominal shifts, as with a tilted illumination, with a variance from the scatter about the line; and the mean of the
    shifts is that of the nominal ones.
    """
    distances, moved = geometry.distances_um, geometry.shifts_um - nominal.shifts_um
    line = trend(distances, moved)
    spread = float(np.square(distances - distances.mean()).sum())
    lever = 1 / len(distances) + distances.mean() ** 2 / max(spread, 1e-12)
    by_line = float(np.square(line.rest_um).mean()) * lever
    by_mean = float(np.square(moved - moved.mean(0)).mean()) / len(distances)
    share = by_mean / (by_line + by_mean) if by_mean > 0 else 0.0
    offset = -share * line.intercept_um - (1 - share) * moved.mean(0)
    # the factors of the derivatives are −2πi f; the object moves in the opposite direction
    angle = -(float(offset[0]) * derivatives.of(DOWN).imag + float(offset[1]) * derivatives.of(RIGHT).imag)
    spectrum = torch.fft.fft2(padding.pad(field)) * torch.polar(torch.ones_like(angle), angle)
    displaced: Tensor = padding.crop(ifft2(spectrum))
    return displaced, replace(geometry, shifts_um=geometry.shifts_um + offset)
