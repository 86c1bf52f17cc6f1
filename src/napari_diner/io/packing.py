"""Packed and missing values: numbers in a file that attributes or tags convert to values, or declare to be none.

Values are packed as the CF conventions describe for netCDF, section 8.1: v·``scale_factor`` + ``add_offset``, with
``_FillValue`` or ``missing_value`` where nothing was recorded. HDF5 and Zarr keep these attributes.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array, DType

_MISSING = ("_FillValue", "missing_value")
_DOUBLE = "<d"
"""Real numbers that JSON cannot hold, such as NaN, are kept as text by xarray: base64 of 8 bytes."""


@dataclass(frozen=True)
class Packing:
    """Conversion of the stored numbers v: ``scale·v + offset``, and NaN where v is one of `missing`."""

    scale: float = 1.0
    """Factor of the stored numbers."""
    offset: float = 0.0
    """Value of a stored zero."""
    missing: Mapping[float, str] | None = None
    """Stored numbers that stand for values that were not recorded, and what declares that."""

    @property
    def is_linear(self) -> bool:
        """Whether the stored numbers have a factor or an offset."""
        return (self.scale, self.offset) != (1, 0)

    def dtype(self, stored: DType) -> DType:
        """Return the type of the values: real numbers, unless the stored numbers are the values."""
        if self.is_linear:
            return np.dtype(np.float64)
        return np.result_type(stored, np.float32) if self.missing else stored

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences without a full stop about the conversion."""
        notes = []
        if self.is_linear:
            notes.append(f"{self.scale:.6g}·v + {self.offset:.6g} is read for each value v, as its attributes say")
        if self.missing:
            notes.append(f"NaN is read for {self.declared}")
        return tuple(notes)

    @property
    def declared(self) -> str:
        """The missing values, and what declares them, for messages; empty if there are none."""
        return " and ".join(
            f"{value:.10g}, which {source} of the file declares to be no data"
            for value, source in (self.missing or {}).items()
        )

    def values(self, stored: Array) -> Array:
        """Return the values of stored numbers, of any shape."""
        if not self.is_linear and not self.missing:
            return stored
        values = np.asarray(stored, self.dtype(stored.dtype))
        values = self.scale * values + self.offset if self.is_linear else values.copy()
        for missing in self.missing or ():
            # numbers of single precision are compared as such
            values[stored == np.asarray(missing, stored.dtype)] = np.nan
        return values


def packing(path: Path, name: str, attributes: Mapping[str, Any], stored: DType) -> Packing:
    """Return the conversion of the numbers in an array.

    Parameters
    ----------
    path
        The file, for messages.
    name
        Name of the array in it, for messages.
    attributes
        Attributes of the array.
    stored
        Type of the stored numbers.

    Raises
    ------
    InputError
        If its attributes are not finite numbers, or the scale is zero.
    """
    if stored.kind not in "uif":
        return Packing()

    def number(key: str, default: float) -> float:
        """Return an attribute that is one number, or a list of one."""
        value = attributes.get(key, default)
        decoded = _decoded(value) if isinstance(value, str) else None
        numbers: Array = np.atleast_1d(value if decoded is None else decoded)
        if numbers.size != 1 or numbers.dtype.kind not in "uif":
            raise InputError(f"{path} gives an attribute {key} of {name} that is not one number; correct it")
        return float(numbers.ravel()[0])

    scale, offset = number("scale_factor", 1), number("add_offset", 0)
    if not math.isfinite(scale) or not math.isfinite(offset) or scale == 0:
        raise InputError(
            f"{path} gives the scale_factor {scale:g} and the add_offset {offset:g} for {name}; correct these "
            "attributes"
        )
    declared = {key: number(key, math.nan) for key in _MISSING}
    return Packing(
        scale, offset, missing_values({f"the attribute {key}": one for key, one in declared.items()}, stored)
    )


def missing_values(declared: Mapping[str, float], stored: DType) -> dict[float, str]:
    """Return declared missing values with what declares them; NaN, and numbers that the type cannot hold, need none.

    Parameters
    ----------
    declared
        The value that each source, such as ``"the attribute _FillValue"``, declares.
    stored
        Type of the stored numbers.
    """
    found: dict[float, str] = {}
    for source, value in declared.items():
        if not math.isnan(value) and _holds(stored, value):
            found.setdefault(value, source)
    return found


def _holds(stored: DType, value: float) -> bool:
    if stored.kind == "f":
        return True
    limits = np.iinfo(stored.str)
    return value.is_integer() and limits.min <= value <= limits.max


def _decoded(text: str) -> float | None:
    """Return a real number that xarray stored as text; None if it is none."""
    try:
        number: float = struct.unpack(_DOUBLE, base64.b64decode(text, validate=True))[0]
    except (binascii.Error, struct.error, ValueError):
        return None
    return number
