"""Slopes and bends of a phase over the whole field, as light has that comes from elsewhere than assumed.

Tilted light and a source at a finite distance multiply the field behind the sample by ``exp(i k s·r)`` and
``exp(i k r² / 2L)``. A reconstruction for straight, parallel light contains these factors, since they explain the
frames.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array
from napari_diner.physics.optics import Optics
from napari_diner.wording import digits

Mask = npt.NDArray[np.bool_]

# parts of the field along each axis, and the valid part that each of them needs
_PARTS, _LEAST_VALID = 4, 0.5
# least slope across the field and bend from its middle to its corners in rad, and in standard errors of the parts
_SLOPE_RAD, _BEND_RAD, _SIGMAS = 3.0, 1.0, 6.0
_FEWEST_PARTS = 9


@dataclass(frozen=True)
class SlowPhase:
    """A fit ``∇φ = s + c r`` to the mean gradients in the parts of a field, r from its middle."""

    slope: tuple[float, float]
    """s along y and x, in rad per pixel."""
    bend: float
    """c, in rad per pixel²."""
    slope_error: float
    """Standard error of either component of s."""
    bend_error: float
    """Standard error of c."""

    @classmethod
    def of(cls, phase: Array, valid: Mask | None = None) -> SlowPhase | None:
        """Fit a wrapped phase, (Y, X); None if too little of it is valid."""
        valid = np.ones(phase.shape, bool) if valid is None else valid
        rows = []
        for part in _parts(phase.shape):
            own, good = phase[part], valid[part]
            if good.mean() < _LEAST_VALID:
                continue
            middle = [(at.start + at.stop) / 2 - size / 2 for at, size in zip(part, phase.shape, strict=True)]
            gradient = [_mean_step(own, good, axis) for axis in (0, 1)]
            rows.append((*middle, *gradient))
        if len(rows) < _FEWEST_PARTS:
            return None
        y, x, along_y, along_x = np.array(rows).T
        one, none = np.ones_like(y), np.zeros_like(y)
        design = np.concatenate([np.stack([one, none, y], 1), np.stack([none, one, x], 1)])
        values = np.concatenate([along_y, along_x])
        inverse = np.linalg.inv(design.T @ design)
        found = inverse @ design.T @ values
        spread = float(np.sum((values - design @ found) ** 2)) / (len(values) - 3)
        errors = np.sqrt(spread * np.diag(inverse))
        return cls((float(found[0]), float(found[1])), float(found[2]), float(errors[0]), float(errors[2]))


def slow_phase(phase: Array, optics: Optics, source_distance_um: float | None, valid: Mask | None = None) -> list[str]:
    """Return sentences about a slope or a bend of a phase that no sample of limited size explains.

    Parameters
    ----------
    phase
        Wrapped, in rad, (Y, X).
    optics
        Of the object.
    source_distance_um
        From the source to the sample, as given; None for parallel light.
    valid
        Where it is determined, (Y, X).
    """
    found = SlowPhase.of(phase, valid)
    if found is None:
        return []
    height, width = phase.shape
    wavenumber = 2 * math.pi * optics.medium_frequency
    sentences = []
    rise = math.hypot(found.slope[0] * height, found.slope[1] * width)
    steepest = math.hypot(*found.slope)
    if rise > _SLOPE_RAD and steepest > _SIGMAS * found.slope_error:
        angle = math.degrees(math.asin(min(1.0, steepest / (wavenumber * optics.pixel_size_um))))
        sentences.append(
            f"the phase rises by {digits(rise)} rad across the field, as under light that is tilted by "
            f"{digits(angle)}°, or if "
            "the frames drift with their distance; if the sample does not, phase_output.remove: plane levels it"
        )
    bend = found.bend * (height**2 + width**2) / 8
    if abs(bend) > _BEND_RAD and abs(found.bend) > _SIGMAS * found.bend_error:
        inverse = found.bend / (wavenumber * optics.pixel_size_um**2)
        inverse += 1 / source_distance_um if source_distance_um else 0.0
        source = f"from a source {digits(1 / inverse / 1000)} mm before the sample" if inverse > 0 else "that converges"
        given = f" instead of {digits(source_distance_um / 1000, 3)} mm" if source_distance_um and inverse > 0 else ""
        sentences.append(
            f"the phase bends by {digits(abs(bend))} rad from the middle of the field to its corners, as under light "
            f"{source}{given}, or with a brightness that changes with the distance; check source_distance_um, or, if "
            "the sample does not bend it, level it by phase_output.remove: curvature"
        )
    return sentences


def _parts(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    rows, columns = (np.linspace(0, size, _PARTS + 1).round().astype(int).tolist() for size in shape)
    return [
        (slice(top, bottom), slice(left, right))
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(columns)
    ]


def _mean_step(phase: Array, valid: Mask, axis: int) -> float:
    """Return the mean step of a wrapped phase from pixel to pixel along an axis."""
    both = np.take(valid, range(1, valid.shape[axis]), axis) & np.take(valid, range(valid.shape[axis] - 1), axis)
    steps = np.angle(np.exp(1j * np.diff(phase.astype(np.float64), axis=axis)))
    return float(steps[both].mean()) if both.any() else 0.0
