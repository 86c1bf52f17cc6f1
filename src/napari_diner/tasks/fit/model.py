"""Model files of fits: packing of parameters, and evaluation on demand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.device import check_memory
from napari_diner.errors import InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.representations import registry
from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner
from napari_diner.tasks.fit.coded import plain
from napari_diner.tasks.fit.layout import Array, Layout
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.fit.region import HIGHEST_ORDER, Index, Region
from napari_diner.tasks.fit.rendering import Rendering, Sampling
from napari_diner.tasks.fit.stored import CORRECTIONS, INDEX, LOW, STEP, TABLE, Outputs, StoredFit, line, unpacked_table
from napari_diner.tasks.result import Result


@dataclass(frozen=True)
class Fitted:
    """A representation that was fitted to data."""

    representation: Representation
    """The representation; where there is an index, a DINER of shape (U,)."""
    layout: Layout
    """The form of the data."""
    recipe: FitRecipe
    """The resolved recipe."""
    index: Array | None = None
    """Index of the key of each sample among U, of the layout's sample shape; None if each has its own."""


def pack(fitted: Fitted) -> dict[str, Array]:
    """Return the numbers of a fit by name, as they are stored in ``model.safetensors``.

    A table is stored as (U, d) beside its index, or as (*samples, d), so that a part of the data is a part of it. With
    fewer than 32 bits its columns are rounded to evenly spaced values ``low + code · step`` between their extremes.
    """
    # copies, since a solver may change the parameters
    weights = {name: value.numpy(force=True).copy() for name, value in fitted.representation.state_dict().items()}
    if not isinstance(fitted.representation, Diner):
        return weights
    table = weights[TABLE]
    if fitted.index is None:
        table = table.reshape(*fitted.layout.sample_shape, -1)
    else:
        weights[INDEX] = fitted.index
    weights[TABLE] = table
    if fitted.recipe.stored_bits < 32:
        weights |= rounded(table, 1 << fitted.recipe.stored_bits)
    return weights


def rounded(table: npt.NDArray[np.float32], levels: int) -> dict[str, Array]:
    """Return a table, (*samples, d), with each column rounded to so many evenly spaced values, and these values."""
    columns = tuple(range(table.ndim - 1))
    low = table.min(columns)
    step = (table.max(columns) - low) / np.float32(max(levels - 1, 1))
    step[step == 0] = 1
    kind = np.uint8 if levels <= 1 << 8 else np.uint16
    return {LOW: low, STEP: step, TABLE: np.rint((table - low) / step).clip(0, levels - 1).astype(kind)}


def unpack(result: Result) -> Fitted:
    """Return the representation in a result of a fit."""
    if not isinstance(result.recipe, FitRecipe):
        raise InputError(f"The result is one of {result.task!r}, not of a fit; give the result of a fit")
    return _assembled(plain(result.weights, result.header), Layout.from_header(result.header), result.recipe)


def _assembled(weights: dict[str, Array], layout: Layout, recipe: FitRecipe) -> Fitted:
    index = weights.pop(INDEX, None)
    weights.pop(CORRECTIONS, None)
    if index is not None:
        index = index.reshape(layout.sample_shape)
    if TABLE in weights:
        table = unpacked_table(weights)
        weights = {name: value for name, value in weights.items() if name not in (LOW, STEP)}
        weights[TABLE] = table.reshape(-1, table.shape[-1])
    shape = layout.sample_shape if index is None else (len(weights[TABLE]),)
    representation = registry.build(recipe.representation, shape, layout.outputs, recipe)
    representation.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return Fitted(representation, layout, recipe, index)


