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


class TileSettings(Settings):
    """Wide fields part by part. The object is still found as one: there are no seams."""

    use: Literal["auto", "always", "never"] = Field(default="auto", title="Use")
    """In tiles where that is faster or one piece does not fit the graphics card, always, or never."""
    size_px: int = Field(default=512, ge=16, le=2**16, title="Size (pixels)")
    """Width of a tile if they are always used; computed with it is what diffraction carries in from beside it."""
