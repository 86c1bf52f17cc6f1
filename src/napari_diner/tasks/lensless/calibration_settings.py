"""What is to be found out about a lensless recording besides its object. Free of torch."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from napari_diner.settings import Settings

Parameter = Literal["z", "shift", "gain", "tilt"]
PARAMETERS: tuple[Parameter, ...] = get_args(Parameter)
"""What can be calibrated, as the settings are called."""


class CalibrationSettings(Settings):
    """Distances, shifts and brightness of the frames, from the recording itself."""

    z: bool = Field(default=False, title="Distances")
    """Find the distance of each frame, together with the object."""
    shift: bool = Field(default=False, title="Shifts")
    """Find by how much each frame is displaced, together with the object; the tilt of the light is found with it."""
    gain: bool = Field(default=False, title="Gains")
    """Find the relative brightness of each frame, together with the object."""
    tilt: bool = Field(default=False, title="Tilt")
    """Find one tilt of the light, which displaces frames in proportion to their distance; needless with shifts."""
    z_sd: float = Field(default=0.03, gt=0, le=1, title="Precision of the distances")
    """Standard deviation of the distances given, as a part of them: what is found is drawn to them accordingly."""
    shift_sd_px: float = Field(default=3.0, gt=0, le=1e4, title="Precision of the shifts (pixels)")
    """Standard deviation of the shifts given, in pixels of the reconstruction."""
    gain_sd: float = Field(default=0.1, gt=0, le=10, title="Precision of the gains")
    """Standard deviation of the gains given, as a part of them."""
    z_range: float = Field(default=0.1, gt=0, lt=1, title="Range of the distances")
    """How far a distance may move at most, as a part of it."""
    shift_range_px: float = Field(default=30.0, gt=0, le=1e5, title="Range of the shifts (pixels)")
    """How far a frame may move at most, in pixels of the reconstruction."""
    gain_range: float = Field(default=2.0, gt=1, le=100, title="Range of the gains")
    """By which factor a gain may change at most."""
    rounds: int = Field(default=12, ge=1, le=1000, title="Rounds")
    """At most this many rounds; fewer if nothing moves any more."""
    cg_steps: int = Field(default=60, ge=1, le=1000, title="Inner steps")
    """Conjugate-gradient steps that improve the object in each round."""
    answer_steps: int = Field(default=2, ge=1, le=1000, title="Inner steps of the answers")
    """Conjugate-gradient steps in each round for what the object answers to each move; more make errors more exact."""
    field_px: int = Field(default=1024, ge=64, le=2**20, title="Field (pixels)")
    """Wider fields are calibrated by their middle, of this width and height."""

    @property
    def wanted(self) -> tuple[Parameter, ...]:
        """What is to be found."""
        return tuple(name for name in PARAMETERS if getattr(self, name))
