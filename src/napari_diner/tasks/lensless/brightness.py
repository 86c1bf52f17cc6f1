"""Detection of small differences in brightness between frames, confirmed by a short reconstruction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.preprocess.soundness import OTHER_EXPOSURE
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.short_look import ShortLook, Suspicion, instead
from napari_diner.wording import digits

_LEAST = 0.002
"""Largest negligible differences."""


def uneven(recipe: LenslessRecipe, prepared: PreparedFrames, look: ShortLook) -> list[Suspicion]:
    """Return a suspicion if frames with slightly different brightness are explained much better by equal light.

    Large differences need no confirmation; see `napari_diner.preprocess.soundness.exposures`.

    Parameters
    ----------
    recipe
        The resolved recipe.
    prepared
        The prepared frames.
    look
        Reconstructs them for a moment.
    """
    gains, most = _gains(recipe, prepared)
    if not _LEAST < most <= OTHER_EXPOSURE:
        return []
    before, after = look.with_gains(None), look.with_gains(gains)
    if not look.is_much_better(after, before):
        return []
    text = (
        f"the brightness of the frames differs by up to {digits(100 * most, 1)} %, as of light that drifts: with "
        f"gains, {instead(before, after)}; equalise_gains estimates and removes such differences"
    )
    return [Suspicion.confirmed(text, before, after)]


def in_equal_light(recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames) -> Setup:
    """Return a setup with gains if exposures clearly differ, so that checks of other errors are not misled by them."""
    gains, most = _gains(recipe, prepared)
    return setup.with_heights(gains=tuple(gains.tolist())) if most > OTHER_EXPOSURE else setup


def _gains(recipe: LenslessRecipe, prepared: PreparedFrames) -> tuple[npt.NDArray[np.float64], float]:
    """Return the relative brightness of frames, and the largest difference; zero if it is provided for."""
    where = True if prepared.mask is None else prepared.mask
    means = np.mean(prepared.amplitudes**2, axis=(1, 2), dtype=np.float64, where=where)
    given = recipe.gains is not None or recipe.equalise_gains or recipe.calibration.gain
    return np.asarray(means / means.mean()), 0.0 if given else float(np.abs(means / np.median(means) - 1).max())
