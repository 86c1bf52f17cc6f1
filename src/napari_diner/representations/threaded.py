"""Multilinear interpolation on the processor, by compiled loops that are shared between threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from napari_diner.representations.compiled import Kernels

Floats = npt.NDArray[np.float32]


def read(values: Tensor, keys: Tensor, centre: Tensor, half: Tensor, size: int) -> Tensor:
    """Return the values at keys, (outputs, n); see `napari_diner.representations.lattice.Lattice.read`."""
    outputs = values.new_empty(values.shape[1], len(keys))
    arrays = (keys.contiguous().numpy(), values.contiguous().numpy(), size, *_scaling(centre, half, size))
    _shared(_kernels(keys, values).read, len(keys), lambda _: (*arrays, outputs.numpy()))
    return outputs


def adjoint(
    values: Tensor, keys: Tensor, centre: Tensor, half: Tensor, size: int, gradient: Tensor, to_keys: Tensor
) -> Tensor:
    """Return the derivative by the values for one by the outputs, (outputs, n); that by the keys goes to `to_keys`."""
    none, loop = np.empty(0, np.float32), _kernels(keys, values).adjoint
    return _back(loop, values, keys, centre, half, size, gradient, none, 1.0, to_keys)[1]


def misfit(
    values: Tensor,
    keys: Tensor,
    centre: Tensor,
    half: Tensor,
    size: int,
    targets: Tensor,
    weights: Tensor | None,
    scale: float,
    to_keys: Tensor,
) -> tuple[Tensor, Tensor]:
    """Compare the values at keys with targets; see `napari_diner.representations.lattice.Lattice.misfit`."""
    weight = np.empty(0, np.float32) if weights is None else weights.numpy()
    loop = _kernels(keys, values).misfit
    total, to_values = _back(loop, values, keys, centre, half, size, targets, weight, 2 * scale, to_keys)
    return torch.tensor(scale * total, dtype=values.dtype), to_values


def _back(
    loop: Callable[..., float],
    values: Tensor,
    keys: Tensor,
    centre: Tensor,
    half: Tensor,
    size: int,
    data: Tensor,
    weights: Floats,
    factor: float,
    to_keys: Tensor,
) -> tuple[float, Tensor]:
    """Return what a loop sums up, and the derivative by the values; that by the keys is written to `to_keys`."""
    arrays = (keys.contiguous().numpy(), values.contiguous().numpy(), size, *_scaling(centre, half, size))
    others = (data.contiguous().numpy(), weights, np.float32(factor))
    # every thread adds to a derivative of its own
    to_values = values.new_zeros(torch.get_num_threads(), *values.shape)
    sums = _shared(loop, len(keys), lambda thread: (*arrays, *others, to_values[thread].numpy(), to_keys.numpy()))
    return sum(sums), to_values.sum(0)


def _scaling(centre: Tensor, half: Tensor, size: int) -> tuple[Floats, Floats]:
    """Return the slope and the offset that turn a coordinate into a place on the lattice."""
    slope = (size - 1) / (2 * half)
    return slope.numpy(), ((size - 1) / 2 - centre * slope).numpy()


def _shared(loop: Callable[..., float], count: int, arguments: Callable[[int], tuple[Any, ...]]) -> list[float]:
    """Return what a loop returns for equal parts of `count` keys, one for each of torch's threads."""
    threads = torch.get_num_threads()
    cuts = [count * thread // threads for thread in range(threads + 1)]
    jobs = [(*arguments(thread), cuts[thread], cuts[thread + 1]) for thread in range(threads)]
    if threads == 1:
        return [loop(*jobs[0])]
    return list(_pool().map(lambda job: loop(*job), jobs))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="interpolation")


def _kernels(keys: Tensor, values: Tensor) -> Kernels:
    from napari_diner.representations.compiled import kernels

    return kernels(keys.shape[1], values.shape[1])
