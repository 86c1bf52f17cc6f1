"""What lies beyond the edge of the field of view: continuation of a field before it is propagated."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Mode = Literal["none", "reflect", "replicate"]


def fast_size(size: int) -> int:
    """Return the smallest number that is not below `size` and has no prime factor above 5.

    Transforms of other lengths are several times slower.
    """
    candidate = max(1, size)
    while True:
        rest = candidate
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return candidate
        candidate += 1


class Padding:
    """Continue a field beyond its edges, and cut the continuation off again.

    A linear operator: `pad` and `crop` have the adjoints `pad_adjoint` and `crop_adjoint`.

    Parameters
    ----------
    shape
        Pixels (Y, X) of the field of view.
    mode
        ``"none"``: nothing is added and the field repeats itself periodically; ``"reflect"``: mirror images (edge
        pixel included); ``"replicate"``: the value of the edge.
    width_px
        Pixels to add on each side, at least; the total is rounded up to a size that transforms fast.
    apodise
        Let the continued part fall to zero along a half cosine, so that opposite ends meet smoothly.
    """

    def __init__(
        self, shape: tuple[int, int], mode: Mode = "none", width_px: int = 0, apodise: bool = True
    ) -> None:
        self.shape = shape
        self.mode = mode
        width = 0 if mode == "none" else width_px
        self.padded_shape = (shape[0], shape[1]) if width == 0 else tuple(fast_size(n + 2 * width) for n in shape)
        self._axes = [
            _continuation(n, padded, mode, apodise)
            for n, padded in zip(shape, self.padded_shape, strict=True)
        ]

    @property
    def is_identity(self) -> bool:
        """Whether nothing is added."""
        return self.padded_shape == self.shape

    def _on(self, field: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (rows, row_weights, _), (columns, column_weights, _) = self._axes
        window = (row_weights[:, None] * column_weights[None, :]).to(field.device, field.real.dtype)
        return rows.to(field.device), columns.to(field.device), window

    def pad(self, field: Tensor) -> Tensor:
        """Continue a field of shape (..., Y, X) to the padded shape."""
        if self.is_identity:
            return field
        rows, columns, window = self._on(field)
        return field.index_select(-2, rows).index_select(-1, columns) * window

    def pad_adjoint(self, field: Tensor) -> Tensor:
        """Fold a field of the padded shape back onto the pixels that `pad` took its values from."""
        if self.is_identity:
            return field
        rows, columns, window = self._on(field)
        weighted = field * window
        folded = weighted.new_zeros(*field.shape[:-1], self.shape[1]).index_add(-1, columns, weighted)
        return folded.new_zeros(*field.shape[:-2], *self.shape).index_add(-2, rows, folded)

    def crop(self, field: Tensor) -> Tensor:
        """Cut a field of the padded shape back to (..., Y, X)."""
        if self.is_identity:
            return field
        (_, _, top), (_, _, left) = self._axes
        return field[..., top : top + self.shape[0], left : left + self.shape[1]]

    def crop_adjoint(self, field: Tensor) -> Tensor:
        """Surround a field of shape (..., Y, X) with zeros to the padded shape."""
        if self.is_identity:
            return field
        (_, _, top), (_, _, left) = self._axes
        wide = field.new_zeros(*field.shape[:-2], *self.padded_shape)
        wide[..., top : top + self.shape[0], left : left + self.shape[1]] = field
        return wide


def _continuation(size: int, padded: int, mode: Mode, apodise: bool) -> tuple[Tensor, Tensor, int]:
    """Return for each padded pixel the one that it copies, its weight, and where the field of view begins."""
    before = (padded - size) // 2
    position = torch.arange(padded) - before
    if mode == "reflect":
        folded = torch.remainder(position, 2 * size)
        source = torch.minimum(folded, 2 * size - 1 - folded)
    else:
        source = position.clamp(0, size - 1)
    weights = torch.ones(padded, dtype=torch.float64)
    if apodise and padded > size:
        after = padded - size - before
        beyond = torch.maximum(-position, position - (size - 1)).clamp_min(0).to(torch.float64)
        reach = torch.where(position < 0, before, after).clamp_min(1)
        weights = 0.5 * (1 + torch.cos(math.pi * beyond / (reach + 0.5)))
    return source, weights, before
