"""Frames whose contrast was stretched one by one, so that their offsets and scales differ: by programs for display."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array

_FEWEST_FRAMES = 3
# ends of the range of real numbers
_TOPS = (1.0, 100.0, 255.0, 65535.0)
# part of the range whose pixels are compared with those at its end: where a camera saturates, or cuts off, more are at
# the end than next to it
_NEXT = 0.02
# part of the pixels of each frame that is cut off at either end, if a program cuts off the same part of all, how much
# it may differ, and the part of these pixels beside others of them, unlike those of defects
_CUT, _ALIKE, _BESIDE = 5e-4, 0.15, 0.1


def stretched(frames: Array) -> list[str]:
    """Return a warning if each frame fills the range of its numbers exactly, from the lowest to the highest.

    Then the darkest light of each frame is zero, and the brightest the end of the range: either one pixel or so, or,
    if a program allows for outliers, the same part of each frame at both ends. Light that saturates a camera, or that
    is cut off below, piles up at the ends, and not alike in frames that differ.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type.
    """
    if len(frames) < _FEWEST_FRAMES or frames.dtype.kind not in "uf" or frames[0].size < 1 / _CUT:
        return []
    tops = [float(np.iinfo(frames.dtype.str).max)] if frames.dtype.kind == "u" else _TOPS
    top = float(frames[0].max())
    if top not in tops:
        return []
    counts = []
    for frame in frames:
        if frame.min() != 0 or frame.max() != top:
            return []
        low, high = _NEXT * top, (1 - _NEXT) * top
        ends = np.count_nonzero(frame == 0), np.count_nonzero(frame == top)
        counts.append((*ends, np.count_nonzero(frame < low) - ends[0], np.count_nonzero(frame > high) - ends[1]))
    at, near = np.split(np.array(counts, float), 2, axis=1)
    alone = np.all((at.sum(0) <= near.sum(0)) | (at.sum(0) <= 2 * len(frames)))
    parts = at / frames[0].size
    alike = bool(parts.min() > _CUT and np.all(parts.std(0) < _ALIKE * parts.mean(0)))
    if not (alone or (alike and min(_beside(frames == 0), _beside(frames == top)) > _BESIDE)):
        return []
    return [
        f"each frame fills the range from 0 to {top:g} exactly, as if its contrast had been stretched by itself, so "
        "that its zero and its scale may not be those of the light; save the frames as the camera recorded them, or "
        "all with one scale"
    ]


def _beside(pixels: npt.NDArray[np.bool_]) -> float:
    """Return the part of the pixels, (N, Y, X), that have another one on their right."""
    return float((pixels[..., 1:] & pixels[..., :-1]).sum() / max(pixels.sum(), 1))
