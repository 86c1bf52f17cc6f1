"""Crop of a large recording for the choice of weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import EllipsisType

import torch
from torch import Tensor

from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.padding import Padding, fading
from napari_diner.solvers.idt.problem import VolumeProblem

# number of voxels sufficient to compare weights, and smallest number of pixels across
_ENOUGH = 2**20
_NARROWEST = 96
# sides are multiples of this, for fast Fourier transforms
_ROUND = 32


def cropped(
    problem: VolumeProblem, volume: Tensor, build: Callable[[int, int], LinearModel]
) -> tuple[VolumeProblem, Tensor]:
    """Return problem and volume of the part of the field with most structure, or unchanged if it is small.

    If the surround of the field is unknown, so is that of the part. Otherwise data and volume are faded
    out towards the borders, as the models are periodic. Weights of the priors have the same meaning for a part.

    Parameters
    ----------
    problem
        With a linear model.
    volume
        Contrast, (2, Z, Y, X).
    build
        Builds a model of the same optics for a volume of other rows and columns.
    """
    planes, (rows, columns) = problem.model.shape[0], problem.data.shape[1:]
    side = int((_ENOUGH / planes) ** 0.5) // _ROUND * _ROUND
    width = 0 if problem.padding is None else max(problem.padding.before)
    side = max(_NARROWEST, side - 2 * width)
    size = min(side, rows), min(side, columns)
    if size == (rows, columns):
        return problem, volume
    place = busiest(problem.data, size)
    at_least = None if problem.at_least is None else problem.at_least[place]
    part = replace(problem, data=problem.data[place], at_least=at_least)
    volume = problem.seen(volume)[place]
    if problem.padding is None:
        fade = fading(*size).to(volume)
        return replace(part, model=build(*size), data=part.data * fade), volume * fade
    padding = Padding(size, "unknown", width)
    return replace(part, model=build(*padding.padded_shape), padding=padding), padding.crop_adjoint(volume)


def busiest(data: Tensor, size: tuple[int, int]) -> tuple[EllipsisType, slice, slice]:
    """Return the position of the window in which the data (N, Y, X) have most energy."""
    energy = data.square().sum(0).double()
    sums = torch.nn.functional.pad(energy.cumsum(0).cumsum(1), (1, 0, 1, 0))
    height, width = size
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = divmod(int(inside.argmax()), inside.shape[1])
    return ..., slice(top, top + height), slice(left, left + width)
