"""The result of a self-calibration of a lensless recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from napari_diner.solvers.calibration.frame_geometry import Geometry, Vector
from napari_diner.solvers.calibration.object_plane import Plane


@dataclass(frozen=True)
class Calibrated:
    """Result of a self-calibration."""

    geometry: Geometry
    """Distances, shifts, gains."""
    field: Tensor
    """The corresponding object, (Y, X)."""
    covariance: Vector
    """Covariance of the moves of `directions`, in the order of the table of `Geometry`: (5N, 5N), in squares of its
    units."""
    plane: Plane | None
    """The common distance from the sharpness of the object; None if distances were not calibrated."""
    noise: float
    """Standard deviation of the recorded amplitudes' noise."""
    at_bounds: npt.NDArray[np.bool_]
    """Whether each frame was stopped by a bound, (N,)."""
    up_to: float | None
    """The frequency up to which the frames were compared, in cycles per pixel; None for all."""
