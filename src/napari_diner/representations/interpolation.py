"""Multilinear interpolation by compiled kernels where there are any, as an operation that torch can differentiate."""

from __future__ import annotations

import functools
import importlib.util
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# for fewer keys on a processor, loading what is compiled takes longer than it saves
FEWEST_KEYS = 1 << 15
# offsets within the lattice are 32-bit
_MOST_VALUES = 2**31 - 1
_COMPILERS = {"cpu": "numba", "cuda": "triton"}


class Box(NamedTuple):
    """A lattice of evenly spaced points in the space of keys of d numbers."""

    centre: Tensor
    """Centre, (d,)."""
    half: Tensor
    """Half of the edges, (d,)."""
    size: int
    """Points along each edge, G."""

    def scaling(self) -> tuple[Tensor, Tensor]:
        """Return the slope and the offset, (d,) each, that turn a coordinate into a place between 0 and G - 1."""
        slope = (self.size - 1) / (2 * self.half)
        return slope, (self.size - 1) / 2 - self.centre * slope


class Samples(NamedTuple):
    """Values that are compared with those at keys."""

    targets: Tensor
    """The values, (outputs, n)."""
    weights: Tensor | None
    """How often each sample occurs, (n,); None if once."""


class Moments(NamedTuple):
    """What a step of Adam with keys, (n, d), needs."""

    averages: Tensor
    """Average of the gradient, (n, d); changed in place."""
    squares: Tensor
    """Average of its square, (n, d); changed in place."""
    step: int
    """Number of the step, from 1."""
    rate: float
    """Learning rate."""
    betas: tuple[float, float]
    """Part of either average that is kept."""
    epsilon: float
    """Number that is added to the root of the squares."""


class Stepped(NamedTuple):
    """What a step with keys has found."""

    misfit: Tensor
    """The misfit before the step, a scalar."""
    to_values: Tensor
    """Its derivative by the values at the points, (G^d, outputs)."""
    low: Tensor
    """The least of each coordinate of the new keys, (d,)."""
    high: Tensor
    """The greatest of each, (d,)."""


class Kernels(Protocol):
    """Interpolation at keys, (n, d), between values at the points of a lattice, (G^d, outputs)."""

    def read(self, box: Box, values: Tensor, keys: Tensor) -> Tensor:
        """Return the values at keys, (outputs, n)."""

    def adjoint(self, box: Box, values: Tensor, keys: Tensor, gradient: Tensor, to_keys: Tensor) -> Tensor:
        """Return the derivative by the values for one by the outputs; that by the keys is written to `to_keys`."""

    def misfit(
        self, box: Box, values: Tensor, keys: Tensor, samples: Samples, scale: float, to_keys: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compare the values at keys with others; see `napari_diner.representations.lattice.Lattice.misfit`."""


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


def can_step(values: Tensor, keys: Tensor) -> bool:
    """Return whether there is a compiled loop that also takes the step of Adam with these keys, (n, d)."""
    # values are padded to eight outputs at most for each that there is
    return (
        keys.device.type == "cpu"
        and keys.is_contiguous()
        and 8 * values.numel() <= _MOST_VALUES
        and kernels_for(values, keys) is not None
    )


@functools.cache
def is_compiled_for(device_type: str) -> bool:
    """Return whether the compiler of the kernels for a type of device is installed."""
    return device_type in _COMPILERS and importlib.util.find_spec(_COMPILERS[device_type]) is not None


def read(kernels: Kernels, box: Box, values: Tensor, keys: Tensor) -> Tensor:
    """Return the values at keys, (outputs, n), with gradients."""
    outputs: Tensor = _Read.apply(kernels, box, values, keys)  # type: ignore[no-untyped-call]
    return outputs


class _Read(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernels: Kernels, box: Box, values: Tensor, keys: Tensor) -> Tensor:
        ctx.save_for_backward(values, keys)
        ctx.kernels, ctx.box = kernels, box
        return kernels.read(box, values, keys)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, keys = ctx.saved_tensors
        to_keys = torch.empty_like(keys)
        to_values = ctx.kernels.adjoint(ctx.box, values, keys, gradient, to_keys)
        return None, None, to_values, to_keys
