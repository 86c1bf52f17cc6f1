"""What lies beyond the edges of the frames: whether the field repeats itself there, or is unknown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Mean square of the step from one edge to the opposite one, relative to that between neighbouring pixels: near 1 for
# frames that repeat, at most 1.9 for simulated ones, and at least 2.7 for recorded ones.
_LARGEST_STEP = 2.2


def surround_mode(mode: str, images: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None = None) -> str:
    """Return a mode of padding, decided if it is ``auto``: none for frames that `repeat`, otherwise unknown."""
    if mode != "auto":
        return mode
    return "none" if repeat(images, mask) else "unknown"


def surround_warnings(
    mode: str, images: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None = None
) -> tuple[str, ...]:
    """Return a warning if a field is taken to repeat that does not."""
    if mode != "none" or repeat(images, mask):
        return ()
    return ("frames do not continue at the opposite edge, as a field without padding does; set padding.mode to auto",)


def repeat(images: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None = None) -> bool:
    """Tell whether frames go on at the opposite edge, as those of a periodic simulation do.

    Parameters
    ----------
    images
        Amplitudes, or contrasts of weak objects, (N, Y, X).
    mask
        True where pixels count, (N, Y, X); everywhere if None.
    """
    counted = np.ones(images.shape, bool) if mask is None else mask
    for axis in (1, 2):
        lines, good = np.moveaxis(images, axis, 0), np.moveaxis(counted, axis, 0)
        if len(lines) < 2:
            continue
        across = _mean_square_step(lines, good, ((0, -1),))
        along = _mean_square_step(lines, good, ((0, 1), (-1, -2)))
        if across is None or along is None or across > _LARGEST_STEP * along:
            return False
    return True


def _mean_square_step(
    lines: npt.NDArray[np.float32], good: npt.NDArray[np.bool_], pairs: tuple[tuple[int, int], ...]
) -> float | None:
    """Return the mean square of the differences between lines that count, or None if there are none."""
    steps = [(lines[a] - lines[b])[good[a] & good[b]] for a, b in pairs]
    square = np.concatenate(steps).astype(np.float64) ** 2
    return float(square.mean()) if square.size else None
