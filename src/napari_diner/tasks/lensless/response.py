"""Whether frames are proportional to the light: a warning before each run.

Cameras are nearly linear; files often are not: colour spaces of images on screens, negatives, logarithmic scales. A
specimen of some contrast shows it, since no field explains such frames as well as those that are made linear again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.lensless.short_look import CLEAR, ShortLook, Suspicion, instead
from napari_diner.tasks.unexplained import Unexplained
from napari_diner.wording import percent

Frames = npt.NDArray[np.float32]

# smaller fields hold too little to tell
_FEWEST_PX = 80
# what has to be left beyond noise for it to matter
_LEAST = 3e-4
# part of what is left, noise included, that another curve may leave: curves also change the distribution of noise
_LESS = 0.8
# offsets that are tried, relative to the darkest values, one after the other as long as they explain more; and the
# least of these values, relative to the mean, that matter
_OFFSETS = (0.35, 0.5, 0.7, 0.85, 1.0)
_LEAST_OFFSET = 0.08
# a logarithm over two decades
_DECADES = float(np.log(100))
# the range of the light of optical densities
_DENSITIES = float(np.log(40))


def nonlinear(look: ShortLook, small: ShortLook) -> list[Suspicion]:
    """Return suspicions if frames fit better as another function of their values.

    Parameters
    ----------
    look
        Reconstructs the frames for a moment: small offsets only show in many pixels.
    small
        Reconstructs a smaller part, to try curves.
    """
    if min(small.intensities.shape[1:]) < _FEWEST_PX:
        return []
    return [*_curved(small), *_on_an_offset(look)]


def _curved(look: ShortLook) -> list[Suspicion]:
    frames = look.intensities
    if min(look.about.beyond_noise, look.given.beyond_noise) < _LEAST:
        return []
    looks: dict[str, float] = {}
    for gentle, stronger in _FAMILIES.items():
        looks[gentle] = look.of(_CURVES[gentle](frames), quick=True).share
        if looks[gentle] < look.about.share:
            looks.update({words: look.of(_CURVES[words](frames), quick=True).share for words in stronger})
    words = min(looks, key=looks.__getitem__)
    if looks[words] > look.about.share:
        return []
    given, best = look.given, look.of(_CURVES[words](frames))
    if not look.is_much_better(best, given, CLEAR) or best.share > _LESS * given.share:
        return []
    text = (
        f"the frames fit better as {words}: {instead(given, best)}; save them in proportion to the light, as the "
        "camera recorded them"
    )
    return [Suspicion.confirmed(text, given, best)]


def _exponential(frames: Frames) -> Frames:
    return np.asarray(np.expm1(frames * np.float32(_DECADES / float(frames.max()))))


def _on_an_offset(look: ShortLook) -> list[Suspicion]:
    frames = look.intensities
    low, mean = float(np.percentile(frames, 0.1)), float(frames.mean())
    if low < _LEAST_OFFSET * mean:
        return []
    given = look.given
    if not look.is_certain(given):
        return []

    def without(part: float) -> tuple[float, Unexplained]:
        return part * low, look.of(np.maximum(frames - np.float32(part * low), 0))

    offset, best = 0.0, given
    for part in _OFFSETS:
        another = without(part)
        if another[1].share > best.share:
            break
        offset, best = another
    if not offset or not look.is_much_better(best, given):
        return []
    text = (
        f"the frames fit better as light on top of an offset of about {percent(offset / mean)} of their mean: "
        f"{instead(given, best)}; subtract what the camera shows without light (preprocess.dark), or keep "
        "out stray light"
    )
    return [Suspicion.confirmed(text, given, best)]


_SQUARES = "squares of their values, as if they held amplitudes, or a gamma of 2.2 for screens"
_ROOTS = "roots of their values, as if they had been squared"
_POWERS = "powers of 1.4 of their values, as if a curve with a gamma of about 0.7 had been applied"
_SMALL_POWERS = "powers of 0.7 of their values, as if a curve with a gamma of about 1.4 had been applied"
_NEGATIVE = "a negative"
_EXPONENTIALS = "exponentials of their values, as if they were logarithmic"
_DENSE = "exponentials of their negatives, as if they were optical densities"
_CURVES: Mapping[str, Callable[[Frames], Frames]] = {
    _SQUARES: np.square,
    _ROOTS: np.sqrt,
    _POWERS: lambda frames: np.maximum(frames, 0) ** np.float32(1.4),
    _SMALL_POWERS: lambda frames: np.maximum(frames, 0) ** np.float32(0.7),
    _NEGATIVE: lambda frames: frames.max() + frames.min() - frames,
    _EXPONENTIALS: _exponential,
    _DENSE: lambda frames: np.exp(frames * np.float32(-_DENSITIES / float(frames.max()))),
}
# stronger curves of a kind are only tried if a gentle one explains more than none
_FAMILIES: Mapping[str, tuple[str, ...]] = {
    _POWERS: (_SQUARES, _EXPONENTIALS),
    _SMALL_POWERS: (_ROOTS,),
    _NEGATIVE: (_DENSE,),
}
