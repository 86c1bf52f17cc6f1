"""What is the same in all frames, and does not spread with the distance: dust on the sensor, or unequal pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.wording import percent

Frames = npt.NDArray[np.floating]

# share of the variation of the data from which it matters: below 0.0002 in sound recordings, and with wrong distances
# or frames; part of the residual; and of its mean, the least of a frame
_SHARE, _OF_RESIDUAL, _IN_EACH = 0.002, 0.2, 0.5
_FEWEST_FRAMES = 3


def static_pattern(residual: Frames, reference: Frames, *, is_corrected: bool = False, least: float = 0.0) -> list[str]:
    """Return a warning if residuals of lensless frames have a considerable part in common; see `static_share`.

    Parameters
    ----------
    residual, reference
        Residuals, (N, Y, X), of the result and of an empty field; zero at invalid values.
    is_corrected
        Whether the frames are divided by a flat field.
    least
        Part of the residual that they must have in common.
    """
    share = static_share(residual, reference, least)
    if share is None:
        return []
    cure = "a flat field, recorded without the sample, removes it, and a mask leaves out single spots"
    if is_corrected:
        cure = "the flat field does not hold it, as if recorded earlier"
    return [
        f"a pattern that is the same in all frames makes up {percent(share)} of their variation and is "
        f"left unexplained, as of dust on the sensor or its window, of pixels that differ, or of frames whose values "
        f"were changed after they were recorded; {cure}"
    ]


def static_share(residual: Frames, reference: Frames, least: float = 0.0) -> float | None:
    """Return the part of the data that residuals have in common, if it is considerable, or else None.

    The products of the residuals r of two frames, ``⟨r_i r_j⟩``, are the power of what they share: noise and errors of
    single frames do not contribute. An object does not explain it, as its light changes from frame to frame.

    Parameters
    ----------
    residual, reference
        Residuals, (N, Y, X), of the result and of an empty field or volume; zero at invalid values.
    least
        Part of the residual that they must have in common, if it is more than usual.
    """
    count = len(residual)
    if count < _FEWEST_FRAMES:
        return None
    total = residual.sum(0, dtype=np.float64)
    square, variation, shared = 0.0, 0.0, []
    for own, empty in zip(residual, reference, strict=True):
        of_frame = own.astype(np.float64)
        power = float((of_frame * of_frame).sum())
        shared.append((float((of_frame * total).sum()) - power) / (count - 1))
        square += power
        variation += float(np.square(empty, dtype=np.float64).sum())
    static = sum(shared)
    part = max(_OF_RESIDUAL, least) * square
    if static <= max(_SHARE * variation, part) or min(shared) < _IN_EACH * static / count:
        return None
    return static / variation
