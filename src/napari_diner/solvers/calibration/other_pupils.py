"""Other phases of the objective's pupil than the given one, judged by the prediction of each frame by the others."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from napari_diner.physics.zernike import FIRST_MODE
from napari_diner.solvers.calibration.arrangement import Judged

Vector = npt.NDArray[np.float64]

# modes that are not symmetric about the axis: those that are can hardly be told from the object
_MODES = range(5, 11)
# coefficients at which the error is compared in each round, the largest step, and the least that counts, in rad
_PROBES_RAD, _LARGEST_RAD, _LEAST_RAD = (0.3, 0.15), 0.8, 0.05


def better_pupil(judged: Callable[[tuple[float, ...]], Judged], given_rad: tuple[float, ...]) -> tuple[Judged, float]:
    """Return the best prediction of the frames with another pupil, and its RMS difference from the given one in rad.

    The squared error is taken for a parabola in each mode by itself; two rounds come close to the minimum.

    Parameters
    ----------
    judged
        Returns the prediction under a pupil of some coefficients of the modes from 4 on.
    given_rad
        The given ones.
    """
    count = max(_MODES[-1] - FIRST_MODE + 1, len(given_rad))

    def padded(coefficients: tuple[float, ...]) -> Vector:
        return np.pad(np.array(coefficients, float), (0, count - len(coefficients)))

    given = padded(given_rad)
    # also none, and those of a list that began with piston and tilts
    starts = [given, padded(()), padded(given_rad[FIRST_MODE - 1 :])] if any(given_rad) else [given]
    present, best = min(((start, judged(tuple(start))) for start in starts), key=lambda pair: pair[1].error)
    for probe in _PROBES_RAD:
        step = np.zeros(count)
        for place in (mode - FIRST_MODE for mode in _MODES):
            unit = np.eye(count)[place] * probe
            below, above = (judged(tuple(present + side * unit)).error ** 2 for side in (-1, 1))
            curvature = below + above - 2 * best.error**2
            if curvature > 0:
                step[place] = probe * (below - above) / (2 * curvature)
            elif min(below, above) < best.error**2:
                step[place] = math.copysign(probe, below - above)
        step = np.clip(step, -_LARGEST_RAD, _LARGEST_RAD)
        if np.linalg.norm(step) < _LEAST_RAD:
            break
        trials = [(fraction, judged(tuple(present + fraction * step))) for fraction in (1.0, 0.5)]
        fraction, trial = min(trials, key=lambda pair: pair[1].error)
        if trial.error >= best.error:
            break
        present, best = present + fraction * step, trial
    return best, float(np.linalg.norm(present - given))
