"""Patterns that a volume leaves unexplained: the same in all frames, or stripes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.report import mean_square
from napari_diner.tasks.static_pattern import static_share
from napari_diner.tasks.unexplained import Unexplained
from napari_diner.wording import percent

Frames = npt.NDArray[np.float32]

# part of the residual that is the same in all frames, at most 0.1 with a right background, and share of the data, from
# which it is what leaves the data unexplained; the fewest frames
_STATIC, _STATIC_SHARE, _FEWEST = 0.4, 0.03, 6


def static_left(
    residual: Frames,
    data: Frames,
    unexplained: Unexplained,
    background: str,
    *,
    is_weak: bool,
    is_described: bool,
    first: str = "",
) -> list[str]:
    """Return a warning if a considerable part of the residual is the same in all frames.

    Parameters
    ----------
    residual, data
        Residual of the volume, and g, (N, Y, X).
    unexplained
        Their shares.
    background
        The setting of the recipe.
    is_weak
        Whether single scattering describes the sample.
    is_described
        Whether the model of the volume does.
    first
        What to do before, if the run ended early: the first steps of a solver leave something that frames share, too.
    """
    square = mean_square(residual)
    static = float(np.mean(np.square(residual.mean(0, dtype=np.float64)))) / (square or 1.0)
    own = ", or because frames are divided by their own mean although the sample absorbs" * (background == "mean")
    cure = "a background recorded without the sample removes it"
    # the mean of independent residuals has 1/N of their power
    if (
        is_weak
        and len(residual) >= _FEWEST
        and static >= _STATIC
        and (static - 1 / len(residual)) * unexplained.share >= _STATIC_SHARE
    ):
        cause = f"dirt, fringes or uneven light{own}"
        return [
            f"{percent(unexplained.share)} of the variation of the data is left unexplained, and most of it is the "
            "same in all frames"
            + (f"; {first}; if that does not help, look for {cause}: {cure}" if first else f", as of {cause}; {cure}")
        ]
    share = static_share(residual, data, _STATIC) if is_described and len(residual) >= _FEWEST else None
    if share is None or first:
        return []
    return [
        f"a pattern that is the same in all frames makes up {percent(share)} of their variation and is left "
        f"unexplained, as of dirt, fringes, or rows, columns or pixels of a camera that differ; {cure}"
    ]
