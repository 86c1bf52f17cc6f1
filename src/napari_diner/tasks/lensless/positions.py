"""Positions of the object with another sign or order of the axes: which fit what moves in the frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.setup import Setup

# relative difference up to which two distances count as equal: the patterns are alike then
_SAME_DISTANCE = 0.02
# mean and standard deviation of the largest of nine normal numbers, as `_at` gives where nothing is displaced
_CHANCE = (1.485, 0.598)
# that of a displacement that is certain, and the part of it that the given positions may have
_CLEAR, _LESS = 6.0, 0.5
_FEWEST_PX, _MOST_PAIRS = 2.0, 24
_TINY = 1e-200
# (dy, dx) as given becomes the matrix times it
_OTHERS = {
    "the opposite sign": ((-1, 0), (0, -1)),
    "the opposite sign down the rows": ((-1, 0), (0, 1)),
    "the opposite sign across the columns": ((1, 0), (0, -1)),
    "down and across exchanged": ((0, 1), (1, 0)),
    "down and across exchanged, and the opposite sign": ((0, -1), (-1, 0)),
    "down and across exchanged, and the opposite sign down the rows": ((0, -1), (1, 0)),
    "down and across exchanged, and the opposite sign across the columns": ((0, 1), (-1, 0)),
}


def turned_positions(setup: Setup, prepared: PreparedFrames) -> list[str]:
    """Return a warning if the object moves between the frames as positions with another sign or order of axes say.

    Frames at one distance are correlated with each other. An illumination at rest correlates about zero, equally on
    both sides of it, so that what is displaced is the object. A free illumination would explain wrong positions, too.

    Parameters
    ----------
    setup
        Distances and positions of the frames.
    prepared
        The frames.
    """
    positions, distances = setup.positions_um, setup.heights.distances_um
    if positions is None:
        return []
    places = np.array(positions) / setup.pixel_size_um
    pairs = [
        (one, other)
        for one, other in combinations(range(len(places)), 2)
        if abs(distances[one] - distances[other]) <= _SAME_DISTANCE * distances[one]
        and np.abs(places[other] - places[one]).max() >= _FEWEST_PX
    ]
    if not pairs:
        return []
    pairs = pairs[:: -(-len(pairs) // _MOST_PAIRS)]
    scores = dict.fromkeys(["", *_OTHERS], 0.0)
    for one, other in pairs:
        correlation = _correlation(*(_without_rest(prepared.amplitudes, number, distances) for number in (one, other)))
        apart = places[other] - places[one]
        scores[""] += _at(correlation, apart)
        for name, matrix in _OTHERS.items():
            scores[name] += _at(correlation, np.array(matrix) @ apart)
    # in standard deviations of the mean over the pairs without a displacement
    count = len(pairs)
    clear = {name: (score / count - _CHANCE[0]) / (_CHANCE[1] / count**0.5) for name, score in scores.items()}
    best = max(clear, key=clear.__getitem__)
    if clear[best] < _CLEAR or clear[""] > _LESS * clear[best]:
        return []
    return [
        f"the object moves between the frames as positions_um with {best} would say, not as given; check the axes of "
        "the stage"
    ]


def _without_rest(
    amplitudes: npt.NDArray[np.floating], number: int, distances_um: Sequence[float]
) -> npt.NDArray[np.floating]:
    """Return a frame less the mean of those at its distance, which is what does not move; if there are three or more.

    Of two frames, each would be the negative of the other, and both signs of their displacement alike.
    """
    alike = np.isclose(distances_um, distances_um[number], rtol=_SAME_DISTANCE)
    frame = amplitudes[number]
    return np.asarray(frame - amplitudes[alike].mean(0)) if alike.sum() > 2 else frame


def _correlation(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the periodic correlation of two frames by displacement, in its standard deviations."""
    spectra = [np.fft.rfft2(np.asarray(frame, np.float64) - frame.mean()) for frame in (one, other)]
    product = spectra[0].conj() * spectra[1]
    # equal weights of all frequencies give a displacement a sharp peak
    correlation = np.fft.irfft2(product / np.maximum(np.abs(product), _TINY), s=one.shape)
    return np.asarray(correlation / max(correlation.std(), _TINY))


def _at(correlation: npt.NDArray[np.float64], displacement: npt.NDArray[np.float64]) -> float:
    """Return the largest value within a pixel of a displacement."""
    nearest = np.rint(displacement).astype(int)
    rows, columns = (np.arange(at - 1, at + 2) % size for at, size in zip(nearest, correlation.shape, strict=True))
    return float(correlation[np.ix_(rows, columns)].max())
