"""The arrays of a saved fit: checked against its header, and read on demand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.device import check_memory
from napari_diner.errors import DinerError, InputError
from napari_diner.io.folder import WEIGHTS
from napari_diner.io.places import expanded
from napari_diner.io.weights import WeightsFile
from napari_diner.representations import registry
from napari_diner.representations.backbones import build_backbone
from napari_diner.representations.base import Representation
from napari_diner.representations.diner import CHUNK
from napari_diner.representations.networks import CoordinateNetwork
from napari_diner.tasks.fit.coded import StoredArrays
from napari_diner.tasks.fit.layout import Array, Layout
from napari_diner.tasks.fit.recipe import FitRecipe, check_axes
from napari_diner.tasks.fit.region import Region
from napari_diner.tasks.saving import FORMAT_VERSION

TABLE, INDEX, LOW, STEP = "hash_table", "index", "hash_table.low", "hash_table.step"
CORRECTIONS, CORRECTION_STEP = "corrections", "correction_step"
VALUES = "values"
_ROWS = 1 << 16

Outputs = npt.NDArray[np.float32]
Corrected = npt.NDArray[np.floating]


def unpacked_table(weights: Mapping[str, Array]) -> Outputs:
    """Return a table as it was packed, including the rounding."""
    table = weights[TABLE]
    if LOW in weights:
        table = table * weights[STEP] + weights[LOW]
    return table.astype(np.float32, copy=False)


def corrected(outputs: Outputs, codes: Array, step: float) -> npt.NDArray[np.float64]:
    """Return outputs with corrections in whole steps, which unsigned numbers hold as complements, (n, outputs) each."""
    signed = codes.view(codes.dtype.name.removeprefix("u"))
    return outputs.astype(np.float64) + signed * step


class StoredFit:
    """A model file of a fit.

    The content is not trusted: recipe and layout are parsed like any input, the arrays must have the
    corresponding shapes and types, and allocations are checked against the free memory.

    Parameters
    ----------
    path
        A ``model.safetensors``, or the folder of results that contains it.

    Raises
    ------
    InputError
        If it is not a fit of napari-diner, of another version, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        path = expanded(path)
        self.file = WeightsFile(path / WEIGHTS if path.is_dir() else path)
        header, name = self.file.header, self.file.path
        if header.get("format") != "napari-diner":
            raise InputError(f"{name} is not a model of napari-diner; give the model.safetensors of a fit")
        if header.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"{name} has format {header.get('format_version')}, but this version of napari-diner reads "
                f"{FORMAT_VERSION}; use the version that wrote it"
            )
        if header.get("task") != "fit":
            raise InputError(f"{name} is a model of the task {header.get('task')!r}; only a fit can be evaluated")
        if "series" in header:
            raise InputError(
                f"{name} holds a model for each point along {header['series']}; to evaluate one, fit this point alone, "
                f"with select: {header['series']}=0"
            )
        try:
            self.recipe = _recipe_of(header["recipe"])
            self.layout = Layout.from_header(header)
            _check_layout(self.layout)
            self.arrays = StoredArrays(self.file)
            self._step = float(json.loads(header.get(CORRECTION_STEP, "0")))
            self._check_arrays()
        except (ValueError, KeyError, TypeError, RuntimeError, SyntaxError, DinerError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:120]
            raise InputError(f"{name} is damaged ({reason}); save the fit anew") from None
        self._network: torch.nn.Module | None = None
        self._table: Outputs | None = None
        self._corrections: Array | None = None

    @property
    def is_network(self) -> bool:
        """Whether it is a network of coordinates, which is also defined between the samples."""
        return self.recipe.representation not in ("diner", "pixels")

    def samples(self, region: Region) -> Iterator[Corrected]:
        """Yield the outputs for a region of samples, with their corrections, in order and in parts (n, outputs).

        Only the part of a table, of corrections, or of pixels in the region is read.

        Raises
        ------
        InputError
            If the file is damaged.
        OutOfMemoryError
            If the part does not fit the memory.
        """
        corrections, done = self._corrections_of(region), 0
        for outputs in self._uncorrected(region):
            part = slice(done, done + len(outputs))
            done = part.stop
            yield self._checked(outputs if corrections is None else corrected(outputs, corrections[part], self._step))

    def _uncorrected(self, region: Region) -> Iterator[Outputs]:
        if self.is_network:
            shape = self.layout.sample_shape
            lines = [line(np.array(places), size) for places, size in zip(region.ranges, shape, strict=True)]
            return self.between(lines)
        return self._pixels(region) if self.recipe.representation == "pixels" else self._from_table(region)

    def _corrections_of(self, region: Region) -> Array | None:
        """Return the corrections of a region of samples in steps, (n, outputs), or None if there are none."""
        if CORRECTIONS not in self.arrays.shapes:
            return None
        if INDEX in self.arrays.shapes:
            if self._corrections is None:
                check_memory(self.arrays.bytes(CORRECTIONS), "The corrections of the model")
                self._corrections = self._read(CORRECTIONS)
            return self._corrections[self._index_of(region)]
        check_memory(2 * self._box_bytes(CORRECTIONS, region.box), "This part of the model")
        return self._read(CORRECTIONS, region.box)[region.in_box].reshape(-1, self.layout.outputs)

    def _index_of(self, region: Region) -> Array:
        """Return which keys of the table a region of samples has, (n,)."""
        check_memory(2 * self._box_bytes(INDEX, region.box), "This part of the model")
        index = self._read(INDEX, region.box)[region.in_box].reshape(-1)
        self._check_index(index)
        return index

    def between(self, lines: Sequence[Outputs]) -> Iterator[Outputs]:
        """Yield the outputs of a network on a mesh of coordinates, given along each axis, in parts of (n, outputs)."""
        network = self._loaded()
        assert isinstance(network, CoordinateNetwork)
        shape = tuple(len(one) for one in lines)
        count = math.prod(shape)
        for start in range(0, count, _ROWS):
            places = np.unravel_index(np.arange(start, min(start + _ROWS, count)), shape)
            mesh = np.stack([one[place] for one, place in zip(lines, places, strict=True)], -1)
            with torch.no_grad():
                outputs = network.at(torch.from_numpy(mesh)).numpy()
            yield self._checked(outputs)

    def read_all(self) -> dict[str, Array]:
        """Return all arrays by name.

        Raises
        ------
        InputError
            If the file is damaged.
        OutOfMemoryError
            If they do not fit the memory.
        """
        # as stored, as float32, and in the representation
        needed = sum(self.arrays.bytes(name) + 8 * math.prod(shape) for name, shape in self.arrays.shapes.items())
        check_memory(needed, f"The model {self.file.path}")
        weights = {name: self._read(name) for name in self.arrays.shapes}
        if INDEX in weights:
            self._check_index(weights[INDEX])
        return weights

    def _read(self, name: str, box: Sequence[slice] = ()) -> Array:
        try:
            return self.arrays.read_box(name, box) if box else self.arrays.read(name)
        except ValueError as error:
            raise InputError(f"{self.file.path} is damaged ({error}); save the fit anew") from None

    def _checked(self, outputs: Corrected) -> Corrected:
        if not np.isfinite(outputs).all():
            raise InputError(f"{self.file.path} is damaged (it gives numbers that are not finite); save the fit anew")
        return outputs

    def _check_index(self, index: Array) -> None:
        if int(index.max()) >= self.arrays.shapes[TABLE][0]:
            raise InputError(f"{self.file.path} is damaged (its index points beyond its table); save the fit anew")

    def _box_bytes(self, name: str, box: Sequence[slice]) -> int:
        sizes = (*[part.stop - part.start for part in box], *self.arrays.shapes[name][len(box) :])
        return int(math.prod(sizes) * self.arrays.dtypes[name].itemsize)

    def _pixels(self, region: Region) -> Iterator[Outputs]:
        box = (slice(0, self.layout.outputs), *region.box)
        check_memory(2 * self._box_bytes(VALUES, box), "This part of the model")
        values = self._read(VALUES, box)[(slice(None), *region.in_box)]
        yield values.reshape(self.layout.outputs, -1).T.astype(np.float32, copy=False)

    def _from_table(self, region: Region) -> Iterator[Outputs]:
        network = self._loaded()
        if INDEX in self.arrays.shapes:
            table, index = self._whole_table(), self._index_of(region)
            parts = (table[index[start : start + CHUNK]] for start in range(0, len(index), CHUNK))
        else:
            check_memory(2 * self._box_bytes(TABLE, region.box), "This part of the model")
            box = self._read(TABLE, region.box)[region.in_box]
            rows, columns = box.reshape(-1, box.shape[-1]), self._columns()
            parts = (
                unpacked_table({TABLE: rows[start : start + CHUNK], **columns}) for start in range(0, len(rows), CHUNK)
            )
        for keys in parts:
            with torch.no_grad():
                outputs: Outputs = network(torch.from_numpy(keys)).numpy()
            yield outputs

    def _whole_table(self) -> Outputs:
        """Return the table of keys of distinct values, into which the index points; read once."""
        if self._table is None:
            check_memory(self.arrays.bytes(TABLE) + 4 * math.prod(self.arrays.shapes[TABLE]), "The table of the model")
            self._table = unpacked_table({TABLE: self._read(TABLE), **self._columns()})
        return self._table

    def _columns(self) -> dict[str, Array]:
        return {name: self._read(name) for name in (LOW, STEP) if name in self.arrays.shapes}

    def _loaded(self) -> torch.nn.Module:
        """Return the backbone of a DINER, or a complete network of coordinates; read once."""
        if self._network is None:
            names = [name for name in self.arrays.shapes if name not in (TABLE, INDEX, LOW, STEP, CORRECTIONS)]
            check_memory(2 * sum(self.arrays.bytes(name) for name in names), "The network of the model")
            weights = {name: torch.from_numpy(self._read(name)) for name in names}
            if self.recipe.representation == "diner":
                network: torch.nn.Module = _backbone(self.recipe, self.layout)
                weights = {name.removeprefix("backbone."): value for name, value in weights.items()}
            else:
                network = _network(self.recipe, self.layout)
            network.load_state_dict(weights)
            self._network = network
        return self._network

    def _check_arrays(self) -> None:
        """Check the stored arrays against the recipe and the layout.

        Raises
        ------
        ValueError
            If they do not match.
        """
        layout, shapes, dtypes = self.layout, dict(self.arrays.shapes), dict(self.arrays.dtypes)
        # on this device nothing is allocated, whatever sizes a manipulated recipe has
        with torch.device("meta"):
            if self.recipe.representation == "diner":
                state = _backbone(self.recipe, layout).state_dict(prefix="backbone.")
            else:
                state = _network(self.recipe, layout).state_dict()
        expected = {name: tuple(value.shape) for name, value in state.items()}
        samples = layout.sample_shape
        if self.recipe.representation == "diner":
            width = self.recipe.diner.table_width or 0
            if INDEX in shapes:
                # in blocks, each sample has one number
                index, sizes = shapes.pop(INDEX), layout.sample_shape
                if index not in (sizes, (*sizes, 1)) or dtypes.pop(INDEX).kind != "u":
                    raise ValueError("its index does not match the data")
                samples = shapes[TABLE][:1]
            kind = dtypes.pop(TABLE)
            coded = kind in (np.uint8, np.uint16)
            if shapes.pop(TABLE) != (*samples, width) or not (coded or kind == np.float32):
                raise ValueError("its table does not match the data")
            if coded:
                expected |= {LOW: (width,), STEP: (width,)}
        if CORRECTIONS in shapes:
            if shapes.pop(CORRECTIONS) != (*samples, layout.outputs) or dtypes.pop(CORRECTIONS).kind != "u":
                raise ValueError("its corrections do not match the data")
            if not 0 < self._step < math.inf:
                raise ValueError("its corrections have no step")
        if shapes != expected or any(dtype != np.float32 for dtype in dtypes.values()):
            raise ValueError("its arrays do not match its recipe")


