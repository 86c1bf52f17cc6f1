"""Frames that are blurred, unlike the others: by motion during the exposure, binning, or a focus of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_diner.preprocess.soundness import numbered
from napari_diner.tasks.predicted_spectra import FREQUENCIES, PredictedSpectra

Sums = npt.NDArray[np.float64]

_FEWEST_FRAMES = 4
# the lowest frequencies hold uneven light
_FIRST_RING = 1
# squares of standard deviations of a blur that are compared, in pixels²
_SQUARES = np.concatenate([[0.0], np.geomspace(0.05, 400.0, 72)])
# Least square of a blur, the part of a frame's residual that it leaves, and the part of its variation that it removes.
# In sound recordings, and with other errors, blurs leave more than 0.95 or are below 0.5; blurred frames are at 0.5 to
# 15 px² and leave 0.02 to 0.45.
_LEAST, _LEFT, _MATTERS = 0.3, 0.6, 3e-4
# how much less the other frames have to be blurred, as all are by light that is not coherent, and how many may be
_CLEARER, _MOST = 4.0, 1 / 3


def blurred_frames(spectra: PredictedSpectra) -> list[tuple[int, float]]:
    """Return frames that are blurred versions of what a result predicts, unlike the others.

    Of a frame with the spectrum Y and its prediction Ŷ, the blur with the variance s that minimises
    ``Σ |Y − exp(−2 π² s f²) Ŷ|²`` is found, with sums over rings of frequencies f. Frames in which the finest detail
    is missing also make the prediction of the others a little too sharp, or too smooth, but much less so.

    Parameters
    ----------
    spectra
        Frames and what a result predicts of them.

    Returns
    -------
    list
        Number from zero, and standard deviation of the blur in pixels, of each of these frames.
    """
    if len(spectra.power) < _FEWEST_FRAMES:
        return []
    found = np.array([_blur(*sums) for sums in zip(*spectra.within(slice(_FIRST_RING, None)), strict=True)])
    square, left, removed = found.T
    # what is best explained by no contrast at all is no blur
    is_blurred = (square > _LEAST) & (square < _SQUARES[-1]) & (left < _LEFT) & (removed > _MATTERS)
    if not 0 < is_blurred.sum() <= _MOST * len(found):
        return []
    if square[is_blurred].min() < _CLEARER * square[~is_blurred].max():
        return []
    return [(int(number), float(square[number] ** 0.5)) for number in np.flatnonzero(is_blurred)]


def warnings_of_blur(blurred: Sequence[tuple[int, float]], distances_um: Sequence[float] = ()) -> list[str]:
    """Return a warning that names blurred frames.

    Parameters
    ----------
    blurred
        As returned by `blurred_frames`.
    distances_um
        Distance of each frame, if that differs; light that is not coherent blurs the farthest ones.
    """
    if not blurred:
        return []
    numbers, widths = zip(*blurred, strict=True)
    they_are, them = ("is", "it") if len(blurred) == 1 else ("are", "them")
    farthest = sorted(range(len(distances_um)), key=lambda number: distances_um[number])[-len(blurred) :]
    source = "by a light source that is too large, " if sorted(numbers) == sorted(farthest) else ""
    return [
        f"{numbered(numbers)} {they_are} blurred by about {max(widths):.1f} pixels (standard deviation), unlike the "
        f"others, as {source}by motion during the exposure, by binning or by a filter; record {them} again, or leave "
        f"{them} out (leave_out)"
    ]


def _blur(power: Sums, product: Sums, energy: Sums) -> Sums:
    """Return the variance of the blur of a frame, what it leaves of the residual, and removes of the variation."""
    transfer = np.exp(-2 * np.pi**2 * _SQUARES[:, None] * FREQUENCIES[_FIRST_RING:] ** 2)
    misfit = (power - 2 * transfer * product + transfer**2 * energy).sum(1)
    best, total = int(misfit.argmin()), float(power.sum()) or 1.0
    return np.array([_SQUARES[best], misfit[best] / (misfit[0] or 1.0), (misfit[0] - misfit[best]) / total])
