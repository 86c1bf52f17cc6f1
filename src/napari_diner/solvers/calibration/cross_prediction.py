"""Prediction of each frame by all others (Allen's PRESS, Technometrics 16, 125 (1974))."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def predicted(inverse: Tensor, data: Tensor, missing: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    """Return the differences of frames from their predictions, and C y, for W lists.

    Parameters
    ----------
    inverse
        C⁻¹ of all frames, complex, (K, N, N).
    data
        y, complex, (K, N, W); zero in frames that are missing.
    missing
        The frame that is missing in each list, if there is one: without it, C⁻¹ is that of all less a term of rank one.
    """
    solved = inverse @ data
    diagonal = inverse.diagonal(dim1=1, dim2=2).real[..., None]
    if missing is None:
        return solved / diagonal, solved
    columns = inverse[:, :, list(missing)]
    own = diagonal[:, list(missing), 0][:, None]
    lists = range(len(missing))
    solved = solved - columns * (solved[:, list(missing), lists][:, None] / own)
    diagonal = diagonal - columns.abs().square() / own
    diagonal[:, list(missing), lists] = 1.0
    return solved / diagonal, solved
