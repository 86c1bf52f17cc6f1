"""Frames that are the mean of themselves and another frame of the same recording: a warning after a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from napari_diner.tasks.exchanged_halves import Frames, Pairs, contrasts

# the fewest frames, and the most that are such means, as a part of all
_FEWEST_FRAMES, _MOST = 5, 0.3


def mixed_frames(residual: Frames, trivial: Frames, named: Collection[int]) -> list[tuple[int, int]]:
    """Return frames whose residual is about half of the difference of another frame from what is expected.

    Parameters
    ----------
    residual, trivial
        Residuals, (N, Y, X), of the result and of a trivial answer, model minus data, of frames of equal brightness.
    named
        Frames that are left out, as another warning names them.

    Returns
    -------
    list
        Number from zero of each of these frames, and that of the other one.
    """
    count = len(trivial)
    if count < _FEWEST_FRAMES:
        return []
    seen, expected = (images.reshape(count, -1) for images in contrasts(residual, trivial, np.ones(count)))
    means = Pairs(seen, expected).means()
    return [pair for pair in means if pair[0] not in named] if len(means) <= _MOST * count else []


def warnings_of_mixtures(mixed: Sequence[tuple[int, int]]) -> list[str]:
    """Return warnings that name frames that are means, and the other frame of each.

    Parameters
    ----------
    mixed
        As returned by `mixed_frames`.
    """
    return [
        f"frame {frame + 1} fits better as the mean of itself and frame {other + 1}, as of two exposures that were "
        "added up, or light from between both directions; record it again, or leave it out (leave_out)"
        for frame, other in mixed
    ]
