"""Multilinear interpolation and search by the kernels for a graphics card; launches nothing that reads back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_diner.representations import card_kernels as kernels

if TYPE_CHECKING:
    from napari_diner.representations.interpolation import Box, Samples

# numbers that a program interpolates at a time, and bounds of its keys
_NUMBERS, _FEWEST_KEYS, _MOST_KEYS = 1024, 16, 256
# keys of a program that searches
_SEARCH_BLOCK = 256
# values that are compared or left out together, and bits of positions along the curve on which they are sorted
_CHUNK, _CURVE_BITS = 32, 24
# copies of the sums over keys, as long as they are small
_COPIES, _LARGEST_COPIES = 16, 1 << 22
# bits of the largest sum of whole numbers
_BITS = 62
# smaller sums than this lose precision, so that the unit is a number of single precision
_LEAST_BOUND = 1e-18


def read(box: Box, values: Tensor, keys: Tensor) -> Tensor:
    """Return the values at keys, (outputs, n); see `napari_diner.representations.interpolation.Kernels`."""
    count, outputs = len(keys), values.shape[1]
    written, lanes = values.new_empty(outputs, count), _lanes(outputs)
    block = _block(lanes)
    kernels.read[(-(-count // block),)](
        keys.contiguous(), _padded(values, lanes), *box.scaling(), written, count, box.size,
        WIDTH=keys.shape[1], OUTPUTS=outputs, LANES=lanes, BLOCK=block,
    )  # fmt: skip
    return written


def adjoint(box: Box, values: Tensor, keys: Tensor, gradient: Tensor, to_keys: Tensor) -> Tensor:
    """Return the derivative by the values for one by the outputs; that by the keys is written to `to_keys`."""
    bound = torch.linalg.vector_norm(gradient, torch.inf) * len(keys)
    return _back(box, values, keys, gradient, None, 1.0, to_keys, bound, misfit=False)[1]


def misfit(
    box: Box, values: Tensor, keys: Tensor, samples: Samples, scale: float, to_keys: Tensor
) -> tuple[Tensor, Tensor]:
    """Compare the values at keys with others; see `napari_diner.representations.lattice.Lattice.misfit`."""
    targets, weights = samples
    largest = torch.linalg.vector_norm(values, torch.inf) + torch.linalg.vector_norm(targets, torch.inf)
    bound = largest * (len(keys) if weights is None else weights.sum())
    total, to_values = _back(box, values, keys, targets, weights, 2 * scale, to_keys, bound, misfit=True)
    return scale * total, to_values


def nearest(values: Tensor, targets: Tensor) -> Tensor:
    """Return the index of the value, of (m, outputs), that is nearest to each target, of (outputs, n): (n,).

    At most three outputs.
    """
    outputs, count = targets.shape
    least, span = values.amin(0), (values.amax(0) - values.amin(0)).clamp_min(1e-30)
    places = ((values - least) / span).T
    codes, order_of_values = _along_a_curve(places).sort()
    # copies of the last value are never nearer than the value itself
    lacking = -len(values) % _CHUNK
    order_of_values = torch.cat([order_of_values, order_of_values[-1:].expand(lacking)])
    values = values[order_of_values].contiguous()
    chunks = values.reshape(-1, _CHUNK, outputs)
    target_codes, order = _along_a_curve((targets - least[:, None]) / span[:, None]).sort()
    middles = target_codes[_SEARCH_BLOCK // 2 :: _SEARCH_BLOCK]
    blocks = -(-count // _SEARCH_BLOCK)
    starts = torch.searchsorted(codes, torch.cat([middles, target_codes[-1:]])[:blocks]) // _CHUNK
    chosen = torch.empty(count, dtype=torch.int32, device=targets.device)
    kernels.nearest[(blocks,)](
        targets.contiguous(), order, values, chunks.amin(1).contiguous(), chunks.amax(1).contiguous(),
        starts.clamp_max(len(chunks) - 1).int(), chosen, count,
        CHUNKS=len(chunks), CHUNK=_CHUNK, OUTPUTS=outputs, BLOCK=_SEARCH_BLOCK,
    )  # fmt: skip
    return order_of_values[chosen.long()]


def _along_a_curve(places: Tensor) -> Tensor:
    """Return the positions of places, (outputs, n) from 0 to 1, along Morton's curve: near ones are mostly together."""
    bits = _CURVE_BITS // len(places)
    steps = (places * (1 << bits)).clamp(0, (1 << bits) - 1).int()
    codes = torch.zeros_like(steps[0])
    for bit in range(bits):
        for axis, step in enumerate(steps):
            codes |= ((step >> bit) & 1) << (bit * len(steps) + axis)
    return codes


def _back(
    box: Box,
    values: Tensor,
    keys: Tensor,
    data: Tensor,
    weights: Tensor | None,
    factor: float,
    to_keys: Tensor,
    bound: Tensor,
    *,
    misfit: bool,
) -> tuple[Tensor, Tensor]:
    """Return ``Σ w |f − data|²``, and the derivative by the values; that by the keys is written to `to_keys`."""
    count, (points, outputs) = len(keys), values.shape
    lanes = _lanes(outputs)
    block = _block(lanes)
    blocks = -(-count // block)
    copies = _COPIES if _COPIES * points * lanes <= _LARGEST_COPIES else 1
    sums = torch.zeros(copies, points, lanes, dtype=torch.int64, device=values.device)
    squares = values.new_zeros(blocks)
    # a power of two, so that it adds no rounding errors
    unit = torch.exp2(_BITS - torch.ceil(torch.log2(bound.clamp_min(_LEAST_BOUND))))
    kernels.back[(blocks,)](
        keys.contiguous(), _padded(values, lanes), *box.scaling(), data.contiguous(),
        data if weights is None else weights, factor, unit, sums, to_keys, squares, count, box.size, points,
        WIDTH=keys.shape[1], OUTPUTS=outputs, LANES=lanes, MISFIT=misfit, WEIGHTED=weights is not None, COPIES=copies,
        BLOCK=block,
    )  # fmt: skip
    to_values = sums.sum(0)[:, :outputs] * (factor / unit.double())
    return squares.sum(dtype=torch.float64).to(values.dtype), to_values.to(values.dtype)


def _lanes(outputs: int) -> int:
    """Return the power of two to which the outputs are padded."""
    return 1 << (outputs - 1).bit_length()


def _block(lanes: int) -> int:
    """Return the number of keys of a program."""
    return min(_MOST_KEYS, max(_FEWEST_KEYS, _NUMBERS // lanes))


def _padded(values: Tensor, lanes: int) -> Tensor:
    """Return values, (points, lanes), without gaps in memory."""
    return torch.nn.functional.pad(values, (0, lanes - values.shape[1])).contiguous()
