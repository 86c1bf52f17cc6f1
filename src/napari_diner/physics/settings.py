"""The settings of the optical models, as they stand in a recipe. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class PaddingSettings(Settings):
    """What the model assumes beyond the edge of the field of view."""

    mode: Literal["none", "reflect", "replicate"] = Field(default="none", title="Mode")
    """Nothing (the field repeats itself periodically), or continue it by reflection or by its edge value."""
    width_um: float = Field(default=100.0, ge=0, le=1e5, title="Width")
    """How far the field is continued on each side, at least; rounded up to a size that transforms fast."""
    apodise: bool = Field(default=True, title="Apodise")
    """Let the continued field fall to zero along a cosine, so that its ends meet without a jump."""
