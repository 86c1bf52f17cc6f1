"""Reading NumPy's files: ``.npy``, mapped so that only the requested part is read, and ``.npz``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.header import Header, check_expansion, decoding, unnamed_axes
from napari_diner.io.parts import Part, chosen

NPY_SIGNATURE = b"\x93NUMPY"
NPZ_SIGNATURE = b"PK\x03\x04"


def probe_npy(path: Path, name: str = "") -> Header:
    """Read the header of a NumPy file and check it against the length of the file; nothing is unpickled.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    array = _mapped(path, name)
    return Header(array.shape, array.dtype, unnamed_axes(array.shape, array.dtype))


def read_npy(path: Path, name: str, index: Index) -> Array:
    """Return part of the array in a NumPy file."""
    with decoding(path):
        return np.array(_mapped(path, name)[index])


def probe_npz(path: Path, name: str = "") -> Header:
    """Read the header of an array in a file of several, or of the only one if none is named.

    Raises
    ------
    InputError
        If the choice is ambiguous, or the file cannot be read.
    """
    with decoding(path), zipfile.ZipFile(path) as file:
        entry, shape, dtype = _entry(path, file, name)
        header = Header(shape, dtype, unnamed_axes(shape, dtype))
        check_expansion(path, header.nbytes, entry.compress_size)
        if entry.file_size < header.nbytes:
            raise InputError(f"{path} is truncated: {entry.filename} ends before its last value; copy it again")
    return header


def read_npz(path: Path, name: str, index: Index) -> Array:
    """Return part of an array in a file of several."""
    with decoding(path), zipfile.ZipFile(path) as file, file.open(_entry(path, file, name)[0]) as content:
        array: Array = np.lib.format.read_array(content, allow_pickle=False)
        return array[index]


def _mapped(path: Path, name: str) -> Array:
    if name:
        raise InputError(f"{path} holds a single array; leave out ::{name}")
    with decoding(path):
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _entry(
    path: Path, file: zipfile.ZipFile, name: str
) -> tuple[zipfile.ZipInfo, tuple[int, ...], np.dtype[np.number]]:
    entries = {}
    for entry in file.infolist()[:_MOST_ENTRIES]:
        if entry.filename.endswith(".npy"):
            with file.open(entry) as content:
                version = np.lib.format.read_magic(content)
                read_header = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    read_header = np.lib.format.read_array_header_2_0
                shape, _, dtype = read_header(content)
            entries[entry.filename.removesuffix(".npy")] = entry, shape, dtype
    part = chosen(path, [Part(key, shape, dtype) for key, (_, shape, dtype) in entries.items()], name)
    return entries[part.name]


_MOST_ENTRIES = 1000
