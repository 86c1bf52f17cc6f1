"""The arrays of a model file, some of them in compressed blocks."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_diner.io.arrays import DType
from napari_diner.io.blocks import Blocks, Read
from napari_diner.io.weights import WeightsFile
from napari_diner.tasks.fit.layout import Array

_ENTRY, _BLOCKS, _ENDS = "coded", ".blocks", ".ends"
_KINDS = ("uint8", "uint16", "uint32", "float32")


@dataclass(frozen=True)
class _Form:
    """How an array is stored in blocks."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def blocks(self) -> Blocks:
        """Its blocks; those of floating-point numbers hold their bits, in a single line."""
        if self.dtype.kind == "f":
            return Blocks((math.prod(self.shape), 1), np.dtype(np.uint32))
        return Blocks(self.shape, self.dtype)

    def encode(self, array: Array) -> tuple[Array, Array]:
        """Return the compressed blocks, and their ends."""
        blocks = self.blocks
        return blocks.encode(np.ascontiguousarray(array).view(blocks.dtype).reshape(blocks.shape))

    def decode(self, read: Read, ends: Array, box: Sequence[slice] = ()) -> Array:
        """Return part of the array; all blocks of floating-point numbers are read."""
        blocks = self.blocks
        if self.dtype.kind == "f":
            return blocks.decode(read, ends).view(self.dtype).reshape(self.shape)[tuple(box)]
        return blocks.decode(read, ends, box)


def coded(weights: Mapping[str, Array], names: Sequence[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """Return arrays with some of them in compressed blocks, and the entry of the header for it.

    Those are of whole numbers, with the numbers of each sample along the last axis, or of any shape and float32.
    """
    done, forms = dict(weights), {}
    for name in names:
        array = done.pop(name)
        done[name + _BLOCKS], done[name + _ENDS] = _Form(array.shape, array.dtype).encode(array)
        forms[name] = {"shape": array.shape, "dtype": array.dtype.name}
    return done, {_ENTRY: json.dumps(forms)}


def plain(weights: Mapping[str, Array], header: Mapping[str, str]) -> dict[str, Array]:
    """Return the arrays without blocks."""
    done = dict(weights)
    for name, form in _forms(header).items():
        content, ends = done.pop(name + _BLOCKS), done.pop(name + _ENDS)
        done[name] = form.decode(functools.partial(_cut, content), ends)
    return done


class StoredArrays:
    """The arrays of a model file by name, whether or not they are in compressed blocks.

    Parameters
    ----------
    file
        The file.

    Raises
    ------
    ValueError, KeyError, TypeError
        If blocks do not match the header.
    """

    def __init__(self, file: WeightsFile) -> None:
        self._file = file
        self._forms = _forms(file.header)
        self._ends: dict[str, Array] = {}
        self.shapes, self.dtypes = dict(file.shapes), dict(file.dtypes)
        for name, form in self._forms.items():
            kinds = {key: self.dtypes.pop(name + key) for key in (_BLOCKS, _ENDS)}
            sizes = {key: self.shapes.pop(name + key) for key in (_BLOCKS, _ENDS)}
            if (
                kinds != {_BLOCKS: np.uint8, _ENDS: np.uint64}
                or sizes[_ENDS] != (form.blocks.number,)
                or name in self.shapes
            ):
                raise ValueError(f"the blocks of {name} do not match their form")
            self.shapes[name], self.dtypes[name] = form.shape, form.dtype

    def bytes(self, name: str) -> int:
        """Return the size of an array in memory."""
        return math.prod(self.shapes[name]) * self.dtypes[name].itemsize

    def read(self, name: str) -> Array:
        """Return an array.

        Raises
        ------
        ValueError
            If its blocks are damaged.
        """
        return self.read_box(name, ()) if name in self._forms else self._file.read(name)

    def read_box(self, name: str, box: Sequence[slice]) -> Array:
        """Return part of an array: the box of slices, without steps, along its first axes.

        Raises
        ------
        ValueError
            If its blocks are damaged.
        """
        if name not in self._forms:
            return self._file.read_box(name, box)
        if name not in self._ends:
            self._ends[name] = self._file.read(name + _ENDS)

        def read(begin: int, end: int) -> bytes:
            return self._file.read_box(name + _BLOCKS, (slice(begin, end),)).tobytes()

        return self._forms[name].decode(read, self._ends[name], box)


def _cut(content: Array, begin: int, end: int) -> bytes:
    return content[begin:end].tobytes()


def _forms(header: Mapping[str, str]) -> dict[str, _Form]:
    """Return the forms of arrays in blocks, by the header of a model file.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is damaged.
    """
    forms: dict[str, _Form] = {}
    entries: Any = json.loads(header.get(_ENTRY, "{}"))
    if not isinstance(entries, dict):
        raise ValueError("its header has no list of blocks")
    for name, form in entries.items():
        shape = tuple(int(size) for size in form["shape"])
        least = 1 if form["dtype"] == "float32" else 2
        if form["dtype"] not in _KINDS or len(shape) < least or min(shape) < 1:
            raise ValueError(f"{name} cannot be in blocks")
        forms[name] = _Form(shape, np.dtype(form["dtype"]))
    return forms
