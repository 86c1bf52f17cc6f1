"""The finest detail that a model explains."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.physics.lensless.multiheight import LenslessModel
from napari_diner.physics.propagation import frequencies
from napari_diner.solvers.lensless.problem import PhaseProblem

# number of rings of frequencies up to half a cycle per pixel, and minimum width of a ring on the grid
_RINGS, _RING_PX = 48, 2
# a ring counts as explained if the residual has less than half of its power; noise fitted by the object has more
_EXPLAINED = 0.5
# detail coarser than this fraction of the finest on the grid is never excluded
_COARSEST = 1 / 8


def explained_up_to(problem: PhaseProblem, field: Tensor) -> float | None:
    """Return the frequency up to which an object explains the frames, in cycles per pixel; None for all.

    Interpolated frames contain no detail finer than the sensor's pixels, and frames in partially coherent light none
    that is blurred; at these frequencies there is only noise and the pattern of the sensor. The object fits it
    nevertheless, most easily by waves that leave the field of view before they reach a sensor.

    Parameters
    ----------
    problem
        The frames and their model.
    field
        The object, (Y, X).
    """
    model = problem.model
    rings = min(_RINGS, min(model.shape) // (2 * _RING_PX))
    # the edges, which do not continue on the opposite side, would count as fine detail
    rows, columns = (
        torch.hann_window(size, periodic=False, dtype=problem.amplitudes.dtype, device=field.device)
        for size in model.shape
    )
    window = rows[:, None] * columns
    ring = (_radius(model.shape).to(field.device) * 2 * rings).long().flatten()
    expected, recorded = model.moduli(field), problem.filled_amplitudes()
    powers = torch.zeros(2, int(ring.max()) + 1, device=field.device, dtype=window.dtype)
    for frame in range(model.frames):
        whole = (frame, slice(None), slice(None))
        residual = problem.unexplained(expected[frame] - recorded[frame], whole)
        for power, image in zip(powers, (residual, recorded[frame]), strict=True):
            square = torch.fft.fft2((image - image.mean()) * window).abs().square()
            power.index_add_(0, ring, square.flatten())
    unexplained = (powers[0] > _EXPLAINED * powers[1]).tolist()
    for number in range(int(rings * _COARSEST), rings - 1):
        if unexplained[number] and unexplained[number + 1]:
            return number / (2 * rings)
    return None


def passband(model: LenslessModel, up_to: float) -> Tensor:
    """Return one up to a frequency in cycles a pixel and zero beyond, (Y', X')."""
    return (_radius(model.padding.padded_shape) <= up_to).to(model.device, model.real_dtype)


def _radius(shape: tuple[int, int]) -> Tensor:
    fy, fx = frequencies(shape, 1.0)
    return (fy**2 + fx**2).sqrt()
