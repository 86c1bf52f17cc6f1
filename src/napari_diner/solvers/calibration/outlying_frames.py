"""Frames that the others do not predict while these predict each other, whatever is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_diner.physics.idt.illumination import Illumination
from napari_diner.solvers.calibration.arrangement import Arrangement, ArrangementTest, Judged

# worst predicted frames of which one is left out next, and the largest part of all that is left out
_WORST, _MOST = 4, 0.25
# what leaving out a frame must leave of the mean square error of the others, and what all must leave in the end
_NEXT, _LEFT = 0.75, 0.3
# error of the others, relative to the signal, up to which they predict each other; and fewest of them
_PREDICTED, _FEWEST = 0.5, 5
# mean square error of a frame, relative to that of the others, that is not explained by their scatter
_OUTLYING = 6.0
# what the opposite sign leaves of the mean square error of a frame that is a negative
_NEGATIVE = 0.3


@dataclass(frozen=True)
class Outlying:
    """Frames that do not fit the others."""

    numbers: tuple[int, ...]
    """Their numbers, from zero, in ascending order."""
    negatives: tuple[int, ...]
    """Those that fit with the opposite sign."""
    own: float
    """Smallest error by which the others predict one of them, relative to the signal."""
    rest: float
    """Error by which the others predict each other, relative to the signal."""


def outlying(test: ArrangementTest, illumination: Illumination) -> Outlying | None:
    """Return the frames without which the others predict each other much better; None if there are none.

    A single wrong frame also spoils the prediction of those with similar directions, so that they are found one after
    the other.

    Parameters
    ----------
    test
        Judges directions.
    illumination
        Directions of the frames.
    """
    count = len(illumination)
    kept = list(range(count))
    first = best = _judged(test, illumination, kept)
    while len(kept) - 1 >= max(_FEWEST, (1 - _MOST) * count):
        worst = [kept[place] for place in np.argsort(best.squares)[-_WORST:]]
        trials = {number: _judged(test, illumination, [one for one in kept if one != number]) for number in worst}
        number = min(trials, key=lambda one: trials[one].error)
        if trials[number].error ** 2 > _NEXT * best.error**2:
            break
        best = trials[number]
        kept.remove(number)
    numbers = tuple(number for number in range(count) if number not in kept)
    if not numbers or best.error > _PREDICTED or best.error**2 > _LEFT * first.error**2:
        return None
    errors = {}
    negatives = []
    for number in numbers:
        one = sorted([*kept, number])
        place = one.index(number)
        before, after = (
            float(_judged(test, illumination, one, place if is_opposite else None).squares[place])
            for is_opposite in (False, True)
        )
        errors[number] = before
        if after < _NEGATIVE * before:
            negatives.append(number)
    numbers = tuple(number for number in numbers if errors[number] > _OUTLYING * best.error**2)
    if not numbers:
        return None
    smallest = min(errors[number] for number in numbers)
    return Outlying(numbers, tuple(number for number in negatives if number in numbers), smallest**0.5, best.error)


def _judged(test: ArrangementTest, illumination: Illumination, kept: list[int], opposite: int | None = None) -> Judged:
    without = [number for number in range(len(illumination)) if number not in kept]
    way = Arrangement("as given", illumination.without(without))
    return test.of_frames(kept, opposite).judge([way])[0]
