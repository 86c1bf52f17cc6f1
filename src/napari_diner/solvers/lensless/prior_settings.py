"""What is known of an object before it is looked at, as it stands in a recipe. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class PriorSettings(Settings):
    """What is known of the object beforehand: worth much in noise, and nothing without it."""

    total_variation: Literal["off", "noise", "held_out"] = Field(default="off", title="Total variation")
    """Ask for few edges, as strongly as the noise found asks for, or as predicts a frame best that is held out."""
    of: Literal["both", "phase", "amplitude"] = Field(default="both", title="Total variation of")
    """Whether amplitude and phase have few edges, or one of them."""
    strength: float = Field(default=1.0, gt=0, le=1e4, title="Strength")
    """Factor on the weight that is chosen; more is smoother."""
    usual_step: float = Field(default=0.25, gt=0, le=10, title="Usual step")
    """By how much neighbouring pixels usually differ (radians; amplitude relative to its mean): sets the weight."""
    support: str | None = Field(default=None, title="Support")
    """Image that is non-zero where there may be a specimen; elsewhere the field is drawn towards an even one."""
    support_strength: float = Field(default=1.0, gt=0, le=1e4, title="Strength of the support")
    """How strongly the field outside the support is drawn to its mean, relative to what one good frame says."""

    @property
    def wanted(self) -> bool:
        """Whether anything is known."""
        return self.total_variation != "off" or self.support is not None
