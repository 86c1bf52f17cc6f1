"""A fit as a file: its numbers packed, and read back where they are needed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from napari_diner.device import check_memory
from napari_diner.errors import DinerError, InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.folder import WEIGHTS
from napari_diner.io.weights import WeightsFile
from napari_diner.representations.backbones import build_backbone
from napari_diner.representations.base import Representation
from napari_diner.representations.diner import CHUNK, Diner
from napari_diner.representations.networks import CoordinateNetwork
from napari_diner.tasks.fit.layout import Array, Layout
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.fit.region import Index, Region
from napari_diner.tasks.fit.represent import build_representation
from napari_diner.tasks.reconstruction import Result
from napari_diner.tasks.saving import FORMAT_VERSION

TABLE, INDEX, LOW, STEP = "hash_table", "index", "hash_table.low", "hash_table.step"
_CODES: dict[int, Any] = {8: np.uint8, 16: np.uint16}
_SAMPLES = 1 << 20


@dataclass(frozen=True)
class Fitted:
    """A representation that was fitted to data.

    Parameters
    ----------
    representation
        The representation; where there is an index, a DINER of shape (U,).
    layout
        The form of the data.
    recipe
        What it was made with, everything resolved.
    index
        Which of the U keys each sample has, of the layout's sample shape; None if each has its own.
    """

    representation: Representation
    layout: Layout
    recipe: FitRecipe
    index: Array | None = None


def pack(fitted: Fitted) -> dict[str, Array]:
    """Return the numbers of a fit by name, as they are stored in ``model.safetensors``.

    A table is stored as (U, d) beside its index, or as (*samples, d), so that a part of the data is a part of it. With
    fewer than 32 bits its columns are rounded to evenly spaced values ``low + code · step`` between their extremes.
    """
    weights = {name: value.detach().cpu().numpy() for name, value in fitted.representation.state_dict().items()}
    if not isinstance(fitted.representation, Diner):
        return weights
    table = weights[TABLE]
    if fitted.index is None:
        table = table.reshape(*fitted.layout.sample_shape, -1)
    else:
        weights[INDEX] = fitted.index
    kind = _CODES.get(fitted.recipe.table.stored_bits)
    if kind is not None:
        columns = tuple(range(table.ndim - 1))
        low = table.min(columns)
        step = (table.max(columns) - low) / np.float32(np.iinfo(kind).max)
        step[step == 0] = 1
        weights[LOW], weights[STEP] = low, step
        table = np.rint((table - low) / step).clip(0, np.iinfo(kind).max).astype(kind)
    weights[TABLE] = table
    return weights


def unpacked_table(weights: Mapping[str, Array]) -> npt.NDArray[np.float32]:
    """Return a table as it was packed, rounding included."""
    table = weights[TABLE]
    if LOW in weights:
        table = table * weights[STEP] + weights[LOW]
    return table.astype(np.float32, copy=False)


def unpack(result: Result) -> Fitted:
    """Return the representation that a result of a fit holds."""
    assert isinstance(result.recipe, FitRecipe)
    return _assembled(dict(result.weights), Layout.from_header(result.header), result.recipe)


def _assembled(weights: dict[str, Array], layout: Layout, recipe: FitRecipe) -> Fitted:
    index = weights.pop(INDEX, None)
    if TABLE in weights:
        table = unpacked_table(weights)
        weights = {name: value for name, value in weights.items() if name not in (LOW, STEP)}
        weights[TABLE] = table.reshape(-1, table.shape[-1])
    shape = layout.sample_shape if index is None else (len(weights[TABLE]),)
    representation = build_representation(recipe, shape, layout.outputs)
    representation.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return Fitted(representation, layout, recipe, index)


class FitModel:
    """A saved fit, evaluated where it is looked at.

    Parameters
    ----------
    path
        A ``model.safetensors``, or the folder of results that holds it.

    Raises
    ------
    InputError
        If it is no fit of ours, of another version, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path).expanduser()
        self._file = WeightsFile(path / WEIGHTS if path.is_dir() else path)
        header, name = self._file.header, self._file.path
        if header.get("format") != "napari-diner":
            raise InputError(f"{name} is no model of napari-diner; give the model.safetensors of a fit")
        if header.get("format_version") != FORMAT_VERSION:
            raise InputError(f"{name} has format {header.get('format_version')}, this version reads {FORMAT_VERSION}")
        if header.get("task") != "fit":
            raise InputError(f"{name} is a model of the task {header.get('task')!r}; only a fit can be evaluated")
        try:
            self.recipe = FitRecipe.parse(json.loads(header["recipe"]))
            self.layout = Layout.from_header(header)
            self._check()
        except (ValueError, KeyError, TypeError, RuntimeError, DinerError) as error:
            raise InputError(f"{name} is damaged ({' '.join(str(error).split())[:120]}); save the fit anew") from None
        self._part: torch.nn.Module | None = None
        self._table: npt.NDArray[np.float32] | None = None

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
        """Spacing along each axis in micrometres; 1.0 along axes that are no lengths."""
        return self.layout.scale_um

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return self._file.bytes

    @property
    def bits_per_pixel(self) -> float:
        """Bits of the file for each point of the data."""
        return 8 * self.file_bytes / self.layout.pixels

    def evaluate(self, region: Sequence[Index] = ()) -> Array:
        """Return part of the data as the model has them.

        Parameters
        ----------
        region
            A place or a slice along each axis of the data, as in ``data[3, 10:50]``; axes left out are whole.

        Returns
        -------
        Array
            In the type of the data; axes asked for by a place are dropped. Of a table only what lies in the region
            is read.

        Raises
        ------
        InputError
            If the region lies outside, or the file is damaged.
        OutOfMemoryError
            If the part does not fit the memory.
        """
        part = Region.of(region, self.shape)
        samples = part.without(self.layout.channel)
        outputs = self._outputs(samples)
        values = self.layout.to_values(outputs).reshape(*samples.shape, self.layout.outputs)
        data = self.layout.from_samples(values)
        if self.layout.channel is not None:
            data = np.take(data, list(part.ranges[self.layout.channel]), self.layout.channel)
        return data[tuple(0 if dropped else slice(None) for dropped in part.dropped)]

    def render(self, region: Sequence[Index] = (), zoom: float | Sequence[float] = 1.0, order: int = 1) -> NamedArray:
        """Return part of the data in another sampling.

        Values between the samples of a DINER or of pixels are interpolated from the values of those samples
        (Sec. 5.5 of the paper: not from their keys); a network of coordinates is evaluated between them.

        Parameters
        ----------
        region
            As in `evaluate`.
        zoom
            Samples of the result for one sample of the data: one number for Y and X, or one for each axis of the
            part but that of colours or channels. The centres of the outermost samples stay inside the data.
        order
            Order of the splines that interpolate, 0 to 5.

        Returns
        -------
        NamedArray
            In the type of the data, its spacings divided by the zoom.

        Raises
        ------
        InputError
            If the region lies outside, or the zoom does not go with it.
        """
        part = Region.of(region, self.shape)
        layout = self.layout
        kept = [place for place, dropped in enumerate(part.dropped) if not dropped]
        axes = "".join(layout.axes[place] for place in kept)
        factors = self._factors(zoom, axes)
        scale = [
            layout.scale_um[place] * abs(part.ranges[place].step) / factor
            for place, factor in zip(kept, factors, strict=True)
        ]
        if all(factor == 1 for factor in factors):
            return NamedArray("rendering", self.evaluate(region), axes, tuple(scale))
        if CoordinateNetwork in type(self._network()).__mro__:
            data = self._between(part, kept, factors)
        else:
            known = self.evaluate(region)
            check_memory(int(known.size * np.prod(factors) * 8), "The rendering")
            fine = ndimage.zoom(known.astype(np.float32), factors, order=order, mode="nearest", grid_mode=True)
            data = self._typed(fine)
        return NamedArray("rendering", data, axes, tuple(scale))

    def fitted(self) -> Fitted:
        """Return the whole representation in memory."""
        return _assembled({name: self._file.read(name) for name in self._file.shapes}, self.layout, self.recipe)

    @property
    def _width(self) -> int:
        assert self.recipe.table_width is not None
        return self.recipe.table_width

    def _check(self) -> None:
        """Hold the shapes of what is stored against those that the recipe and the layout ask for."""
        layout, shapes = self.layout, dict(self._file.shapes)
        if self.recipe.representation == "diner":
            index = shapes.pop(INDEX, None)
            table = shapes.pop(TABLE)
            for name in (LOW, STEP):
                if shapes.pop(name, (self._width,)) != (self._width,):
                    raise ValueError(f"{name} has another width than the table")
            if index is not None and (index != layout.sample_shape or self._file.dtypes[INDEX].kind != "u"):
                raise ValueError("the index does not go with the data")
            if table != ((table[0] if table else 0, self._width) if index else (*layout.sample_shape, self._width)):
                raise ValueError("the table does not go with the data")
            with torch.device("meta"):
                network = build_backbone(layout.outputs, self.recipe.diner_settings(self._width))
            expected = {f"backbone.{name}": tuple(value.shape) for name, value in network.state_dict().items()}
        else:
            # on this device nothing is allocated, whatever sizes a forged recipe asks for
            with torch.device("meta"):
                model = build_representation(self.recipe, layout.sample_shape, layout.outputs)
            expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        if shapes != expected:
            raise ValueError("its arrays are not those of its recipe")

    def _network(self) -> torch.nn.Module:
        """Return the backbone of a DINER, or the whole of another representation; loaded once."""
        if self._part is None:
            weights = {
                name: torch.from_numpy(self._file.read(name))
                for name in self._file.shapes
                if name not in (TABLE, INDEX, LOW, STEP)
            }
            if self.recipe.representation == "diner":
                self._part = build_backbone(self.layout.outputs, self.recipe.diner_settings(self._width))
                weights = {name.removeprefix("backbone."): value for name, value in weights.items()}
            elif self.recipe.representation == "pixels":
                return torch.nn.Identity()
            else:
                self._part = build_representation(self.recipe, self.layout.sample_shape, self.layout.outputs)
            self._part.load_state_dict(weights)
        return self._part

    @torch.no_grad()
    def _outputs(self, region: Region) -> npt.NDArray[np.float32]:
        """Return what the representation gives for a region of samples: (samples, outputs)."""
        count = int(np.prod(region.shape))
        check_memory(count * (self.layout.outputs * 16 + self._width * 8), "This part of the model")
        if self.recipe.representation == "pixels":
            box = self._file.read_box("values", (slice(None), *region.box))[(slice(None), *region.in_box)]
            return box.reshape(self.layout.outputs, -1).T.astype(np.float32)
        network = self._network()
        if isinstance(network, CoordinateNetwork):
            flat = np.ravel_multi_index(np.ix_(*[np.array(places) for places in region.ranges]), network.shape).ravel()
            parts = [network.sample(torch.from_numpy(part)) for part in np.array_split(flat, 1 + count // _SAMPLES)]
            return torch.cat(parts).numpy()
        keys = torch.from_numpy(self._keys(region))
        return torch.cat([network(part) for part in keys.split(CHUNK)]).numpy()

    def _keys(self, region: Region) -> npt.NDArray[np.float32]:
        """Return the keys of a region of samples, (samples, d)."""
        if INDEX not in self._file.shapes:
            codes = self._file.read_box(TABLE, region.box)[region.in_box]
            columns = {name: self._file.read(name) for name in (LOW, STEP) if name in self._file.shapes}
            return unpacked_table({TABLE: codes, **columns}).reshape(-1, self._width)
        if self._table is None:
            names = [name for name in (TABLE, LOW, STEP) if name in self._file.shapes]
            self._table = unpacked_table({name: self._file.read(name) for name in names})
        index = self._file.read_box(INDEX, region.box)[region.in_box].reshape(-1)
        if index.size and int(index.max()) >= len(self._table):
            raise InputError(f"{self._file.path} is damaged: its index points beyond its table; save the fit anew")
        keys: npt.NDArray[np.float32] = self._table[index]
        return keys

    def _factors(self, zoom: float | Sequence[float], axes: str) -> list[float]:
        """Return the zoom along each axis of a part."""
        lengths = [axis for axis in axes if axis not in "CS"]
        if isinstance(zoom, int | float):
            given = {axis: float(zoom) for axis in lengths if axis in "YX"}
        elif len(zoom) == len(lengths):
            given = dict(zip(lengths, map(float, zoom), strict=True))
        else:
            raise InputError(
                f"The zoom has {len(zoom)} numbers; give one, or one for each of the axes {''.join(lengths)}"
            )
        if any(not 1e-3 <= factor <= 1e3 for factor in given.values()):
            raise InputError("A zoom must lie between 0.001 and 1000; choose another one")
        return [given.get(axis, 1.0) for axis in axes]

    @torch.no_grad()
    def _between(self, part: Region, kept: Sequence[int], factors: Sequence[float]) -> Array:
        """Evaluate a network of coordinates at the places that a zoom asks for."""
        network = self._network()
        assert isinstance(network, CoordinateNetwork)
        factor_of = dict(zip(kept, factors, strict=True))
        lines = []
        for place, places in enumerate(part.ranges):
            if place == self.layout.channel:
                continue
            count = max(1, round(len(places) * factor_of.get(place, 1.0)))
            # centres of as many equal parts as the zoom makes of the samples
            within = ((np.arange(count) + 0.5) * len(places) / count - 0.5).clip(0, len(places) - 1)
            size = self.layout.shape[place]
            lines.append(2 * (places.start + places.step * within) / max(size - 1, 1) - 1 if size > 1 else within * 0)
        shape = tuple(len(line) for line in lines)
        check_memory(int(np.prod(shape)) * (len(shape) + self.layout.outputs) * 12, "The rendering")
        mesh = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, len(lines)).astype(np.float32)
        outputs = torch.cat([network.at(rows) for rows in torch.from_numpy(mesh).split(_SAMPLES)]).numpy()
        data = self.layout.from_samples(self.layout.to_values(outputs).reshape(*shape, self.layout.outputs))
        if self.layout.channel is not None:
            data = np.take(data, list(part.ranges[self.layout.channel]), self.layout.channel)
        return data[tuple(0 if dropped else slice(None) for dropped in part.dropped)]

    def _typed(self, values: npt.NDArray[np.float32]) -> Array:
        unit = replace(self.layout, low=0.0, high=1.0)
        return unit.to_values(values)
