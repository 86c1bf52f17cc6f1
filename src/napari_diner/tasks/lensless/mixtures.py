"""Frames that are the mean of two heights, as of a stage that moved during the exposure: a warning before each run."""

from __future__ import annotations

from napari_diner.preprocess.distances import DistanceFit
from napari_diner.tasks.lensless.setup import Setup

# Least decrease of the misfit of the linear theory, beyond what another distance or half of the contrast of a frame
# explains: 0.05 to 1.3 for frames that are means, at most 0.03 for sound ones and for other errors. Fewer frames are
# explained by too many geometries.
_BETTER, _FEWEST_FRAMES = 0.045, 5


def mixtures(setup: Setup, fit: DistanceFit | None) -> list[str]:
    """Return a warning if a frame fits better as the mean of itself and another one.

    Parameters
    ----------
    setup
        Geometry of the frames.
    fit
        The linear theory of the frames; nothing is suspected without it.
    """
    if fit is None or setup.heights.frames < _FEWEST_FRAMES:
        return []
    better, frame, other = fit.best_mixture(setup.heights.distances_um)
    if better < _BETTER:
        return []
    return [
        f"frame {frame + 1} fits better as the mean of itself and frame {other + 1}, as of two exposures that were "
        "added up, or a stage that moved during the exposure; record it again, or leave it out (leave_out)"
    ]
