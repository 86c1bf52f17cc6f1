"""Multilinear interpolation by compiled kernels where there are any, as an operation that torch can differentiate."""

from __future__ import annotations

import functools
import importlib.util
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# for fewer keys on a processor, loading what is compiled takes longer than it saves
FEWEST_KEYS = 1 << 15
# offsets within the lattice are 32-bit
_MOST_VALUES = 2**31 - 1
_COMPILERS = {"cpu": "numba", "cuda": "triton"}


class Kernels(Protocol):
    """Interpolation at keys, (n, d), between values, (G^d, outputs), at the points of a lattice with G points a side.

    The box of the lattice is given by its centre and half of its edges, (d,) each.
    """

    def read(self, values: Tensor, keys: Tensor, centre: Tensor, half: Tensor, size: int) -> Tensor:
        """Return the values at keys, (outputs, n)."""

    def adjoint(
        self, values: Tensor, keys: Tensor, centre: Tensor, half: Tensor, size: int, gradient: Tensor, to_keys: Tensor
    ) -> Tensor:
        """Return the derivative by the values for one by the outputs; that by the keys is written to `to_keys`."""

    def misfit(
        self,
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


def kernels_for(values: Tensor, keys: Tensor) -> Kernels | None:
    """Return the compiled kernels for these values at the points of a lattice, and these keys, (n, d), if any.

    On a graphics card they are used for any number of keys, as sums by torch differ from run to run there.
    """
    kind = keys.device.type
    if not (
        (kind == "cuda" or len(keys) >= FEWEST_KEYS)
        and keys.shape[1] in (2, 3)
        and keys.dtype == values.dtype == torch.float32
        and values.numel() <= _MOST_VALUES
        and is_compiled_for(kind)
    ):
        return None
    if kind == "cuda":
        from napari_diner.representations import card

        return card
    from napari_diner.representations import threaded

    return threaded


@functools.cache
def is_compiled_for(device_type: str) -> bool:
    """Return whether the compiler of the kernels for a type of device is installed."""
    return device_type in _COMPILERS and importlib.util.find_spec(_COMPILERS[device_type]) is not None


def read(kernels: Kernels, values: Tensor, keys: Tensor, centre: Tensor, half: Tensor, size: int) -> Tensor:
    """Return the values at keys, (outputs, n), with gradients."""
    outputs: Tensor = _Read.apply(kernels, values, keys, centre, half, size)  # type: ignore[no-untyped-call]
    return outputs


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, values: Tensor, keys: Tensor, centre: Tensor, half: Tensor, size: int
    ) -> Tensor:
        ctx.save_for_backward(values, keys, centre, half)
        ctx.kernels, ctx.size = kernels, size
        return kernels.read(values, keys, centre, half, size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, keys, centre, half = ctx.saved_tensors
        to_keys = torch.empty_like(keys)
        to_values = ctx.kernels.adjoint(values, keys, centre, half, ctx.size, gradient, to_keys)
        return None, to_values, to_keys, None, None, None
