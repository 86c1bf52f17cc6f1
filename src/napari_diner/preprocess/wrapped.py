"""Values that wrapped round the range of their type: sums in too few bits, or unsigned numbers read as signed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array

Mask = npt.NDArray[np.bool_]

_BITS = (8, 10, 12, 14, 16)
# part of the range next to either end within which the values must come
_ENDS = 0.03
# steps between neighbours: almost the whole range, or too large for light; how many there must be for each of the
# others, and in all, as a part of the pixels and in number
_WHOLE, _LARGE, _MORE = 0.75, 0.5, 2.0
_LEAST, _FEWEST = 1e-4, 20
# largest part of the pixels that may be broken
_BROKEN = 0.01
# a value at an end is piled up if it is so much more frequent than those next to it, of which there are so many
_PILED, _NEXT = 8.0, 0.01


class Wrapped(NamedTuple):
    """Values that wrapped round."""

    low: float
    """The smallest number of the range."""
    high: float
    """The largest one."""
    frames: tuple[int, ...]
    """Numbers of the frames with such values, from zero."""


def wrapped(frames: Array) -> Wrapped | None:
    """Return the range that values of frames wrapped round, or None.

    Light changes little between most neighbours. Where it passes the end of the range of a type, its number jumps by
    almost the whole range, while jumps by half of it are rare. Values that are cut off jump between the ends, too, at
    sharp edges, but pile up at them; and broken pixels jump from all of their neighbours.

    Parameters
    ----------
    frames
        Recorded values, (N, Y, X), of any type.
    """
    if min(frames.shape[1:]) < 3 or frames.dtype.kind not in "uif":
        return None
    bounds = [(float(np.nanmin(frame)), float(np.nanmax(frame))) for frame in frames]
    low, high = (end(values) for end, values in zip((min, max), zip(*bounds, strict=True), strict=True))
    ends = _range(low, high)
    if ends is None:
        return None
    found = tuple(
        number
        for number, (frame, bound) in enumerate(zip(frames, bounds, strict=True))
        if _range(*bound) == ends and _jumps(frame, *ends)
    )
    return Wrapped(*ends, found) if found else None


def _range(low: float, high: float) -> tuple[float, float] | None:
    """Return the range of integers of some number of bits that values fill, or None."""
    for bits in _BITS:
        size = 2.0**bits
        for first in (0.0, -size / 2):
            last = first + size - 1
            if first <= low <= first + _ENDS * size and last - _ENDS * size <= high <= last:
                return first, last
    return None


def _jumps(frame: Array, low: float, high: float) -> bool:
    """Return whether most large steps between neighbours of a frame, (Y, X), are almost as large as a range."""
    values = np.where(np.isfinite(frame), frame, low).astype(np.float32)
    span = high - low
    free = np.ones(values.shape, bool)
    for end, inside in ((low, values <= low + _NEXT * span), (high, values >= high - _NEXT * span)):
        at = values == end
        next_to = np.count_nonzero(inside & ~at) / max(_NEXT * span, 1)
        if np.count_nonzero(at) > _PILED * (1 + next_to):
            free &= ~at
    steps = [np.abs(np.diff(values, axis=axis)) for axis in (0, 1)]
    single = _is_single([along > _LARGE * span for along in steps])
    if single.mean() < _BROKEN:
        free &= ~single
    whole = large = 0
    for along, both in zip(steps, (free[1:] & free[:-1], free[:, 1:] & free[:, :-1]), strict=True):
        whole += int(np.count_nonzero(both & (along > _WHOLE * span)))
        large += int(np.count_nonzero(both & (along > _LARGE * span)))
    return whole >= max(_FEWEST, _LEAST * values.size) and whole > _MORE * (large - whole)


def _is_single(jumps: Sequence[Mask]) -> Mask:
    """Return whether pixels, (Y, X), differ from all neighbours, given the jumps down and across."""
    down, across = jumps
    single = np.ones((down.shape[0] + 1, across.shape[1] + 1), bool)
    for before, after, jump in (
        (single[:-1], single[1:], down),
        (single[:, :-1], single[:, 1:], across),
    ):
        before &= jump
        after &= jump
    return single
