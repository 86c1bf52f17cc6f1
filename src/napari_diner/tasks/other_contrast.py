"""Frames whose contrast is that of the prediction times a factor, unlike the others: another curve, or stray light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_diner.preprocess.soundness import numbered
from napari_diner.tasks.predicted_spectra import PredictedSpectra
from napari_diner.wording import digits

Sums = npt.NDArray[np.float64]

_FEWEST_FRAMES = 4
# Logarithm of the least factor, the part of a frame's residual that it leaves, and the part of its variation that it
# removes; sound frames differ by less than 0.02.
_LEAST, _LEFT, _MATTERS = 0.08, 0.6, 1e-3
# largest part of that logarithm by which fine and coarse detail may differ, unlike in blurred frames
_ALIKE = 0.5
# the same logarithm of further frames relative to that of the first, what they leave, and the most of such frames
_NEXT, _LEFT_OF_NEXT, _MOST = 0.5, 0.9, 0.4

# part of the usual contrast that a negative has at least
_NEGATIVE = 0.3


def frames_of_other_contrast(spectra: PredictedSpectra) -> list[tuple[int, float]]:
    """Return frames whose contrast is another one than that of the others, relative to what a result predicts.

    With the contrast m of a frame, relative to its mean, and the predicted one p, the factor is ``b = Σ m p / Σ p²``.
    The brightness of a frame does not change it. Frames that are predicted wrongly for another reason are not explained
    by a factor.

    Parameters
    ----------
    spectra
        Frames and what a result predicts of them.

    Returns
    -------
    list
        Number from zero, and factor relative to the other frames, of each of these frames: negative for a negative.
    """
    if len(spectra.power) < _FEWEST_FRAMES:
        return []
    found = np.array([_compared(*sums) for sums in zip(*spectra, strict=True)])
    factor, left, removed, bend = found.T
    usual = float(np.median(factor))
    is_negative = (factor < -_NEGATIVE * usual) & (left < _LEFT)
    if usual <= 0 or is_negative.sum() > _MOST * len(found):
        return []
    factor /= usual
    if is_negative.any():
        return [(int(number), float(factor[number])) for number in np.flatnonzero(is_negative)]
    if not np.all(factor > 0):
        return []
    size = np.abs(np.log(factor))
    is_certain = (size > _LEAST) & (left < _LEFT) & (removed > _MATTERS) & (bend < _ALIKE * size)
    if not is_certain.any():
        return []
    # the prediction is a compromise, so that sound frames may differ, too, but less, and to the other side
    strongest = int(np.argmax(np.where(is_certain, size, 0)))
    is_other = (size > _NEXT * size[strongest]) & ((factor < 1) == (factor[strongest] < 1)) & (left < _LEFT_OF_NEXT)
    if is_other.sum() > _MOST * len(found):
        return []
    return [(int(number), float(factor[number])) for number in np.flatnonzero(is_other)]


def warnings_of_contrast(others: Sequence[tuple[int, float]]) -> list[str]:
    """Return a warning that names frames of another contrast.

    Parameters
    ----------
    others
        As returned by `frames_of_other_contrast`.
    """
    if not others:
        return []
    numbers, factors = zip(*others, strict=True)
    if factors[0] < 0:
        is_a, them = ("is a negative", "it") if len(others) == 1 else ("are negatives", "them")
        return [
            f"{numbered(numbers)} {is_a} of what the other frames let expect, bright where these are dark; save all "
            f"frames alike, or leave {them} out (leave_out)"
        ]
    ends = [digits(factor) for factor in (min(factors), max(factors))]
    they, have, them = ("it", "has", "it") if len(others) == 1 else ("they", "have", "them")
    return [
        f"{numbered(numbers)} {have} {' to '.join(dict.fromkeys(ends))} times the contrast that the other frames let "
        f"expect, as if {they} had been saved with another curve (gamma) or black level, or held stray light; "
        f"save all frames alike, or leave {them} out (leave_out)"
    ]


def _compared(power: Sums, product: Sums, energy: Sums) -> Sums:
    """Return the factor of a frame, what it leaves of the residual, what it removes of the variation, and its bend."""
    total = float(energy.sum()) or 1.0
    # coarse and fine detail, of about equal power
    is_fine = np.cumsum(energy) - energy / 2 > total / 2
    coarse, fine = (float(product[part].sum()) / (float(energy[part].sum()) or 1.0) for part in (~is_fine, is_fine))
    factor = float(product.sum()) / total
    before = float((power - 2 * product + energy).sum())
    after = float((power - 2 * factor * product + factor**2 * energy).sum())
    bend = abs(np.log(coarse / fine)) if min(coarse, fine) > 0 else np.inf
    return np.array([factor, after / (before or 1.0), (before - after) / (float(power.sum()) or 1.0), bend])
