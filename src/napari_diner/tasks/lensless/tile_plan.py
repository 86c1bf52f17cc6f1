"""How a field is cut into tiles: what each computes, what of it counts, and where it meets its neighbours."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_diner.device import available_memory
from napari_diner.preprocess.settings import PreprocessSettings
from napari_diner.preprocess.steps import prepared_shape
from napari_diner.tasks.lensless.data import memory_needed
from napari_diner.tasks.lensless.geometry import at_the_sample
from napari_diner.tasks.lensless.recipe import LenslessRecipe

if TYPE_CHECKING:
    import torch

_USUAL, _SMALLEST = 1536, 256
_SEAM_PX = (16, 128)
# of a tile at most this part is given to the spread at each side
_MOST_SPREAD = 0.25


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels of the field.

    The tile computes the object from `start` to `stop`, which lie beyond the field where that repeats itself. Its
    data count from `inner_start` to `inner_stop`: light that reaches them comes from within the tile. It is blended
    with its neighbours around `core_start` and `core_stop`.
    """

    start: int
    stop: int
    inner_start: int
    inner_stop: int
    core_start: int
    core_stop: int
    neighbours: tuple[bool, bool]
    """Whether another tile follows at either end."""

    @property
    def size(self) -> int:
        """Pixels that are computed."""
        return self.stop - self.start

    def pixels(self, length: int) -> npt.NDArray[np.intp]:
        """Return the field's pixels that are computed, of an axis that may repeat itself after `length`."""
        return np.arange(self.start, self.stop) % length

    def window(self, seam_px: int) -> npt.NDArray[np.float32]:
        """Return the weights of the pixels from `start` to `stop`; those of all tiles add up to one everywhere."""
        place = np.arange(self.start, self.stop) + 0.5
        weights = np.ones(self.size)
        for edge, sign, present in zip((self.core_start, self.core_stop), (1, -1), self.neighbours, strict=True):
            if present:
                inside = np.clip(sign * (place - edge) / seam_px + 0.5, 0, 1)
                weights *= np.sin(np.pi / 2 * inside) ** 2
        return weights.astype(np.float32)


@dataclass(frozen=True)
class Tile:
    """A rectangle of the field."""

    rows: Span
    columns: Span

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels that are computed."""
        return self.rows.size, self.columns.size

    def inner(self) -> tuple[slice, slice]:
        """Return where, within the tile, data count."""
        return (
            slice(self.rows.inner_start - self.rows.start, self.rows.inner_stop - self.rows.start),
            slice(self.columns.inner_start - self.columns.start, self.columns.inner_stop - self.columns.start),
        )

    def cut(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the tile's part of an image or a stack, (..., Y, X), going round where the tile does."""
        height, width = image.shape[-2:]
        rows, columns = self.rows, self.columns
        if rows.start >= 0 and rows.stop <= height and columns.start >= 0 and columns.stop <= width:
            return np.asarray(image[..., rows.start : rows.stop, columns.start : columns.stop])
        return np.asarray(image[..., rows.pixels(height)[:, None], columns.pixels(width)])


@dataclass(frozen=True)
class TilePlan:
    """All tiles of a field."""

    shape: tuple[int, int]
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    spread_px: int
    """Width of the rim within which a tile's data do not count."""
    seam_px: int
    """Width over which neighbours are blended."""
    periodic: bool

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles, row by row."""
        return tuple(Tile(*pair) for pair in itertools.product(self.rows, self.columns))

    @property
    def overlap_px(self) -> int:
        """Pixels that neighbouring tiles share."""
        return 2 * self.spread_px + self.seam_px

    @property
    def largest(self) -> tuple[int, int]:
        """Pixels of the largest tile."""
        return max(span.size for span in self.rows), max(span.size for span in self.columns)

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Return the numbers of neighbouring tiles, each pair once."""
        high, wide = len(self.rows), len(self.columns)
        found = set()
        for row, column in itertools.product(range(high), range(wide)):
            here = row * wide + column
            if self.rows[row].neighbours[1]:
                found.add((here, (row + 1) % high * wide + column))
            if self.columns[column].neighbours[1]:
                found.add((here, row * wide + (column + 1) % wide))
        return tuple(sorted(found))