def line(places: npt.NDArray[np.number], size: int) -> Outputs:
    """Return the coordinates of positions along an axis of `size` samples: −1 the first, 1 the last."""
    coordinates: Outputs = ((2 * places - (size - 1)) / max(size - 1, 1)).astype(np.float32)
    return coordinates


def _recipe_of(text: str) -> FitRecipe:
    """Return the recipe of a model file; that of version 0.1.0 had the settings of DINER in several places."""
    values = json.loads(text)
    if isinstance(values, dict) and "table" in values:
        table = dict(values.pop("table"))
        values["stored_bits"] = table.pop("stored_bits")
        values["diner"] = (
            dict(values["network"]) | table | {key: values.pop(key) for key in ("backbone", "table_width")}
        )
    return FitRecipe.parse(values)


def _network(recipe: FitRecipe, layout: Layout) -> Representation:
    return registry.build(recipe.representation, layout.sample_shape, layout.outputs, recipe)


def _backbone(recipe: FitRecipe, layout: Layout) -> torch.nn.Module:
    if recipe.diner.table_width is None:
        raise ValueError("its recipe names no table width")
    return build_backbone(layout.outputs, recipe.diner.complete(recipe.diner.table_width, 8))


def _check_layout(layout: Layout) -> None:
    """Check that data can have this layout.

    Raises
    ------
    ValueError
        If they cannot.
    """
    check_axes(layout.axes)
    dtype = np.dtype(layout.dtype)
    if dtype.itemsize > 8 or math.prod(layout.shape) > np.iinfo(np.intp).max // 8:
        raise ValueError("no data are that large")
    limits = np.iinfo(dtype) if dtype.kind in "ui" else np.finfo(dtype)
    if not limits.min <= layout.low <= layout.high <= limits.max:
        raise ValueError(f"data of type {layout.dtype} from {layout.low} to {layout.high}")
    if not all(0 < spacing < math.inf for spacing in layout.scale_um):
        raise ValueError("spacings that are not lengths")
