"""Halves of frames that are those of other frames of the same recording: a warning after a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_diner.preprocess.soundness import numbered

Frames = npt.NDArray[np.floating]
Sums = npt.NDArray[np.float64]

# side of the central part that is compared
_MOST_PX = 512
_FEWEST_FRAMES = 4
# What the difference to another frame leaves of the residual of a half: at most, and relative to what another contrast
# leaves; the part of the difference, and of the variation of the half, that is explained. It leaves 0.13 to 0.23 of
# halves of another frame, more than 0.9 of most others, and down to 0.32 where a frame is flipped, which disturbs all.
_LEFT, _BETTER, _PART, _MATTERS = 0.27, 0.7, 0.4, 1e-3
# the same part of frames that are means of two: half of the difference, less what bends their own prediction
_MEAN = (0.25, 0.65)
# most of what is explained of the other half, relative to this one, and the most such frames
_OTHER_HALF, _MOST = 0.2, 0.6
_HALVES = (("upper", "lower"), ("left", "right"))


class Half(NamedTuple):
    """A half of a frame that is that of another one."""

    frame: int
    """Number of the frame, from zero."""
    name: str
    """Which half, such as ``"upper"``."""


def exchanged_halves(residual: Frames, trivial: Frames, levels: Sequence[float] | Sums) -> list[Half]:
    """Return halves of frames whose residual is the difference of another frame from what is expected.

    With the contrasts y of the frames and ŷ of their predictions in a half of the field, the factor b that minimises
    ``‖y_k − ŷ_k − b (ŷ_j − ŷ_k)‖²`` is found for each pair of frames. Errors of a whole frame
    leave as much in both halves.

    Parameters
    ----------
    residual, trivial
        Residuals, (N, Y, X), of the result and of a trivial answer, model minus data.
    levels
        Mean of each frame, above zero.
    """
    count = len(trivial)
    if count < _FEWEST_FRAMES:
        return []
    seen, expected = contrasts(residual, trivial, levels)
    found = []
    for axis, names in enumerate(_HALVES, 1):
        middle = seen.shape[axis] // 2
        parts = [np.split(images, [middle], axis) for images in (seen, expected)]
        halves = [Pairs(*(part[number].reshape(count, -1) for part in parts)) for number in (0, 1)]
        for name, own, opposite in zip(names, halves, reversed(halves), strict=True):
            is_other = opposite.explained.max(1) < _OTHER_HALF * own.explained.max(1)
            found += [Half(frame, name) for frame in own.others() if is_other[frame]]
    return found if len({half.frame for half in found}) <= _MOST * count else []


def warnings_of_halves(halves: Sequence[Half]) -> list[str]:
    """Return warnings that name halves of frames.

    Parameters
    ----------
    halves
        As returned by `exchanged_halves`.
    """
    texts = []
    for name in dict.fromkeys(half.name for half in halves):
        numbers = [half.frame for half in halves if half.name == name]
        fit, them = ("half of {} fits", "it") if len(numbers) == 1 else ("halves of {} fit", "them")
        texts.append(
            f"the {name} {fit.format(numbered(numbers))} another frame, as where parts of frames were exchanged; put "
            f"{them} together again, or leave {them} out (leave_out)"
        )
    return texts


def contrasts(residual: Frames, trivial: Frames, levels: Sequence[float] | Sums) -> tuple[Frames, Frames]:
    """Return the contrasts of the middles of frames, less their means, and those of their predictions, (N, Y, X)."""
    start = [max(size - _MOST_PX, 0) // 2 for size in trivial.shape[1:]]
    cut = (slice(None), *(slice(first, first + _MOST_PX) for first in start))
    level = np.asarray(levels, np.float32)[:, None, None]
    seen = -trivial[cut].astype(np.float32) / level
    expected = seen + residual[cut].astype(np.float32) / level
    for images in (seen, expected):
        images -= images.mean((1, 2), keepdims=True)
    return seen, expected


class Pairs:
    """How much of the residual of each frame the other ones explain, in a half of the field.

    Parameters
    ----------
    seen, expected
        Contrasts of frames and predictions, (N, P).
    """

    def __init__(self, seen: Frames, expected: Frames) -> None:
        missing = seen - expected
        gram, product = (np.asarray(images @ expected.T, np.float64) for images in (expected, missing))
        own, before = np.diag(gram), np.maximum(_squares(missing), 1e-30)
        both = own[:, None] + own[None]
        apart = np.maximum(both - 2 * gram, 1e-6 * both + 1e-30)
        towards = product - np.diag(product)[:, None]
        self._part = towards / apart
        explained = np.maximum(towards, 0) ** 2 / apart
        self._left = 1 - explained / before[:, None]
        self._by_contrast = 1 - np.diag(product) ** 2 / (own * before + 1e-30)
        self.explained = explained / np.maximum(_squares(seen), 1e-30)[:, None]
        """Part of the variation of each frame that is explained by each other one, (N, N)."""

    def others(self) -> list[int]:
        """Return frames that fit another one."""
        return [frame for frame, _, part in self._explained_by_another() if part > _PART]

    def means(self) -> list[tuple[int, int]]:
        """Return frames that fit as the mean of themselves and another one, and that one."""
        return [(frame, other) for frame, other, part in self._explained_by_another() if _MEAN[0] < part < _MEAN[1]]

    def _explained_by_another(self) -> list[tuple[int, int, float]]:
        best = self._left.argmin(1)
        every = np.arange(len(best))
        left, part, explained = (values[every, best] for values in (self._left, self._part, self.explained))
        is_other = (left < np.minimum(_LEFT, _BETTER * self._by_contrast)) & (explained > _MATTERS)
        return [(int(frame), int(best[frame]), float(part[frame])) for frame in np.flatnonzero(is_other)]


def _squares(images: Frames) -> Sums:
    return np.asarray(np.einsum("np,np->n", images, images), np.float64)