def spread_px(recipe: LenslessRecipe) -> int:
    """Return how far diffraction carries light sideways on the way to the farthest frame, in pixels.

    The finest grating that the pixels Δx can tell sends light to ``sin θ = λ / (2 n Δx)``; over the distance z that is
    ``z tan θ``. The frame's own shift is added.
    """
    assert recipe.pixel_size_um is not None and recipe.wavelength_um is not None
    sine = min(recipe.wavelength_um / (2 * recipe.medium_index * recipe.pixel_size_um), 0.99)
    aside = max(recipe.distances_um) * sine / math.sqrt(1 - sine**2)
    shift = max((abs(value) for pair in recipe.shifts_um or () for value in pair), default=0.0)
    return math.ceil((aside + shift) / recipe.pixel_size_um)


def tiled_memory(
    recipe: LenslessRecipe, frames: int, shape: tuple[int, int], itemsize: int, pixel_size_um: float | None, size: int
) -> int:
    """Estimate the bytes that a reconstruction in tiles of a size takes at its peak.

    Counted are the frames as read and, if they need it, as prepared, the residuals, the fields of all tiles with their
    overlaps, and the work on one tile or on the coarse picture.
    """
    pixels = math.prod(prepared_shape(recipe.preprocess, shape))
    prepared = recipe.preprocess != PreprocessSettings() or recipe.source_distance_um is not None
    largest = max(size, recipe.tiles.coarse_px)
    one = memory_needed(at_the_sample(recipe), frames, (largest, largest), itemsize, pixel_size_um)
    kept = frames * math.prod(shape) * itemsize + frames * pixels * (9 if prepared else 4) + 5 * pixels * 8
    return kept + one


def tile_size(
    recipe: LenslessRecipe, frames: int, shape: tuple[int, ...], device: torch.device | None = None
) -> int | None:
    """Return the longest side of the tiles that a recipe asks for, or that the memory asks for; None for no tiles.

    Parameters
    ----------
    recipe
        As the user wrote it.
    frames, shape
        Number of frames, and their pixels (Y, X).
    device
        Where the tiles are worked on; the main memory if None.
    """
    settings = recipe.tiles
    height, width = prepared_shape(recipe.preprocess, (shape[0], shape[1]))
    if settings.use == "never" or (settings.use == "auto" and max(height, width) <= _SMALLEST):
        return None
    free = available_memory(device)
    if settings.use == "auto" and memory_needed(recipe, frames, (shape[0], shape[1]), 0, None) <= free:
        return None
    size = settings.size_px or _USUAL
    seen = at_the_sample(recipe)
    while settings.size_px is None and size > _SMALLEST and memory_needed(seen, frames, (size, size), 4, None) > free:
        size = size * 3 // 4
    return size if max(height, width) > size else None


def plan_tiles(recipe: LenslessRecipe, shape: tuple[int, int], size_px: int) -> TilePlan:
    """Cut a field into tiles.

    Parameters
    ----------
    recipe
        Of the frames as the model sees them, complete.
    shape
        Pixels (Y, X) of the field.
    size_px
        Longest side of a tile.
    """
    if recipe.tiles.overlap_px is None:
        spread = min(spread_px(recipe), int(_MOST_SPREAD * size_px))
        seam = min(max(spread // 2, _SEAM_PX[0]), _SEAM_PX[1], size_px // 8)
    else:
        overlap = min(recipe.tiles.overlap_px, size_px // 2)
        seam = max(overlap // 4, 2)
        spread = (overlap - seam) // 2
    seam += seam % 2
    periodic = recipe.padding.mode == "none"
    spans = [_spans(length, size_px, spread, seam, periodic) for length in shape]
    return TilePlan(shape, spans[0], spans[1], spread, seam, periodic)


def _spans(length: int, size: int, spread: int, seam: int, periodic: bool) -> tuple[Span, ...]:
    overlap = 2 * spread + seam
    count = math.ceil(length / (size - overlap)) if periodic else math.ceil((length - overlap) / (size - overlap))
    if length <= size or count < 2:
        return (Span(0, length, 0, length, 0, length, (False, False)),)
    edges = [round(number * length / count) for number in range(count + 1)]
    spans = []
    for low, high in itertools.pairwise(edges):
        before, after = periodic or low > 0, periodic or high < length
        inner = low - seam // 2 * before, high + seam // 2 * after
        start, stop = inner[0] - spread * before, inner[1] + spread * after
        if before and after:
            stop = start + _fast(stop - start, length)
            if not periodic:
                stop = min(stop, length)
        spans.append(Span(start, stop, *inner, low, high, (before, after)))
    return tuple(spans)


def _fast(size: int, most: int) -> int:
    """Return a size that transforms fast, a little above `size` but not above `most`."""
    for candidate in range(size, most + 1):
        rest = candidate
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return candidate
    return size
