"""Continuation of a field beyond the edges of the field of view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.fft import next_fast_len
from torch import Tensor

Mode = Literal["none", "reflect", "replicate", "unknown"]


class Padding:
    """Continue a field beyond its edges, and crop it again.

    `pad` and `crop` are linear, with the adjoints `pad_adjoint` and `crop_adjoint`. `pad` takes the object to the
    padded grid, and `crop` the padded grid to the field of view.

    Parameters
    ----------
    shape
        Pixels (Y, X) of the field of view.
    mode
        ``"none"``: the field is periodic; ``"reflect"``: mirror images (edge pixel included); ``"replicate"``: the edge
        value; ``"unknown"``: nothing is assumed, and the object has the pixels of the padded grid.
    width_px
        Minimum number of pixels to add on each side; the total is rounded up to a size that transforms fast.
    apodise
        Taper the continuation to zero along a half cosine, so that opposite ends meet smoothly.
    """

    def __init__(self, shape: tuple[int, int], mode: Mode = "none", width_px: int = 0, apodise: bool = True) -> None:
        self.shape = shape
        width = 0 if mode == "none" else width_px
        self.is_unknown = mode == "unknown"
        """Whether the object extends over the padded grid, and is solved for there."""
        self.padded_shape = (shape[0], shape[1])
        if width > 0:
            rows, columns = (next_fast_len(size + 2 * width, real=True) for size in shape)
            self.padded_shape = (rows, columns)
        self._before = [(padded - size) // 2 for size, padded in zip(shape, self.padded_shape, strict=True)]
        self._runs = [
            _runs(size, padded, mode != "replicate") for size, padded in zip(shape, self.padded_shape, strict=True)
        ]
        rows, columns = (_taper(size, padded, apodise) for size, padded in zip(shape, self.padded_shape, strict=True))
        self._window = (rows[:, None] * columns[None, :]) if width > 0 and apodise else None

    @property
    def before(self) -> tuple[int, int]:
        """Number of padded pixels (Y, X) before the first of the field."""
        return self._before[0], self._before[1]

    @property
    def is_identity(self) -> bool:
        """Whether no pixels are added."""
        return self.padded_shape == self.shape

    @property
    def object_shape(self) -> tuple[int, int]:
        """Pixels (Y, X) of the object: of the padded grid if what is beyond the edges is unknown."""
        return self.padded_shape if self.is_unknown else self.shape

    def _windowed(self, field: Tensor) -> Tensor:
        if self._window is None:
            return field
        self._window = self._window.to(field.device, field.real.dtype)
        return field * self._window

    def pad(self, field: Tensor) -> Tensor:
        """Continue an object of `object_shape` to the padded shape."""
        return field if self.is_unknown else self.continued(field)

    def continued(self, field: Tensor) -> Tensor:
        """Continue a field of view of shape (..., Y, X) to the padded shape; mirrored if that is unknown."""
        if self.is_identity:
            return field
        for axis, runs in zip((-2, -1), self._runs, strict=True):
            field = torch.cat([run.copy(field, axis) for run in runs], axis)
        return self._windowed(field)

    def replicated(self, field: Tensor) -> Tensor:
        """Continue a field of view of shape (Y, X) to the padded shape by its edge value, without a taper."""
        for axis, (size, padded) in enumerate(zip(self.shape, self.padded_shape, strict=True)):
            field = torch.cat([run.copy(field, axis) for run in _runs(size, padded, reflect=False)], axis)
        return field

    def pad_adjoint(self, field: Tensor) -> Tensor:
        """Apply the adjoint of `pad`: add a padded field up on the pixels that its values were copied from."""
        if self.is_identity or self.is_unknown:
            return field
        field = self._windowed(field)
        for axis, runs, size in zip((-2, -1), self._runs, self.shape, strict=True):
            shape = list(field.shape)
            shape[axis] = size
            folded = field.new_zeros(shape)
            for run in runs:
                run.fold(field, folded, axis)
            field = folded
        return field

    def crop(self, field: Tensor) -> Tensor:
        """Crop a field of the padded shape to (..., Y, X)."""
        if self.is_identity:
            return field
        top, left = self._before
        return field[..., top : top + self.shape[0], left : left + self.shape[1]]

    def view(self, field: Tensor) -> Tensor:
        """Return the field of view, (..., Y, X), of an object of `object_shape`."""
        return self.crop(field) if self.is_unknown else field

    def view_adjoint(self, field: Tensor) -> Tensor:
        """Apply the adjoint of `view`: surround a field of view with zeros, if the object is wider."""
        return self.crop_adjoint(field) if self.is_unknown else field

    def object_part(self, field: Tensor) -> Tensor:
        """Return the pixels of the object of a field of the padded shape."""
        return field if self.is_unknown else self.crop(field)

    def object_part_adjoint(self, field: Tensor) -> Tensor:
        """Apply the adjoint of `object_part`: surround an object with zeros, if it does not have the padded shape."""
        return field if self.is_unknown else self.crop_adjoint(field)

    def crop_adjoint(self, field: Tensor) -> Tensor:
        """Apply the adjoint of `crop`: surround a field (..., Y, X) with zeros."""
        if self.is_identity:
            return field
        top, left = self._before
        wide = field.new_zeros(*field.shape[:-2], *self.padded_shape)
        wide[..., top : top + self.shape[0], left : left + self.shape[1]] = field
        return wide


@dataclass(frozen=True)
class _Run:
    """Neighbouring padded pixels that copy a stretch of the field forwards or mirrored, or repeat one pixel.

    Stretches are copied as a whole, since indexing pixel by pixel takes longer than the transforms.
    """

    padded: int
    """First padded pixel."""
    source: int
    """First pixel copied, in the order of the field."""
    length: int
    """Padded pixels."""
    direction: int
    """1, −1 (mirrored) or 0 (one pixel)."""

    def copy(self, field: Tensor, axis: int) -> Tensor:
        """Return this stretch of the padded field."""
        if self.direction == 0:
            pixel = field.narrow(axis, self.source, 1)
            shape = list(pixel.shape)
            shape[axis] = self.length
            return pixel.expand(shape)
        stretch = field.narrow(axis, self.source, self.length)
        return stretch if self.direction > 0 else stretch.flip(axis)

    def fold(self, field: Tensor, folded: Tensor, axis: int) -> None:
        """Add this stretch of a padded field to the pixels it was copied from."""
        stretch = field.narrow(axis, self.padded, self.length)
        if self.direction == 0:
            folded.narrow(axis, self.source, 1).add_(stretch.sum(axis, keepdim=True))
        else:
            folded.narrow(axis, self.source, self.length).add_(stretch if self.direction > 0 else stretch.flip(axis))


def _runs(size: int, padded: int, reflect: bool) -> list[_Run]:
    """Return the stretches, in order, that continue an axis of `size` pixels to `padded` ones."""
    before = (padded - size) // 2
    if not reflect:
        runs = [
            _Run(0, 0, before, 0),
            _Run(before, 0, size, 1),
            _Run(before + size, size - 1, padded - size - before, 0),
        ]
        return [run for run in runs if run.length > 0]
    # mirror images alternate with period 2·size: forwards from even multiples of size, backwards from odd ones
    runs = []
    position = 0
    while position < padded:
        image, offset = divmod(position - before, size)
        length = min(size - offset, padded - position)
        forward = image % 2 == 0
        runs.append(_Run(position, offset if forward else size - offset - length, length, 1 if forward else -1))
        position += length
    return runs


def _taper(size: int, padded: int, apodise: bool) -> Tensor:
    """Return the weights of an axis, float64: one within the field of view, tapered to zero beyond it if `apodise`."""
    before = (padded - size) // 2
    position = torch.arange(padded) - before
    if not apodise:
        return torch.ones(padded, dtype=torch.float64)
    beyond = torch.maximum(-position, position - (size - 1)).clamp_min(0).to(torch.float64)
    reach = torch.where(position < 0, before, padded - size - before)
    return 0.5 * (1 + torch.cos(math.pi * beyond / (reach + 0.5)))


def fading(rows: int, columns: int, part: float = 0.3) -> Tensor:
    """Return weights that fade out an image (Y, X) towards its edges, over a part of each side; float64."""
    return torch.outer(_tukey(rows, part), _tukey(columns, part))


def _tukey(size: int, part: float) -> Tensor:
    """Return a Tukey window (X), float64; that of scipy.signal takes a second to import."""
    if size == 1:
        return torch.ones(1, dtype=torch.float64)
    from_end = torch.minimum(torch.arange(size), torch.arange(size - 1, -1, -1)).double()
    return (1 - torch.cos(math.pi * (from_end / (part * (size - 1) / 2)).clamp_max(1))) / 2
