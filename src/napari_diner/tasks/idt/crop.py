"""A part of a large recording, which is enough to choose weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import EllipsisType

import numpy as np
import torch
from scipy import signal
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.solvers.idt.problem import VolumeProblem

# voxels that are enough to compare weights, and the fewest pixels across
_ENOUGH = 2**20
_NARROWEST = 96
# sides are multiples of this, for fast Fourier transforms
_ROUND = 32
_FADED = 0.3


def cropped(
    problem: VolumeProblem, volume: Tensor, build: Callable[[tuple[int, int, int]], LinearModel]
) -> tuple[VolumeProblem, Tensor]:
    """Return problem and volume of the part of the field with most structure; the same if it is small.

    Data and volume are faded out towards the borders, as the models are periodic. Weights of the priors mean the same
    for a part as for the whole.

    Parameters
    ----------
    problem
        With a linear model.
    volume
        Contrast, (2, Z, Y, X).
    build
        Builds a model of the same optics for a volume of another shape, (Z, Y, X).
    """
    planes, rows, columns = problem.model.shape
    side = max(_NARROWEST, int((_ENOUGH / planes) ** 0.5) // _ROUND * _ROUND)
    height, width = min(side, rows), min(side, columns)
    if height == rows and width == columns:
        return problem, volume
    place, fade = busiest(problem.data, (height, width))
    at_least = None if problem.at_least is None else problem.at_least[place]
    part = replace(problem, model=build((planes, height, width)), data=problem.data[place] * fade, at_least=at_least)
    return part, volume[place] * fade


def busiest(data: Tensor, size: tuple[int, int]) -> tuple[tuple[EllipsisType, slice, slice], Tensor]:
    """Return the place of the window in which the data (N, Y, X) have most energy, and what fades it out, (Y', X')."""
    top, left = _busiest(data, size)
    window = np.outer(*(signal.windows.tukey(length, _FADED) for length in size))
    return (..., slice(top, top + size[0]), slice(left, left + size[1])), torch.from_numpy(window).to(data)


def _busiest(data: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    """Return the first row and column of the window in which the data (N, Y, X) have most energy."""
    energy = data.square().sum(0).double()
    sums = torch.nn.functional.pad(energy.cumsum(0).cumsum(1), (1, 0, 1, 0))
    height, width = size
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    place = int(inside.argmax())
    return place // inside.shape[1], place % inside.shape[1]
