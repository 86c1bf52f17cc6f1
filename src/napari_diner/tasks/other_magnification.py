"""Frames that are enlarged or reduced against what the other frames let expect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from napari_diner.preprocess.soundness import numbered
from napari_diner.tasks.unexplained import Unexplained
from napari_diner.tasks.worst_frames import Frames, Image, worst_frames
from napari_diner.wording import digits

# side of the central part that is compared, the part at its edges that a reduced frame lacks, and the most frames that
# are looked at
_MOST_PX, _EDGE, _MOST = 320, 1 / 12, 3
# magnifications that are tried, the least that counts, and what it leaves of the squares of the residual: 0.12 to 0.4,
# but more than 0.6 with other errors
_BY = np.concatenate([np.arange(-0.12, -0.02, 0.01), np.arange(-0.02, 0.0201, 0.0025), np.arange(0.03, 0.121, 0.01)])
_MATTERS, _LEFT = 0.009, 0.5


def enlarged_frames(residual: Frames, trivial: Frames, unexplained: Unexplained) -> list[tuple[int, float]]:
    """Return frames that are explained much better if the prediction is enlarged or reduced, by the same centre.

    Parameters
    ----------
    residual, trivial
        Residuals, (N, Y, X), of the result and of a trivial answer, model minus data.
    unexplained
        What they say about each frame.

    Returns
    -------
    list
        Number from zero, and magnification, of each of these frames.
    """
    found = []
    for number, seen, expected in worst_frames(residual, trivial, unexplained, _MOST, _MOST_PX):
        seen, expected = seen - seen.mean(), expected - seen.mean()
        best = min(_BY.tolist(), key=lambda by: _squares(seen, expected, by))
        # other errors, such as of the exposure, are smaller wherever interpolation smooths the prediction: either way
        others = min(_squares(seen, expected, by) for by in (0.0, -best))
        left = _squares(seen, expected, best) / max(others, 1e-30)
        if abs(best) > _MATTERS and left < _LEFT:
            found.append((number, 1 + best))
    return sorted(found)


def warnings_of_magnification(enlarged: Sequence[tuple[int, float]], cure: str) -> list[str]:
    """Return a warning that names frames of another magnification.

    Parameters
    ----------
    enlarged
        As returned by `enlarged_frames`.
    cure
        What removes such differences, as in ``"registration: similarity"``; empty if nothing does.
    """
    if not enlarged:
        return []
    numbers, scales = zip(*enlarged, strict=True)
    ends = dict.fromkeys(digits(scale, 3) for scale in (min(scales), max(scales)))
    have, them = ("has", "it") if len(enlarged) == 1 else ("have", "them")
    removed = f"{cure} estimates and removes such differences, or leave" if cure else "record them alike, or leave"
    return [
        f"{numbered(numbers)} {have} about {' to '.join(ends)} times the magnification that the others let expect; "
        f"{removed} {them} out (leave_out)"
    ]


def _squares(seen: Image, expected: Image, by: float) -> float:
    """Return the squares of the residual within the edges with an expectation that is enlarged by a part."""
    if by:
        middle = (np.array(expected.shape) - 1) / 2
        inverse = 1 / (1 + by)
        expected = ndimage.affine_transform(expected, [inverse] * 2, middle * (1 - inverse), order=1, mode="nearest")
    rows, columns = (slice(round(_EDGE * size), size - round(_EDGE * size)) for size in seen.shape)
    return float(np.square(seen - expected)[rows, columns].sum())
