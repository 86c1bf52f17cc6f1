"""Meaning of the numbers and axes of an array in HDF5: packed values, missing values, names of the axes, spacings.

Values are packed as the CF conventions describe for netCDF, section 8.1: v·``scale_factor`` + ``add_offset``, with
``_FillValue`` or ``missing_value`` where nothing was recorded. Spacings are those of ``element_size_um``, as written by
ImageJ's plugin for HDF5 and other programs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array, DType
from napari_diner.io.header import named_axes

if TYPE_CHECKING:
    import h5py

_MISSING = ("_FillValue", "missing_value")


@dataclass(frozen=True)
class Packing:
    """Conversion of the stored numbers v: ``scale·v + offset``, and NaN where v is one of `missing`."""

    scale: float = 1.0
    """Factor of the stored numbers."""
    offset: float = 0.0
    """Value of a stored zero."""
    missing: tuple[float, ...] = ()
    """Stored numbers that stand for values that were not recorded."""

    @property
    def is_trivial(self) -> bool:
        """Whether the stored numbers are the values."""
        return self == Packing()

    def dtype(self, stored: DType) -> DType:
        """Return the type of the values: numbers of double precision, unless the stored numbers are the values."""
        return stored if self.is_trivial else np.dtype(np.float64)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences without a full stop about the conversion."""
        notes = []
        if (self.scale, self.offset) != (1, 0):
            notes.append(f"{self.scale:.6g}·v + {self.offset:.6g} is read for each value v, as its attributes say")
        if self.missing:
            listed = " and ".join(f"{value:g}" for value in self.missing)
            notes.append(f"values of {listed} are missing according to its attributes, and read as NaN")
        return tuple(notes)

    def values(self, stored: Array) -> Array:
        """Return the values of stored numbers, of any shape."""
        if self.is_trivial:
            return stored
        values: npt.NDArray[np.float64] = self.scale * stored.astype(np.float64) + self.offset
        for missing in self.missing:
            values[stored == missing] = np.nan
        return values


def packing(path: Path, array: h5py.Dataset) -> Packing:
    """Return the conversion of the numbers in an array.

    Raises
    ------
    InputError
        If its attributes are not finite numbers, or the scale is zero.
    """
    if array.dtype.kind not in "uif":
        return Packing()
    scale, offset = _number(path, array, "scale_factor", 1), _number(path, array, "add_offset", 0)
    if not math.isfinite(scale) or not math.isfinite(offset) or scale == 0:
        raise InputError(
            f"{path} gives the scale_factor {scale:g} and the add_offset {offset:g} for {array.name}; correct these "
            "attributes"
        )
    missing = [_number(path, array, name, math.nan) for name in _MISSING]
    # NaN needs no conversion
    return Packing(scale, offset, tuple(dict.fromkeys(value for value in missing if not math.isnan(value))))


def axis_letters(array: h5py.Dataset) -> str:
    """Return the letters of the axes by their labels (dimension scales), ``?`` for those without; empty if none has."""
    named = named_axes([str(dimension.label) for dimension in array.dims])
    return named if {"Y", "X"} <= set(named) else ""


def scale_um(path: Path, array: h5py.Dataset) -> dict[str, float]:
    """Return the spacings in micrometres by the letters Z, Y and X, as far as the array has them."""
    sizes = np.atleast_1d(array.attrs.get("element_size_um", ()))
    if sizes.dtype.kind not in "uif" or sizes.size not in (2, 3):
        return {}
    letters = "ZYX"[-sizes.size :]
    found = zip(letters, sizes.ravel().astype(float).tolist(), strict=True)
    return {letter: size for letter, size in found if math.isfinite(size) and size > 0}


def _number(path: Path, array: h5py.Dataset, name: str, default: float) -> float:
    """Return an attribute that is one number, or a list of one."""
    value = np.atleast_1d(array.attrs.get(name, default))
    if value.size != 1 or value.dtype.kind not in "uif":
        raise InputError(f"{path} gives an attribute {name} of {array.name} that is not one number; correct it")
    return float(value.ravel()[0])
