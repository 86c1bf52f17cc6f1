"""Lines along which all frames jump: where parts of two images, or of a sensor, were put together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array

Mask = npt.NDArray[np.bool_]

_FEWEST_FRAMES, _FEWEST_LINES = 2, 32
# power of the difference of two lines relative to those within this distance on either side, of which it is at most
# 2.7 times the largest in sound recordings; the most such lines that are no pattern of the camera, and how much more
# they jump than the next
_JUMPS, _NEAR, _MOST, _MORE = 3.3, 3, 3, 2.0
# part of a line that must be valid
_VALID = 0.5


def seams(frames: Array, valid: Mask | None = None) -> list[str]:
    """Return a warning if all frames jump from one line to the next at the same place.

    Optics and diffraction spread each edge over several pixels, while images are put together between two lines.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    valid
        True at pixels that count, (N, Y, X); None if all do.
    """
    found = []
    for axis, name in ((1, "row"), (2, "column")):
        if len(frames) < _FEWEST_FRAMES or frames.shape[axis] < _FEWEST_LINES:
            continue
        powers = []
        for number, frame in enumerate(frames):
            squares = np.square(np.diff(frame.astype(np.float64), axis=axis - 1))
            power = squares.mean(2 - axis)
            if valid is not None:
                ends = np.moveaxis(valid[number], axis - 1, 0)
                both = ends[1:] & ends[:-1]
                power = np.sum(np.moveaxis(squares, axis - 1, 0), axis=1, where=both) / np.maximum(both.sum(1), 1)
                power[both.mean(1) < _VALID] = 0
            powers.append(power / (float(np.median(power)) or 1.0))
        power = np.median(powers, axis=0)
        padded = np.pad(power, _NEAR, mode="edge")
        around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEAR + 1)
        others = np.delete(around, _NEAR, axis=1).max(1)
        ratios = (power / np.maximum(others, 1.0))[_NEAR:-_NEAR]  # the ends have no lines beside them
        usual = float(np.sort(ratios)[-1 - _MOST])
        jumps = _NEAR + np.flatnonzero(ratios > max(_JUMPS, _MORE * usual))
        if 0 < jumps.size <= _MOST:
            found += [f"between {name}s {line + 1} and {line + 2}" for line in jumps]
    if not found or len(found) > _MOST:
        return []
    return [
        f"all frames jump {' and '.join(found)}, as where parts of images that do not fit, or halves of a sensor, were "
        "put together; give the parts as they were recorded, or crop the frames to one of them"
    ]
