"""Reading arrays, also fields of structures, in MATLAB files before version 7.3."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.hdf5 import FRAME_NAMES
from napari_diner.io.header import Header, check_expansion, column_axes, decoding
from napari_diner.io.parts import Part, chosen

SIGNATURE = b"MATLAB 5.0"
_HEADER, _TAG = 128, 8
_COMPRESSED = 15
_DEEPEST = 8
_DECODE = "import sys, scipy.io; scipy.io.loadmat(sys.argv[1], simplify_cells=True)"
_SECONDS, _BYTES_PER_SECOND = 20, 5e6
"""Time limit of decoding: start-up, and a slow disk."""
_TYPES = {
    "double": "f8", "single": "f4", "logical": "?", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "int64": "i8", "uint64": "u8",
}  # fmt: skip
"""NumPy's types for MATLAB's classes of numbers."""


def probe_matlab5(path: Path, name: str = "") -> Header:
    """Read the header of a variable, or of a field of a structure (``name.field``); of the only image if none is named.

    Raises
    ------
    InputError
        If the choice is ambiguous, or the file is damaged.
    """
    with decoding(path):
        _check_sizes(path)
        _check_decoding(path)
        part, values = _chosen(path, name)
        # only reading them shows whether values are complex
        dtype = part.dtype if values is None else values.dtype
        check_expansion(path, int(np.prod(part.shape, dtype=object)) * dtype.itemsize, path.stat().st_size)
    return Header(part.shape, dtype, column_axes(part.shape, dtype))


def read_matlab5(path: Path, name: str, index: Index) -> Array:
    """Return part of a variable, with its axes as MATLAB shows them."""
    from scipy.io import loadmat

    with decoding(path):
        part, values = _chosen(path, name)
        if values is None:
            values = loadmat(path, variable_names=[part.name])[part.name]
        if np.iscomplexobj(values):
            raise InputError(f"{quoted(part.name)} in {path} is complex, not intensities; save its squared magnitude")
        return np.asarray(values)[index].astype(part.dtype, copy=False)


def _chosen(path: Path, name: str) -> tuple[Part, Array | None]:
    """Return the requested variable, with its values if they had to be read, as for structures."""
    from scipy.io import loadmat, whosmat

    _check_sizes(path)
    variable, _, field = name.partition(".")
    parts: list[Part] = []
    structures: list[str] = []
    for key, shape, kind in whosmat(path):
        if kind == "struct":
            structures.append(key)
        elif kind in _TYPES:
            parts.append(Part(key, tuple(shape), np.dtype(_TYPES[kind])))
    if name and not field:
        structures = [key for key in structures if key == variable]
    if (
        (field and variable in structures)
        or (not name and not any(part.is_image for part in parts))
        or (name and structures)
    ):
        names = [variable] if name else structures
        loaded = loadmat(path, variable_names=names, simplify_cells=True) if names else {}
        fields = {key: values for each in names for key, values in _fields(loaded.get(each), each)}
        of_fields = [Part(key, values.shape, values.dtype) for key, values in fields.items()]
        part = chosen(path, of_fields + ([] if name else parts), name if field else "", FRAME_NAMES)
        return part, fields.get(part.name)
    return chosen(path, parts, name, FRAME_NAMES), None


def _fields(value: object, name: str, depth: int = 0) -> Iterator[tuple[str, Array]]:
    """Yield the arrays in a structure with their names."""
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _fields(inner, f"{name}.{key}", depth + 1)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "buifc":
        yield name, value


def _check_sizes(path: Path) -> None:
    """Check the sizes of the variables against the file, before decompressing them."""
    with path.open("rb") as file:
        start = file.read(_HEADER)
        order = "<" if start[126:128] == b"IM" else ">"
        end = path.stat().st_size
        place = _HEADER
        while place + _TAG <= end:
            file.seek(place)
            kind, size = struct.unpack(f"{order}II", file.read(_TAG))
            if place + _TAG + size > end:
                raise InputError(f"{path} is truncated: it ends before its last variable does; copy it again")
            if kind == _COMPRESSED:
                check_expansion(path, _expanded(file, order), size)
            place += _TAG + size


def _check_decoding(path: Path) -> None:
    """Check in a separate process that a file can be decoded: SciPy's decoder crashes on some damaged files.

    Raises
    ------
    InputError
        If it cannot be decoded within a generous time for its size.
    """
    seconds = _SECONDS + path.stat().st_size / _BYTES_PER_SECOND
    try:
        decoded = subprocess.run(
            [sys.executable, "-c", _DECODE, str(path)], capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{path} cannot be decoded; it may be damaged, so save it again") from None
    if decoded.returncode < 0:  # reading the file explains other errors
        raise InputError(f"{path} cannot be decoded; it may be damaged, so save it again")


def _expanded(file: BinaryIO, order: str) -> int:
    """Return the size that a compressed variable announces."""
    tag = zlib.decompressobj().decompress(file.read(256), _TAG)
    return int(struct.unpack(f"{order}II", tag)[1])