class FitModel:
    """A saved fit, evaluated on demand; see `StoredFit` for its parameter and errors."""

    def __init__(self, path: str | Path) -> None:
        self._stored = StoredFit(path)
        self.recipe = self._stored.recipe
        self.layout = self._stored.layout

    @classmethod
    def open(cls, path: str | Path) -> FitModel:
        """Open a model file; see the class."""
        return cls(path)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return self.layout.shape

    @property
    def axes(self) -> str:
        """Letters of the data's axes."""
        return self.layout.axes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the data."""
        return np.dtype(self.layout.dtype)

    @property
    def scale_um(self) -> tuple[float, ...]:
        """Spacing along each axis in micrometres; 1.0 along axes that are not lengths."""
        return self.layout.scale_um

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return self._stored.file.bytes

    @property
    def bits_per_pixel(self) -> float:
        """Bits of the file per point of the data."""
        return 8 * self.file_bytes / self.layout.pixels

    def evaluate(self, region: Sequence[Index] = ()) -> Array:
        """Return part of the data as given by the model.

        Parameters
        ----------
        region
            A position or a slice along each axis of the data, as in ``data[3, 10:50]``; omitted axes are complete.

        Returns
        -------
        Array
            In the type of the data; axes with a position are dropped. Only the part of a table in the region is read,
            or its bounding box for steps; a table shared by equal values is read completely, once.

        Raises
        ------
        InputError
            If the region lies outside, or the file is damaged.
        OutOfMemoryError
            If the part does not fit the memory.
        """
        return self._evaluate(Region.of(region, self.shape))

    def _evaluate(self, part: Region) -> Array:
        samples = part.without(self.layout.channel)
        return self._cut(self._values(samples.shape, self._stored.samples(samples)), part)

    def render(self, region: Sequence[Index] = (), zoom: float | Sequence[float] = 1.0, order: int = 1) -> NamedArray:
        """Return part of the data in another sampling.

        Values between the samples of a DINER or of pixels are interpolated from the values of those samples
        (Sec. 5.5 of the paper: not from their keys); a network of coordinates is evaluated between them. The part is
        divided evenly into the new samples, and each has the value at its centre; outside the centres of the old
        samples, that of the nearest.

        Parameters
        ----------
        region
            As in `evaluate`.
        zoom
            Samples of the result for one sample of the data: one number for Y and X, or one for each axis of the
            part but that of colours or channels. Each axis has a whole number of samples, at least one.
        order
            Order of the splines that interpolate, 0 to 5.

        Returns
        -------
        NamedArray
            In the type of the data, with the spacings of the new samples.

        Raises
        ------
        InputError
            If the region lies outside, or zoom or order cannot be used.
        OutOfMemoryError
            If the rendering does not fit the memory.
        """
        lazy = self.rendering(region, zoom, order)
        return NamedArray("rendering", lazy[()], lazy.axes, lazy.scale_um)

    def rendering(self, region: Sequence[Index] = (), zoom: float | Sequence[float] = 1.0, order: int = 1) -> Rendering:
        """Return part of the data in another sampling, computed where it is read; see `render`.

        Only what a region that is read needs is in memory, so that the whole can be larger than the memory.

        Raises
        ------
        InputError
            If the region lies outside, or zoom or order cannot be used.
        """
        if order not in range(HIGHEST_ORDER + 1):
            raise InputError(f"The order of the splines is {order}; choose one from 0 to {HIGHEST_ORDER}")
        sampling = Sampling.of(self.layout, Region.of(region, self.shape), zoom)

        def values(box: Sequence[slice]) -> Array:
            if sampling.is_of_data:
                return self._evaluate(sampling.subset(box))
            if not self._stored.is_network:
                return sampling.interpolated(self._evaluate, box, order)
            lines = [
                line(sampling.centres(place, along), size)
                for place, (along, size) in enumerate(zip(box, self.shape, strict=True))
                if place != self.layout.channel
            ]
            outputs = self._values(tuple(len(one) for one in lines), self._stored.between(lines))
            # only its channels count
            return self._cut(outputs, sampling.subset(box))

        return Rendering(sampling, values)

    def fitted(self) -> Fitted:
        """Return the whole representation in memory.

        Raises
        ------
        InputError
            If the file is damaged.
        OutOfMemoryError
            If it does not fit the memory.
        """
        return _assembled(self._stored.read_all(), self.layout, self.recipe)

    def _values(self, shape: tuple[int, ...], parts: Iterable[Outputs]) -> Array:
        """Return outputs, yielded part by part, as values of the data: (*shape, outputs)."""
        count, outputs = math.prod(shape), self.layout.outputs
        check_memory(2 * count * outputs * self.dtype.itemsize, "This part of the model")
        values = np.empty((count, outputs), self.dtype)
        done = 0
        for part in parts:
            # a manipulated network may give numbers beyond the type of the data
            with np.errstate(over="ignore"):
                values[done : done + len(part)] = self.layout.to_values(part)
            done += len(part)
        return values.reshape(*shape, outputs)

    def _cut(self, values: Array, part: Region) -> Array:
        """Return values of samples, (*samples, outputs), as data: the channels in their place, and those asked for."""
        data = self.layout.from_samples(values)
        if self.layout.channel is not None:
            data = np.take(data, list(part.ranges[self.layout.channel]), self.layout.channel)
        return data[tuple(0 if dropped else slice(None) for dropped in part.dropped)]
