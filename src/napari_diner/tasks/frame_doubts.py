"""What a result says about single frames, in tasks that explain several frames by one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.exchanged_halves import exchanged_halves, warnings_of_halves
from napari_diner.tasks.foreign_regions import foreign_regions, warnings_of_regions
from napari_diner.tasks.mixed_frames import mixed_frames, warnings_of_mixtures
from napari_diner.tasks.other_contrast import frames_of_other_contrast, warnings_of_contrast
from napari_diner.tasks.other_magnification import enlarged_frames, warnings_of_magnification
from napari_diner.tasks.predicted_spectra import PredictedSpectra
from napari_diner.tasks.turned_frames import turned_frames, warnings_of_turns
from napari_diner.tasks.unexplained import Unexplained

Frames = npt.NDArray[np.floating]

# residual beyond noise from which a frame is explained much worse than most
_WORSE = 5.0
# part of the variation of most frames that is left beyond noise from which they let nothing be expected of a single one
_UNEXPLAINED = 0.5


@dataclass(frozen=True)
class FrameDoubts:
    """Warnings about single frames whose cause is known."""

    texts: tuple[str, ...]
    """Sentences about them."""
    named: frozenset[int]
    """Numbers of these frames, from zero."""
    disturbs: bool
    """Whether they also disturb the prediction of sound frames."""
    spectra: PredictedSpectra
    """Spectra of frames and predictions."""
    unlike: frozenset[int]
    """Frames that are not what they should be as a whole, which may look blurred, and those that are not looked at."""


def frame_doubts(
    residual: Frames,
    trivial: Frames,
    unexplained: Unexplained,
    levels: Sequence[float],
    *,
    cure: str,
    cure_of_scale: str = "",
    is_scaled: bool = False,
    oblique: bool = False,
) -> FrameDoubts:
    """Return what a residual says about single frames.

    Parameters
    ----------
    residual, trivial
        Residuals, (N, Y, X), of the result and of a trivial answer, model minus data.
    unexplained
        What they say about each frame.
    levels
        Mean of each frame, above zero.
    cure
        What to do about regions that do not fit.
    cure_of_scale
        What removes another magnification, if anything does.
    is_scaled
        Whether the magnification of frames is estimated.
    oblique
        Whether the light comes from another direction in each frame. Then wrong optics leave much of all frames, which
        looks like other causes, so that only frames are named that are explained much worse than most; and the mean of
        two frames is told, which frames between two distances look like.
    """
    spectra = PredictedSpectra.of(residual, trivial, levels)
    if not unexplained.of_frames or _left_of_most(trivial, unexplained) > _UNEXPLAINED:
        return FrameDoubts((), frozenset(), False, spectra, frozenset())
    beyond = np.array(unexplained.of_frames)[:, 1]
    worse = set(np.flatnonzero(beyond > (_WORSE * np.median(beyond) if oblique else -1)).tolist())
    others = frames_of_other_contrast(spectra)
    others = others if worse.issuperset(number for number, _ in others) else []
    # negatives disturb the prediction of all others most
    negatives = [number for number, factor in others if factor < 0]
    halves = [] if negatives else exchanged_halves(residual, trivial, levels)
    named = {half.frame for half in halves}
    turned = [] if halves or negatives else turned_frames(residual, trivial, unexplained)
    turned = [one for one in turned if one.frame in worse]
    moved = named | {one.frame for one in turned}
    mixed = [one for one in mixed_frames(residual, trivial, moved) if one[0] in worse] if oblique else []
    moved |= {frame for frame, _ in mixed}
    if moved and not negatives:
        others = []  # sound frames differ in contrast from a prediction that is disturbed
    enlarged = [] if is_scaled or halves or negatives else enlarged_frames(residual, trivial, unexplained)
    enlarged = [one for one in enlarged if one[0] in worse - moved]
    unlike = {number for number, _ in (*others, *enlarged)}
    regions = [region for region in foreign_regions(residual, trivial) if region.frame not in moved | unlike]
    return FrameDoubts(
        (
            *warnings_of_halves(halves),
            *warnings_of_turns(turned),
            *warnings_of_mixtures(mixed),
            *warnings_of_magnification(enlarged, cure_of_scale),
            *warnings_of_contrast(others),
            *warnings_of_regions(regions, cure),
        ),
        frozenset(moved | unlike | {region.frame for region in regions}),
        bool(halves or enlarged or turned or mixed or negatives),
        spectra,
        frozenset(unlike | moved | (set(range(len(residual))) - worse)),
    )


def _left_of_most(trivial: Frames, unexplained: Unexplained) -> float:
    """Return the part of its variation that most frames leave beyond noise, at least."""
    variation = np.array([float(np.square(frame, dtype=np.float64).sum()) for frame in trivial])
    if not variation.all():
        return 0.0
    return float(np.median(np.array(unexplained.of_frames)[:, 1] * variation.mean() / variation))
