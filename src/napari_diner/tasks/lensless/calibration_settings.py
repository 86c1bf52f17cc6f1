"""Settings of the calibration of a lensless recording. Does not import torch."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from napari_diner.settings import Settings

Parameter = Literal["z", "shift", "gain", "tilt", "source"]
PARAMETERS: tuple[Parameter, ...] = get_args(Parameter)
"""Names of the settings for the quantities that can be calibrated."""


class CalibrationSettings(Settings):
    """Self-calibration of the distances, shifts and brightness of the frames, and of the source."""

    z: bool = Field(default=False, title="Distances")
    """Estimate the distance of each frame, together with the object."""
    shift: bool = Field(default=False, title="Shifts")
    """Estimate the displacement of each frame and the tilt of the light, together with the object."""
    gain: bool = Field(default=False, title="Gains")
    """Estimate the relative brightness of each frame, together with the object."""
    tilt: bool = Field(default=False, title="Tilt")
    """Estimate one tilt of the light, which displaces frames in proportion to their distance; included in shifts."""
    source: bool = Field(default=False, title="Source size")
    """Estimate the diameter of the source, which blurs distant frames most, together with the object."""
    z_sd: float = Field(default=0.03, gt=0, le=1, title="Precision of the distances")
    """Relative standard deviation of the nominal distances; the smaller it is, the closer to them are the estimates."""
    shift_sd_px: float = Field(default=3.0, gt=0, le=1e4, title="Precision of the shifts (pixels)")
    """Standard deviation of the nominal shifts, in pixels of the reconstruction."""
    gain_sd: float = Field(default=0.1, gt=0, le=10, title="Precision of the gains")
    """Relative standard deviation of the nominal gains."""
    z_range: float = Field(default=0.1, gt=0, lt=1, title="Range of the distances")
    """Largest relative change of a distance."""
    shift_range_px: float = Field(default=30.0, gt=0, le=1e5, title="Range of the shifts (pixels)")
    """Largest displacement of a frame, in pixels of the reconstruction."""
    gain_range: float = Field(default=2.0, gt=1, le=100, title="Range of the gains")
    """Largest factor by which a gain may change."""
    rounds: int = Field(default=12, ge=1, le=1000, title="Rounds")
    """Maximum number of rounds; fewer if the geometry converges."""
    cg_steps: int = Field(default=60, ge=1, le=1000, title="Inner steps")
    """Conjugate-gradient steps that improve the object in each round."""
    answer_steps: int = Field(default=2, ge=1, le=1000, title="Inner steps of the answers")
    """Conjugate-gradient steps per round for the response of the object to each move; more give better errors."""
    field_px: int = Field(default=1024, ge=64, le=2**20, title="Field (pixels)")
    """Wider fields are calibrated on a central square of this size."""

    @property
    def wanted(self) -> tuple[Parameter, ...]:
        """The quantities to estimate."""
        return tuple(name for name in PARAMETERS if getattr(self, name))
