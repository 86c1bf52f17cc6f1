"""Whether frames are proportional to the light: a warning before each run.

Cameras are nearly linear; files often are not: colour spaces of images on screens, negatives, logarithmic scales. A
specimen of some contrast shows it, since no field explains such frames as well as those that are made linear again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.lensless.short_look import ShortLook, instead

Frames = npt.NDArray[np.float32]

RESPONSE_SIDE_PX = 96
"""Pixels across that are enough."""
# smaller fields hold too little to tell
_FEWEST_PX = 80
# what has to be left beyond noise for it to matter
_LEAST = 3e-4
# a logarithm over two decades
_DECADES = float(np.log(100))


def nonlinear(look: ShortLook) -> list[str]:
    """Return a sentence if frames fit better as another function of their values."""
    frames = look.intensities
    if min(frames.shape[1:]) < _FEWEST_PX:
        return []
    given = look.of(frames, quick=True)
    if given.beyond_noise < _LEAST:
        return []
    looks = {words: look.of(made_linear(frames), quick=True).share for words, made_linear in _CURVES.items()}
    words = min(looks, key=looks.__getitem__)
    if looks[words] > given.share:
        return []
    given, best = look.of(frames), look.of(_CURVES[words](frames))
    if not look.is_much_better(best, given):
        return []
    return [
        f"the frames fit better as {words}: {instead(given, best)}; save them in proportion to the light, as the "
        "camera recorded them"
    ]


def _exponential(frames: Frames) -> Frames:
    return np.asarray(np.expm1(frames * np.float32(_DECADES / float(frames.max()))))


def _without_pedestal(frames: Frames) -> Frames:
    low = float(np.percentile(frames, 0.1))
    return np.asarray(np.maximum(frames - np.float32(low), 0))


_CURVES: Mapping[str, Callable[[Frames], Frames]] = {
    "squares of their values, as if they held amplitudes, or a gamma of 2.2 for screens": np.square,
    "roots of their values, as if they had been squared": np.sqrt,
    "a negative": lambda frames: frames.max() + frames.min() - frames,
    "exponentials of their values, as if they were logarithmic": _exponential,
    "light on top of an offset, such as that of the camera without light": _without_pedestal,
}
