"""Frames whose pixels are repeated, as of an image that was binned or resized, and then enlarged again."""

from __future__ import annotations

import numpy as np

from napari_diner.io.arrays import Array
from napari_diner.preprocess.soundness import numbered

# repetitions that are looked for, the part of neighbours within a group that are equal, and the most between groups
_FACTORS, _EQUAL, _UNEQUAL = (2, 3, 4), 0.98, 0.4
_FEWEST_FRAMES = 3


def enlarged(frames: Array) -> list[tuple[list[int], str]]:
    """Return the frames that repeat each pixel while others do not: numbers from zero, and a warning.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), in each of which equal light gives equal values.
    """
    factors = np.array([_repetitions(frame) for frame in frames])
    odd = np.flatnonzero(factors > 1)
    if len(frames) < _FEWEST_FRAMES or not 0 < odd.size < len(frames):
        return []
    verb, lacks, them = ("repeats", "lacks", "it") if odd.size == 1 else ("repeat", "lack", "them")
    text = (
        f"{numbered(odd)} {verb} each value in {factors[odd[0]]} neighbouring pixels, unlike the others, as if binned "
        f"and enlarged again, and {lacks} fine detail; record {them} as the others, or leave {them} out (leave_out)"
    )
    return [(odd.tolist(), text)]


def _repetitions(frame: Array) -> int:
    """Return how often each pixel of a frame (Y, X) is repeated down or across; 1 if it is not."""
    for axis in (0, 1):
        lines = np.moveaxis(np.asarray(frame), axis, 0)
        equal = (lines[1:] == lines[:-1]).mean(1)
        for factor in _FACTORS:
            for first in range(factor):
                between = np.arange(len(equal)) % factor == first
                if len(equal) < 4 * factor:
                    continue
                if equal[~between].mean() > _EQUAL and equal[between].mean() < _UNEQUAL:
                    return factor
    return 1
