"""Settings of the optical models. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class PaddingSettings(Settings):
    """Assumptions about the field beyond the edges of the field of view."""

    mode: Literal["none", "reflect", "replicate"] = Field(default="none", title="Mode")
    """No padding (the field is periodic), or continue the field by reflection or by its edge value."""
    width_um: float = Field(default=100.0, ge=0, le=1e5, title="Width")
    """Minimum width of the continuation on each side; rounded up to a size that transforms fast."""
    apodise: bool = Field(default=True, title="Apodise")
    """Taper the continuation to zero along a cosine, so that opposite ends meet smoothly."""


class TileSettings(Settings):
    """Computation of wide fields in tiles. The object is still reconstructed as one, without seams."""

    use: Literal["auto", "always", "never"] = Field(default="auto", title="Use")
    """Use tiles if they are faster or one piece does not fit on the graphics card (auto), always, or never."""
    size_px: int = Field(default=512, ge=16, le=2**16, title="Size (pixels)")
    """Width of a tile if tiles are always used; a margin for diffraction from its surroundings is added."""
