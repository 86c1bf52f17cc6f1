"""Geometry of the frames of a lensless recording: distances, shifts, gains, and their moves."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import frequencies, propagation_phase

Vector = npt.NDArray[np.float64]
Parameter = Literal["z", "shift", "gain", "tilt", "source"]

COLUMNS = 5
"""Parameters of each frame: distance (µm), shift down and shift to the right (µm), logarithm of the gain, and the
square of the diameter of the source (µm²), the same for all. Frames change with this square even for a point."""
Z, DOWN, RIGHT, GAIN, SOURCE = range(COLUMNS)


@dataclass(frozen=True)
class Geometry:
    """Distances, shifts and gains of N frames, and their source."""

    distances_um: Vector
    """From sample to sensor, (N,)."""
    shifts_um: Vector
    """(dy, dx) by which each frame is displaced, (N, 2)."""
    gains: Vector
    """Relative brightness, (N,)."""
    source_um: float = 0.0
    """Diameter of the source."""

    @property
    def table(self) -> Vector:
        """All numbers as (N, 5), in the order of the columns."""
        source = np.full(len(self.gains), self.source_um**2)
        return np.column_stack([self.distances_um, self.shifts_um, np.log(self.gains), source])

    @classmethod
    def of(cls, table: Vector) -> Geometry:
        """Return the geometry of a table, (N, 5)."""
        source_um = math.sqrt(max(float(table[:, SOURCE].mean()), 0.0))
        return cls(table[:, Z].copy(), table[:, DOWN : RIGHT + 1].copy(), np.exp(table[:, GAIN]), source_um)

    def displaced(self, offset_um: float) -> Geometry:
        """Return the geometry with all frames moved away from the object by the same length."""
        return replace(self, distances_um=self.distances_um + offset_um)


@dataclass(frozen=True)
class Prior:
    """Prior of each frame: standard deviations about the nominal values, and bounds."""

    deviations: Vector
    """Standard deviations of the table of `Geometry`, (N, 5)."""
    bounds: Vector
    """Largest deviations from the nominal values, (N, 5)."""


@dataclass(frozen=True)
class Trend:
    """Decomposition of shifts: ``shift_n = intercept + tilt · z_n + rest_n``, a least-squares line for each axis."""

    intercept_um: Vector
    """Shift at z = 0, (2,)."""
    tilt: Vector
    """Slope [dy/dz, dx/dz], (2,)."""
    rest_um: Vector
    """The remainder, (N, 2), whose mean and linear trend in z are zero."""


def trend(distances_um: Vector, shifts_um: Vector) -> Trend:
    """Decompose shifts (N, 2); the slope is zero if all frames are at one distance."""
    inverse = np.linalg.pinv(np.column_stack([np.ones_like(distances_um), distances_um]))
    intercept, tilt = inverse @ shifts_um
    return Trend(intercept, tilt, shifts_um - intercept - np.outer(distances_um, tilt))


def directions(parameters: Collection[Parameter], distances_um: Vector) -> Vector:
    """Return the selected moves of the geometry that the data determine, (N, 5, K), orthonormal.

    A common distance is equivalent to a defocus of the object, a common shift to a translation, and a common gain to a
    brightness: no frame changes, so these moves are excluded. Shifts include the tilt.
    """
    frames = len(distances_um)
    # an orthonormal basis of what is orthogonal to a constant
    relative = np.linalg.svd(np.eye(frames) - 1 / frames)[0][:, : frames - 1]
    centred = (distances_um - distances_um.mean())[:, None]
    slope = centred / max(float(np.linalg.norm(centred)), 1e-12)
    lateral = relative if "shift" in parameters else slope if "tilt" in parameters else None
    moves = []
    for column, basis in (
        (Z, relative if "z" in parameters else None),
        (DOWN, lateral),
        (RIGHT, lateral),
        (GAIN, relative if "gain" in parameters else None),
        (SOURCE, np.full((frames, 1), frames**-0.5) if "source" in parameters else None),
    ):
        if basis is not None:
            part = np.zeros((frames, COLUMNS, basis.shape[1]))
            part[:, column] = basis
            moves.append(part)
    return np.concatenate(moves, 2)


class Derivatives:
    """Derivatives of a frame's field by its own distance and shift: multiplications of its spectrum.

    With ``H = exp(iφ(f) − 2πi (fy·dy + fx·dx))``, the factors are ``i ∂φ/∂z``, ``−2πi fy`` and ``−2πi fx``, in 1/µm.

    Parameters
    ----------
    shape
        Pixels (Y', X') of the padded grid.
    optics
        Pixels, wavelength, medium and method of propagation.
    dtype, device
        Complex type and device of the fields.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        optics: Optics,
        dtype: torch.dtype = torch.complex64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.optics = optics
        fy, fx = frequencies(shape, optics.pixel_size_um)
        phase = propagation_phase(fy, fx, 1.0, optics)
        self._factors = {
            Z: (1j * phase).to(dtype).to(device),
            DOWN: (-2j * math.pi * fy).to(dtype).to(device),
            RIGHT: (-2j * math.pi * fx).to(dtype).to(device),
        }

    def tilt_of(self, frequency: Vector) -> Vector:
        """Return the displacement of a plane wave of the frequency (fy, fx) per micrometre of propagation, (2,).

        ``−∂φ/∂f / 2πz``: the tangent of its angle, or the paraxial approximation.
        """
        inclined = self.optics.medium_frequency**2
        if self.optics.method == "angular_spectrum":
            inclined = max(inclined - float(np.square(frequency).sum()), 1e-12)
        tilt: Vector = frequency / math.sqrt(inclined)
        return tilt

    def of(self, column: int) -> Tensor:
        """Return the factor of a distance or a shift, broadcastable to (Y', X')."""
        return self._factors[column]
