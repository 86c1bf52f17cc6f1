"""The middles of the frames that a result explains worst, with what it lets expect."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.unexplained import Unexplained

Frames = npt.NDArray[np.floating]
Image = npt.NDArray[np.float32]

_FEWEST_FRAMES = 4
# part of the variation of a frame that is left beyond noise from which it is looked at
_LEAST = 2e-3


def worst_frames(
    residual: Frames, trivial: Frames, unexplained: Unexplained, most: int, side_px: int
) -> Iterator[tuple[int, Image, Image]]:
    """Yield the number from zero, the middle, and the prediction of it, of frames that are explained worst.

    Parameters
    ----------
    residual, trivial
        Residuals, (N, Y, X), of the result and of a trivial answer, model minus data.
    unexplained
        What they say about each frame.
    most
        Most frames; of fewer than four there are none.
    side_px
        Largest side of the middles, which are relative to the trivial answer.
    """
    if len(trivial) < _FEWEST_FRAMES:
        return
    beyond = np.array(unexplained.of_frames)[:, 1]
    start = [max(size - side_px, 0) // 2 for size in trivial.shape[1:]]
    cut = tuple(slice(first, first + side_px) for first in start)
    for number in np.argsort(-beyond)[:most].tolist():
        if beyond[number] < _LEAST:
            return
        seen = -trivial[number][cut].astype(np.float32)
        yield number, seen, seen + residual[number][cut].astype(np.float32)
