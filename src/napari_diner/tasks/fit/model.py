"""Model files of fits: packing of parameters, and evaluation on demand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from napari_diner.device import check_memory
from napari_diner.errors import InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.representations import registry
from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner
from napari_diner.tasks.fit.layout import Array, Layout
from napari_diner.tasks.fit.recipe import CHANNEL_AXES, FitRecipe
from napari_diner.tasks.fit.region import Index, Region
from napari_diner.tasks.fit.stored import INDEX, LOW, STEP, TABLE, Outputs, StoredFit, line, unpacked_table
from napari_diner.tasks.result import Result

_CODES: dict[int, Any] = {8: np.uint8, 16: np.uint16}


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
    kind = _CODES.get(fitted.recipe.stored_bits)
    if kind is not None:
        columns = tuple(range(table.ndim - 1))
        low = table.min(columns)
        step = (table.max(columns) - low) / np.float32(np.iinfo(kind).max)
        step[step == 0] = 1
        weights[LOW], weights[STEP] = low, step
        table = np.rint((table - low) / step).clip(0, np.iinfo(kind).max).astype(kind)
    weights[TABLE] = table
    return weights


def unpack(result: Result) -> Fitted:
    """Return the representation in a result of a fit."""
    if not isinstance(result.recipe, FitRecipe):
        raise InputError(f"The result is one of {result.task!r}, not of a fit; give the result of a fit")
    return _assembled(dict(result.weights), Layout.from_header(result.header), result.recipe)


def _assembled(weights: dict[str, Array], layout: Layout, recipe: FitRecipe) -> Fitted:
    index = weights.pop(INDEX, None)
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
        part = Region.of(region, self.shape)
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
        if order not in range(6):
            raise InputError(f"The order of the splines is {order}; choose one from 0 to 5")
        part = Region.of(region, self.shape)
        layout = self.layout
        kept = [place for place, dropped in enumerate(part.dropped) if not dropped]
        axes = "".join(layout.axes[place] for place in kept)
        factors = dict(zip(kept, _factors(zoom, axes), strict=True))
        counts = [
            max(1, round(len(places) * factors.get(place, 1.0))) if factors.get(place, 1.0) != 1 else len(places)
            for place, places in enumerate(part.ranges)
        ]
        scale = tuple(
            layout.scale_um[place] * abs(part.ranges[place].step) * len(part.ranges[place]) / counts[place]
            for place in kept
        )
        if counts == [len(places) for places in part.ranges]:
            data = self.evaluate(region)
        elif self._stored.is_network:
            lines = [
                line(places.start + places.step * _centres(len(places), count), size)
                for place, (places, count, size) in enumerate(zip(part.ranges, counts, layout.shape, strict=True))
                if place != layout.channel
            ]
            shape = tuple(len(one) for one in lines)
            data = self._cut(self._values(shape, self._stored.between(lines)), part)
        else:
            data = self._interpolated(self.evaluate(region), [counts[place] for place in kept], order)
        return NamedArray("rendering", data, axes, scale)

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

    def _interpolated(self, samples: Array, counts: Sequence[int], order: int) -> Array:
        exact = np.float32 if samples.dtype.itemsize <= 2 or samples.dtype == np.float32 else np.float64
        check_memory(2 * (samples.size + math.prod(counts)) * np.dtype(exact).itemsize, "The rendering")
        factors = [count / size for count, size in zip(counts, samples.shape, strict=True)]
        fine = ndimage.zoom(samples.astype(exact), factors, order=order, mode="nearest", grid_mode=True)
        # rounded and clipped like outputs without interpolation
        return replace(self.layout, low=0.0, high=1.0).to_values(fine)


def _factors(zoom: float | Sequence[float], axes: str) -> list[float]:
    """Return the zoom along each axis of a part."""
    lengths = [axis for axis in axes if axis not in CHANNEL_AXES]
    if not isinstance(zoom, Sequence):
        factors = {axis: float(zoom) for axis in lengths if axis in "YX"}
    elif len(zoom) == len(lengths):
        factors = dict(zip(lengths, map(float, zoom), strict=True))
    else:
        raise InputError(f"The zoom has {len(zoom)} numbers; give one, or one for each of the axes {''.join(lengths)}")
    if any(not 1e-3 <= factor <= 1e3 for factor in factors.values()):
        raise InputError("A zoom must lie between 0.001 and 1000; choose another one")
    return [factors.get(axis, 1.0) for axis in axes]


def _centres(size: int, count: int) -> npt.NDArray[np.float64]:
    """Return the centres of `count` equal parts of `size` samples, in samples, none outside those of the outermost."""
    return ((np.arange(count) + 0.5) * size / count - 0.5).clip(0, size - 1)
