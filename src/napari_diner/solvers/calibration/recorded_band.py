"""Up to which fineness a model explains what was recorded."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.physics.lensless.multiheight import LenslessModel
from napari_diner.physics.propagation import frequencies
from napari_diner.solvers.lensless.problem import PhaseProblem

# the rings that the frequencies up to half a cycle a pixel are divided into, and how wide one must be on the grid
_RINGS, _RING_PX = 48, 2
# explained is a ring of whose power the residual leaves less than half; noise that the object took up is no more
_EXPLAINED = 0.5
# nothing coarser than this part of the finest that a grid holds is ever left out
_COARSEST = 1 / 8


def explained_up_to(problem: PhaseProblem, field: Tensor) -> float | None:
    """Return the frequency up to which an object explains the frames, in cycles a pixel; None if it is all.

    Frames hold no detail that is finer than the sensor's pixels if they were interpolated, or than the light is
    coherent for; what stands there is noise and the pattern of the sensor. The object nevertheless takes it up, most
    easily by waves that leave the field of view before they reach a sensor.

    Parameters
    ----------
    problem
        The frames and their model.
    field
        The object, (Y, X).
    """
    model = problem.model
    rings = min(_RINGS, min(model.shape) // (2 * _RING_PX))
    # the edges, which do not continue on the other side, would be fine detail
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
