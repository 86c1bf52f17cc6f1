"""Settings of the priors of the object in a recipe. Does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class PriorSettings(Settings):
    """Priors of the object: they help with noisy data, and have no effect without noise."""

    total_variation: Literal["off", "noise", "held_out"] = Field(default="off", title="Total variation")
    """Favour few edges, weighted by the estimated noise, or so that a held-out frame is predicted best."""
    of: Literal["both", "phase", "amplitude"] = Field(default="both", title="Total variation of")
    """Whether both amplitude and phase have few edges, or only one of them."""
    strength: float = Field(default=1.0, gt=0, le=1e4, title="Strength")
    """Factor on the chosen weight; larger values give a smoother object."""
    usual_step: float = Field(default=0.25, gt=0, le=10, title="Usual step")
    """Typical difference of neighbouring pixels (radians; amplitude relative to its mean); sets the weight."""
    support: str | None = Field(default=None, title="Support")
    """Image that is non-zero where there may be a specimen; elsewhere the field is pulled towards a constant."""
    support_strength: float = Field(default=1.0, gt=0, le=1e4, title="Strength of the support")
    """Strength of the pull towards the mean outside the support, relative to the information of one good frame."""

    @property
    def wanted(self) -> bool:
        """Whether there is any prior."""
        return self.total_variation != "off" or self.support is not None
