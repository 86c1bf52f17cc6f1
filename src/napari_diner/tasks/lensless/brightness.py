"""Detection of small differences in brightness between frames, confirmed by a short reconstruction."""

from __future__ import annotations

import numpy as np

from napari_diner.preprocess.soundness import OTHER_EXPOSURE
from napari_diner.tasks.lensless.data import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.short_look import ShortLook, Suspicion, instead

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
    if recipe.gains is not None or recipe.equalise_gains or recipe.calibration.gain:
        return []
    where = True if prepared.mask is None else prepared.mask
    means = np.mean(prepared.amplitudes**2, axis=(1, 2), dtype=np.float64, where=where)
    gains = np.asarray(means / means.mean())
    most = float(np.abs(means / np.median(means) - 1).max())
    if not _LEAST < most <= OTHER_EXPOSURE:
        return []
    before, after = look.with_gains(None), look.with_gains(gains)
    if not look.is_much_better(after, before):
        return []
    text = (
        f"the brightness of the frames differs by up to {100 * most:.1g} %, as of light that drifts: with gains, "
        f"{instead(before, after)}; equalise_gains estimates and removes such differences"
    )
    return [Suspicion.confirmed(text, before, after)]
