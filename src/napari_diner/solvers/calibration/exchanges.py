"""Lists of directions in which single ones stand beside the wrong frames."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from napari_diner.physics.idt.illumination import Illumination, Source
from napari_diner.solvers.calibration.arrangement import Arrangement, ArrangementTest, Judged

# worst predicted frames, among which are both of an exchange, and largest number of exchanges
_WORST, _MOST = 24, 40
# part of the squared error of all frames that an exchange must gain, and of the moved frames that may be left
_GAIN, _LEFT = 0.03, 0.3
_FEW = 4


def exchanged(test: ArrangementTest, given: Judged) -> Judged | None:
    """Return the best list after exchanges of two directions, one after another; None if it is not clearly better.

    All lists have the same set of directions, and are judged with the same matrices, so that hundreds take little
    longer than one.

    Parameters
    ----------
    test
        Judges lists.
    given
        The list to start from.
    """
    best = given
    for _ in range(_MOST):
        frames = best.arrangement.illumination.frames
        pairs = combinations(np.argsort(best.squares)[-_WORST:].tolist(), 2)
        trial = min(test.judge([_exchange(frames, *pair) for pair in pairs]), key=lambda way: way.error)
        if trial.error**2 > (1 - _GAIN) * best.error**2:
            break
        best = trial
    moved = [
        number
        for number, (one, other) in enumerate(
            zip(given.arrangement.illumination.frames, best.arrangement.illumination.frames, strict=True)
        )
        if one != other
    ]
    if not moved or best.squares[moved].sum() > _LEFT * given.squares[moved].sum():
        return None
    way = Arrangement(_name(moved), best.arrangement.illumination)
    return replace(best, arrangement=way)


def _exchange(frames: tuple[tuple[Source, ...], ...], one: int, other: int) -> Arrangement:
    order = list(range(len(frames)))
    order[one], order[other] = other, one
    return Arrangement("exchanged", Illumination(tuple(frames[place] for place in order)))


def _name(moved: list[int]) -> str:
    numbers = [str(number + 1) for number in moved]
    if len(moved) == 2:
        return f"directions of frames {' and '.join(numbers)} exchanged"
    if len(moved) <= _FEW:
        return f"directions of frames {', '.join(numbers[:-1])} and {numbers[-1]} in another order"
    return f"directions of {len(moved)} frames in another order"
