"""Surround of the frames: periodic continuation, or unknown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Mean square of the step from one edge to the opposite one, relative to that between neighbouring pixels: near 1 for
# periodic frames, at most 1.9 for simulated ones, and at least 2.7 for recorded ones.
_LARGEST_STEP = 2.2


def surround_mode(mode: str, images: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None = None) -> str:
    """Return a mode of padding, with ``auto`` resolved: none for frames that `repeat`, otherwise unknown."""
    if mode != "auto":
        return mode
    return "none" if repeat(images, mask) else "unknown"


def surround_warnings(
    mode: str, images: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None = None
) -> tuple[str, ...]:
    """Return a warning if a field is assumed to be periodic but is not."""
    if mode != "none" or repeat(images, mask):
        return ()
    return ("frames do not continue at the opposite edge, as a field without padding does; set padding.mode to auto",)


def repeat(images: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None = None) -> bool:
    """Return whether frames continue at the opposite edge, like those of a periodic simulation.

    Parameters
    ----------
    images
        Amplitudes, or contrasts of weak objects, (N, Y, X).
    mask
        True at valid pixels, (N, Y, X); all if None.
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
    """Return the mean square difference between valid lines, or None if there are none."""
    steps = [(lines[a] - lines[b])[good[a] & good[b]] for a, b in pairs]
    square = np.concatenate(steps).astype(np.float64) ** 2
    return float(square.mean()) if square.size else None
