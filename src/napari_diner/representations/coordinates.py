"""Coordinates of the samples of a signal."""

from __future__ import annotations

import torch
from torch import Tensor


def coordinates(indices: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the coordinates of samples: along each axis evenly spaced from −1, the first, to 1, the last.

    Parameters
    ----------
    indices
        Flat indices of samples, last axis fastest, (n,).
    shape
        Samples along each axis.

    Returns
    -------
    Tensor
        (n, axes), float32, the first axis first; 0 along axes of a single sample.
    """
    columns = []
    rest = indices
    for size in reversed(shape):
        place = rest % size
        rest = rest // size
        # as a step from the centre, so that the coordinates are symmetric to the last bit
        columns.append((2 * place - (size - 1)).to(torch.float32) / max(size - 1, 1))
    return torch.stack(columns[::-1], -1)
