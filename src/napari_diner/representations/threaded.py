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
    from napari_diner.representations.interpolation import Box, Samples

Floats = npt.NDArray[np.float32]


def read(box: Box, values: Tensor, keys: Tensor) -> Tensor:
    """Return the values at keys, (outputs, n); see `napari_diner.representations.interpolation.Kernels`."""
    outputs = values.new_empty(values.shape[1], len(keys))
    arrays = _arrays(box, values, keys)
    _shared(_loops(keys, values).read, len(keys), lambda _: (*arrays, outputs.numpy()))
    return outputs


def adjoint(box: Box, values: Tensor, keys: Tensor, gradient: Tensor, to_keys: Tensor) -> Tensor:
    """Return the derivative by the values for one by the outputs; that by the keys is written to `to_keys`."""
    loop = _loops(keys, values).adjoint
    return _back(loop, _arrays(box, values, keys), gradient, None, 1.0, to_keys)[1]


def misfit(
    box: Box, values: Tensor, keys: Tensor, samples: Samples, scale: float, to_keys: Tensor
) -> tuple[Tensor, Tensor]:
    """Compare the values at keys with others; see `napari_diner.representations.lattice.Lattice.misfit`."""
    loop = _loops(keys, values).misfit
    total, to_values = _back(loop, _arrays(box, values, keys), *samples, 2 * scale, to_keys)
    return torch.tensor(scale * total, dtype=values.dtype), to_values


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
    to_values = data.new_zeros(torch.get_num_threads(), *arrays[1].shape)
    sums = _shared(loop, len(to_keys), lambda thread: (*arrays, *others, to_values[thread].numpy(), to_keys.numpy()))
    return sum(sums), to_values.sum(0)


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


def _loops(keys: Tensor, values: Tensor) -> Kernels:
    from napari_diner.representations.compiled import kernels

    return kernels(keys.shape[1], values.shape[1])
