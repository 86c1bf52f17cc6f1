"""Packed, missing and negative values: numbers in a file that attributes or tags convert, or declare to be none.

Values are packed as the CF conventions describe for netCDF, section 8.1: v·``scale_factor`` + ``add_offset``, with
``_FillValue`` or ``missing_value`` where nothing was recorded. HDF5 and Zarr keep these attributes. Zero is white if
``IMAGE_WHITE_IS_ZERO`` is 1, as the HDF5 Image and Palette Specification says, or by a photometric interpretation as in
TIFF or DICOM.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array, DType

_MISSING = ("_FillValue", "missing_value")
# names of attributes and their values in small letters, without blanks, hyphens and underscores
_WHITE = ("imagewhiteiszero", "whiteiszero", "miniswhite")
_PHOTOMETRIC = ("photometricinterpretation", "photometric", "imagephotometricinterpretation")
_NEGATIVE = ("miniswhite", "whiteiszero", "monochrome1", "0")
_BITS = ("bitsstored", "bitspersample", "bitdepth")
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
    white: int | None = None
    """The stored number for black, if zero is white: ``white − v`` takes the place of v."""
    declares_white: str = ""
    """The attribute that says so."""

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
        if self.white is not None:
            notes.append(
                f"zero is white according to the attribute {self.declares_white}, so {self.white} − v is read for each "
                "value v"
            )
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
        light: Array = stored
        if self.white is not None:
            if stored.size and stored.max() > self.white:
                raise InputError(
                    f"The frames hold {stored.max()}, although {self.white} is black according to their attributes; "
                    "correct the number of bits there"
                )
            light = np.logical_not(stored) if stored.dtype.kind == "b" else self.white - stored
        if not self.is_linear and not self.missing:
            return light
        values = np.asarray(light, self.dtype(stored.dtype))
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
    white, declares_white = _white(path, name, attributes, stored)
    if stored.kind not in "uif":
        return Packing(white=white, declares_white=declares_white)

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
        scale,
        offset,
        missing_values({f"the attribute {key}": one for key, one in declared.items()}, stored),
        white,
        declares_white,
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


def _white(path: Path, name: str, attributes: Mapping[str, Any], stored: DType) -> tuple[int | None, str]:
    """Return the stored number for black and the attribute that declares zero as white; None and empty if none does."""
    # others are not read, as there may be thousands
    names = {_plain(key): key for key in attributes}
    values = {key: attributes[names[key]] for key in (*_WHITE, *_PHOTOMETRIC, *_BITS) if key in names}
    plain = {key: (names[key], _plain(value)) for key, value in values.items() if _is_scalar(value)}
    found = [plain[key] for key in _WHITE if plain.get(key, ("", ""))[1] in ("1", "true")]
    found += [plain[key] for key in _PHOTOMETRIC if plain.get(key, ("", ""))[1] in _NEGATIVE]
    if not found:
        return None, ""
    declares = found[0][0]
    if stored.kind == "b":
        return 1, declares
    if stored.kind != "u":
        raise InputError(
            f"{path} declares zero as white by the attribute {declares} of {name}, but not which of its numbers of "
            f"type {stored} is black; save it with black as zero"
        )
    bits = next((int(plain[key][1]) for key in _BITS if plain.get(key, ("", ""))[1].isdecimal()), 0)
    return 2 ** (bits if 0 < bits < 8 * stored.itemsize else 8 * stored.itemsize) - 1, declares


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bytes | str) or (np.size(value) == 1 and np.asarray(value).dtype.kind in "buiOS")


def _plain(value: Any) -> str:
    """Return an attribute, or its name, in small letters without blanks, hyphens and underscores."""
    single = value if isinstance(value, bytes | str) else np.asarray(value).ravel()[0]
    text = single.decode("ascii", "replace") if isinstance(single, bytes) else str(single)
    return re.sub(r"[\W_]+", "", text).lower()


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
