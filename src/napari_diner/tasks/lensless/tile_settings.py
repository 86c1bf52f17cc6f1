"""The settings of large fields in tiles, as they stand in a recipe. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class TileSettings(Settings):
    """Large fields, piece by piece: a coarse picture of the whole first, then tiles that start from it."""

    use: Literal["auto", "always", "never"] = Field(default="auto", title="Tiles")
    """Cut the field into tiles always, never, or where the memory does not hold the work on all of it."""
    size_px: int | None = Field(default=None, ge=64, le=65536, title="Size (pixels)")
    """Longest side of a tile with its overlaps; empty for 1536, or less where the memory asks for it."""
    overlap_px: int | None = Field(default=None, ge=4, le=65536, title="Overlap (pixels)")
    """How far neighbouring tiles overlap; empty for the spread of light by diffraction on both sides, and a seam."""
    coarse_px: int = Field(default=1024, ge=32, le=16384, title="Coarse picture (pixels)")
    """Longest side of the coarse picture of the whole field, from which the slow phase comes."""
    passes: int = Field(default=1, ge=1, le=10, title="Passes")
    """How often to go over all tiles; from the second on each starts from what its neighbours have found."""
