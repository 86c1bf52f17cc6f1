"""What lies beyond the edges of the frames: whether the field repeats itself there, or is unknown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.lensless.data import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe

# Mean square of the step from one edge to the opposite one, relative to that between neighbouring pixels: near 1 for
# frames that repeat, at most 1.9 for simulated ones, and at least 2.7 for recorded ones.
_LARGEST_STEP = 2.2


def with_surround(recipe: LenslessRecipe, prepared: PreparedFrames) -> LenslessRecipe:
    """Return a recipe whose padding is decided: if it is ``auto``, none for frames that repeat, otherwise unknown."""
    if recipe.padding.mode != "auto":
        return recipe
    mode = "none" if repeat(prepared.amplitudes, prepared.mask) else "unknown"
    return recipe.updated({"padding": {"mode": mode}})


def surround_warnings(recipe: LenslessRecipe, prepared: PreparedFrames) -> tuple[str, ...]:
    """Return a warning if a field is taken to repeat that does not."""
    if recipe.padding.mode != "none" or repeat(prepared.amplitudes, prepared.mask):
        return ()
    return ("frames do not continue at the opposite edge, as a field without padding does; set padding.mode to auto",)


def repeat(amplitudes: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_] | None = None) -> bool:
    """Tell whether frames go on at the opposite edge, as those of a periodic simulation do.

    Parameters
    ----------
    amplitudes
        Square roots of the intensities, (N, Y, X).
    mask
        True where pixels count, (N, Y, X); everywhere if None.
    """
    counted = np.ones(amplitudes.shape, bool) if mask is None else mask
    for axis in (1, 2):
        images, good = np.moveaxis(amplitudes, axis, 0), np.moveaxis(counted, axis, 0)
        if len(images) < 2:
            continue
        across = _mean_square_step(images, good, ((0, -1),))
        along = _mean_square_step(images, good, ((0, 1), (-1, -2)))
        if across is None or along is None or across > _LARGEST_STEP * along:
            return False
    return True


def _mean_square_step(
    images: npt.NDArray[np.float32], good: npt.NDArray[np.bool_], pairs: tuple[tuple[int, int], ...]
) -> float | None:
    """Return the mean square of the differences between lines that count, or None if there are none."""
    steps = [(images[a] - images[b])[good[a] & good[b]] for a, b in pairs]
    square = np.concatenate(steps).astype(np.float64) ** 2
    return float(square.mean()) if square.size else None
