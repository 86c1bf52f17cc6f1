"""Stripes in all frames that no object explains: lamps that flicker under a rolling shutter, noise of whole rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from napari_diner.wording import percent

Frames = npt.NDArray[np.floating]
Vector = npt.NDArray[np.float64]

_FEWEST_FRAMES, _FEWEST_LINES = 3, 32
# slow changes from line to line are uneven light
_DEGREE = 4
# part of the residual of a frame that is the same along its lines, from which it has stripes: up to 0.17 with straight
# lines in recorded samples, and with other errors; how much more that is than across them, and than in the frame
# itself, which shows whether the sample consists of lines; and the part of the frames that must have them
_OF_RESIDUAL, _MORE, _OF_FRAMES = 0.3, 3.0, 0.6
# share of the variation of the data from which they matter
_SHARE = 4e-4
# median of the squares of the stripes relative to their mean: 0.45 for noise, 0.5 for a wave, less for few lines, such
# as those of a fibre
_THROUGHOUT = 0.2
# part of a frame below which the sample does not consist of lines
_LINES = 0.4
# part of the stripes that frames have in common, from which they are those of the camera
_SAME = 0.5


def stripes_left(residual: Frames, reference: Frames) -> list[str]:
    """Return a warning if most frames have stripes along their rows or columns that a result leaves unexplained.

    The means of the residual r over lines of w pixels hold the part ``w Σ r̄² / Σ r²`` of it, without slow changes.

    Parameters
    ----------
    residual, reference
        Residuals, (N, Y, X), of the result and of an empty field; zero at invalid values.
    """
    if len(residual) < _FEWEST_FRAMES or min(residual.shape[1:]) < _FEWEST_LINES:
        return []
    variation = float(_powers(reference).sum()) or 1.0
    along = [_of_lines(residual, axis) for axis in (1, 2)]
    own_parts = [part for _, part, _ in along]
    for axis, name, other in zip((1, 2), ("rows", "columns"), own_parts[::-1], strict=True):
        strength, own, throughout = along[axis - 1]
        of_sample = _of_lines(reference, axis)[1]
        # frames have stripes themselves, which say little about the sample unless they are most of it
        usual = np.maximum(_MORE * other, np.where(of_sample < _LINES, 1.0, _MORE) * of_sample)
        share = float(strength.sum()) / variation
        has = (own > _OF_RESIDUAL) & (own > usual) & (throughout > _THROUGHOUT)
        if share > _SHARE and has.mean() >= _OF_FRAMES:
            cause = (
                f"the same in all frames, as from {name} of the camera that differ; a flat field or background, "
                "recorded without the sample, removes them"
                if _in_common(residual, axis) > _SAME
                else "as from a lamp that flickers while a camera exposes line by line (rolling shutter), or from its "
                "electronics; record with steady light, or average several exposures of each frame"
            )
            return [
                f"most frames have stripes along their {name} that no sample explains, {percent(share)} of the "
                f"variation of the data, {cause}"
            ]
    return []


def _in_common(images: Frames, axis: int) -> float:
    """Return the part of the means over lines of images, (N, Y, X), that is the same in all of them."""
    means = images.mean(3 - axis, dtype=np.float64)
    means -= means.mean(1, keepdims=True)
    count, power = len(means), float(np.square(means).mean())
    # the mean of independent ones has 1/N of their power
    return (float(np.square(means.mean(0)).mean()) / (power or 1.0) - 1 / count) * count / (count - 1)


def _powers(images: Frames) -> Vector:
    """Return the sums of squares of images, (N,), one image at a time: a copy of a wide field is large."""
    return np.array([np.square(image, dtype=np.float64).sum() for image in images])


def _of_lines(images: Frames, axis: int) -> tuple[Vector, Vector, Vector]:
    """Return what is the same along lines in images, (N, Y, X).

    That is its power, (N,), the same relative to the whole power, and relative to its mean the median over lines.
    """
    means = images.mean(3 - axis, dtype=np.float64)
    basis = legendre.legvander(np.linspace(-1, 1, means.shape[1]), _DEGREE)
    squares = (means - (basis @ np.linalg.lstsq(basis, means.T, rcond=None)[0]).T) ** 2
    strength = images.shape[3 - axis] * squares.sum(1)
    whole = _powers(images)
    throughout = np.median(squares, axis=1) / np.maximum(squares.mean(1), 1e-300)
    return strength, strength / np.maximum(whole, 1e-300), throughout
