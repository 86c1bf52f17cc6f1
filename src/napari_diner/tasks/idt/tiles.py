"""Tiles of a wide field: overlapping parts that are reconstructed one after the other. Does not import torch."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_diner.errors import RecipeError
from napari_diner.settings import Settings

Weights = npt.NDArray[np.float32]

SIZES_PX = (1024, 768, 512, 384, 256, 192, 128)
"""Sizes to choose from, the largest that fits the memory first."""
# the outer part of an overlap that does not count, and the part over which tiles fade into each other
_UNUSED, _FADE = 0.25, 0.5


class VolumeTileSettings(Settings):
    """Reconstruction of wide fields in overlapping tiles with the same weights, which are blended."""

    use: Literal["auto", "always", "never"] = Field(default="auto", title="Use")
    """Use tiles if the whole field does not fit the memory (auto), always, or never."""
    size_px: int | None = Field(default=None, ge=64, le=2**16, title="Size (pixels)")
    """Width of a tile including its overlaps; empty for the widest that fits the memory."""


@dataclass(frozen=True)
class Tile:
    """A part of the field of view."""

    rows: slice
    """Its rows in the frames."""
    columns: slice
    """Its columns in the frames."""

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return self.rows, self.columns


class TileLayout:
    """Evenly spaced tiles of one size that cover a field.

    Parameters
    ----------
    shape
        Rows and columns of the field.
    size_px
        Width of a tile including its overlaps.
    overlap_px
        Smallest width of an overlap.

    Raises
    ------
    RecipeError
        If tiles are hardly wider than their overlaps.
    """

    def __init__(self, shape: tuple[int, int], size_px: int, overlap_px: int) -> None:
        if size_px < 2 * overlap_px and size_px < max(shape):
            raise RecipeError(
                f"Tiles of {size_px} pixels are too narrow, as they overlap by {overlap_px} pixels, from where light "
                f"reaches them; set {{field}} to {2 * overlap_px} or more",
                "tiles.size_px",
            )
        self.shape, self.overlap_px = shape, overlap_px
        self.size = min(size_px, shape[0]), min(size_px, shape[1])
        """Rows and columns of each tile."""
        self.starts = tuple(_starts(length, size, overlap_px) for length, size in zip(shape, self.size, strict=True))
        """First rows, and first columns, of the tiles."""

    @property
    def tiles(self) -> list[Tile]:
        """The tiles, row by row."""
        (rows, columns), (height, width) = self.starts, self.size
        return [Tile(slice(top, top + height), slice(left, left + width)) for top in rows for left in columns]

    def weights(self, tile: Tile) -> Weights:
        """Return the weights by which the pixels of a tile count, (Y, X); those of all tiles add up to one."""
        rows, columns = (
            _share(part.start, starts, size, length, self.overlap_px)
            for part, starts, size, length in zip(tile.place, self.starts, self.size, self.shape, strict=True)
        )
        return rows[:, None] * columns

    def counted_px(self, beyond_px: int) -> float:
        """Return the number of pixels with a weight of all tiles, those within `beyond_px` of the field included."""
        unused = 2 * _UNUSED * self.overlap_px
        rows, columns = (
            len(starts) * size - (len(starts) - 1) * unused + 2 * beyond_px
            for starts, size in zip(self.starts, self.size, strict=True)
        )
        return rows * columns

    @property
    def seams(self) -> tuple[list[int], list[int]]:
        """Rows and columns at which two tiles count equally."""
        rows, columns = (
            [(before + size + after) // 2 for before, after in itertools.pairwise(starts)]
            for starts, size in zip(self.starts, self.size, strict=True)
        )
        return rows, columns


def no_series() -> RecipeError:
    """Return the error of a series of fields that are computed in tiles."""
    return RecipeError(
        "A series is not computed in tiles; crop the frames, lower {field:slice_count}, or set {field} to never",
        "tiles.use",
    )


def _starts(length: int, size: int, overlap: int) -> tuple[int, ...]:
    count = 1 if size >= length else math.ceil((length - overlap) / (size - overlap))
    return tuple(int(start) for start in np.linspace(0, length - size, count).round())


def _share(start: int, starts: tuple[int, ...], size: int, length: int, overlap: int) -> Weights:
    """Return the weights of a tile along one axis, relative to the sum of those of all tiles."""

    def profile(first: int) -> npt.NDArray[np.float64]:
        place = np.arange(start, start + size)
        weights = np.ones(size)
        # the edges of the field are no borders between tiles
        for distance, is_border in (
            (place - first + 0.5, first > 0),
            (first + size - place - 0.5, first + size < length),
        ):
            if is_border:
                part = np.clip((distance / overlap - _UNUSED) / _FADE, 0, 1)
                weights = weights * (part * part * (3 - 2 * part))
        return np.where((place >= first) & (place < first + size), weights, 0)

    return (profile(start) / sum(profile(first) for first in starts)).astype(np.float32)
