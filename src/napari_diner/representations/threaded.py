"""Multilinear interpolation on the processor, by compiled loops that are shared between threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_diner.loops import shared
from napari_diner.representations.interpolation import Stepped

if TYPE_CHECKING:
    from napari_diner.representations.compiled import Kernels
    from napari_diner.representations.interpolation import Box, Moments, Samples

# fewer keys for each thread take as long as waking it, where a lattice has one output
_FEWEST_FOR_CORNERS = 1 << 17
# points along each edge of such a lattice whose corners, four times the values, are worth their memory
_LARGEST_WITH_CORNERS = 256
Floats = npt.NDArray[np.float32]


def read(box: Box, values: Tensor, keys: Tensor) -> Tensor:
    """Return the values at keys, (outputs, n); see `napari_diner.representations.interpolation.Kernels`."""
    outputs = values.new_empty(values.shape[1], len(keys))
    if _uses_corners(box, values, keys):
        from napari_diner.representations import compiled_corners

        flat = (*_flat(box, values, keys), outputs.view(-1).numpy())
        shared(compiled_corners.read, len(keys), _threads_for_corners(len(keys)), lambda _: flat)
        return outputs
    arrays = _arrays(box, values, keys)
    shared(_loops(keys, values).read, len(keys), torch.get_num_threads(), lambda _: (*arrays, outputs.numpy()))
    return outputs


def adjoint(box: Box, values: Tensor, keys: Tensor, gradient: Tensor, to_keys: Tensor) -> Tensor:
    """Return the derivative by the values for one by the outputs; that by the keys is written to `to_keys`."""
    if _uses_corners(box, values, keys):
        return _adjoint_of_corners(box, values, keys, gradient, to_keys)
    loop = _loops(keys, values).adjoint
    return _back(loop, _arrays(box, values, keys), gradient, None, 1.0, to_keys)[1]


def misfit(
    box: Box, values: Tensor, keys: Tensor, samples: Samples, scale: float, to_keys: Tensor
) -> tuple[Tensor, Tensor]:
    """Compare the values at keys with others; see `napari_diner.representations.lattice.Lattice.misfit`."""
    loop = _loops(keys, values).misfit
    total, to_values = _back(loop, _arrays(box, values, keys), *samples, 2 * scale, to_keys)
    return torch.tensor(scale * total, dtype=values.dtype), to_values


def step(box: Box, values: Tensor, keys: Tensor, samples: Samples, scale: float, moments: Moments) -> Stepped:
    """Take a step of Adam with all keys; see `napari_diner.representations.lattice.Lattice.step`."""
    from napari_diner.representations.compiled_step import lanes_for, rates, step_loop

    (points, outputs), width = values.shape, keys.shape[1]
    lanes = lanes_for(outputs)
    groups = -(-outputs // lanes)
    padded = F.pad(values, (0, lanes * groups - outputs)).view(-1)
    slope, offset = box.scaling()
    weight = np.empty(0, np.float32) if samples.weights is None else samples.weights.numpy()
    threads = torch.get_num_threads()
    to_values = padded.new_zeros(threads, len(padded))
    extents = np.full((threads, 2, width), [[np.inf], [-np.inf]], np.float32)
    shared_arguments = (
        keys.view(-1).numpy(), padded.numpy(), box.size, slope.numpy(), offset.numpy(),
        samples.targets.contiguous().numpy(), weight, np.float32(2 * scale),
    )  # fmt: skip
    of_adam = (
        moments.averages.view(-1).numpy(),
        moments.squares.view(-1).numpy(),
        rates(moments.rate, moments.betas, moments.epsilon, moments.step),
    )
    each = [(*shared_arguments, own.numpy(), *of_adam, extent) for own, extent in zip(to_values, extents, strict=True)]
    total = sum(shared(step_loop(width, lanes, groups), len(keys), threads, each.__getitem__))
    return Stepped(
        torch.tensor(scale * total, dtype=values.dtype),
        to_values.sum(0).view(points, -1)[:, :outputs],
        torch.from_numpy(extents[:, 0].min(0)),
        torch.from_numpy(extents[:, 1].max(0)),
    )


def _uses_corners(box: Box, values: Tensor, keys: Tensor) -> bool:
    """Return whether the corners of a cell fill a vector, and copies of them stay in a cache."""
    return values.shape[1] == 1 and keys.shape[1] == 2 and box.size <= _LARGEST_WITH_CORNERS


def _threads_for_corners(keys: int) -> int:
    """Return how many threads to give a number of keys to."""
    return max(1, min(torch.get_num_threads(), keys // _FEWEST_FOR_CORNERS))


def _adjoint_of_corners(box: Box, values: Tensor, keys: Tensor, gradient: Tensor, to_keys: Tensor) -> Tensor:
    """Return `adjoint` for one output and keys of two numbers."""
    from napari_diner.representations import compiled_corners

    threads = _threads_for_corners(len(keys))
    flat, to_corners = _flat(box, values, keys), values.new_zeros(threads, 4 * box.size**2)
    data, written = gradient.contiguous().view(-1).numpy(), to_keys.view(-1).numpy()
    each = [(*flat, data, own.numpy(), written) for own in to_corners]
    shared(compiled_corners.adjoint, len(keys), threads, each.__getitem__)
    return compiled_corners.from_corners(to_corners.sum(0), box.size)


def _flat(box: Box, values: Tensor, keys: Tensor) -> tuple[Floats, Floats, int, Floats, Floats]:
    """Return the first arguments of a loop of `compiled_corners`."""
    from napari_diner.representations.compiled_corners import corners_of

    slope, offset = box.scaling()
    corners = corners_of(values, box.size)
    return keys.contiguous().view(-1).numpy(), corners.numpy(), box.size, slope.numpy(), offset.numpy()


def _arrays(box: Box, values: Tensor, keys: Tensor) -> tuple[Floats, Floats, int, Floats, Floats]:
    """Return the first arguments of a loop."""
    slope, offset = box.scaling()
    return keys.contiguous().numpy(), values.contiguous().numpy(), box.size, slope.numpy(), offset.numpy()


def _back(
    loop: Callable[..., float],
    arrays: tuple[Floats, Floats, int, Floats, Floats],
    data: Tensor,
    weights: Tensor | None,
    factor: float,
    to_keys: Tensor,
) -> tuple[float, Tensor]:
    """Return what a loop sums up, and the derivative by the values; that by the keys is written to `to_keys`."""
    weight = np.empty(0, np.float32) if weights is None else weights.numpy()
    others = (data.contiguous().numpy(), weight, np.float32(factor))
    # every thread adds to a derivative of its own
    threads = torch.get_num_threads()
    to_values = data.new_zeros(threads, *arrays[1].shape)
    each = [(*arrays, *others, own.numpy(), to_keys.numpy()) for own in to_values]
    sums = shared(loop, len(to_keys), threads, each.__getitem__)
    return sum(sums), to_values.sum(0)


def _loops(keys: Tensor, values: Tensor) -> Kernels:
    from napari_diner.representations.compiled import kernels

    return kernels(keys.shape[1], values.shape[1])
