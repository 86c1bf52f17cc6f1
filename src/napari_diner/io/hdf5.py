"""Reading arrays in HDF5 files, among them MATLAB files of version 7.3.

MATLAB stores arrays column by column, so their axes are reversed in HDF5. They are announced and returned in MATLAB's
order: rows, columns, and then the others. Files of other programs are not reordered, regardless of their names.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.hdf5_image import Hdf5Image, image_of
from napari_diner.io.hdf5_meaning import axis_letters, scale_um
from napari_diner.io.header import Header, check_expansion, column_axes, decoding, unnamed_axes
from napari_diner.io.packing import Packing, packing
from napari_diner.io.parts import Part, chosen

if TYPE_CHECKING:
    import h5py

FRAME_NAMES = ("I", "I_Raw", "dat")
"""Variables with frames in public recordings: illumination from arbitrary directions, from a ring, and from
several directions at once."""

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# MATLAB writes a text of this length before the signature
_USER_BLOCK = 512
_MOST_OBJECTS = 2000


def is_hdf5(path: Path, start: bytes) -> bool:
    """Return whether a file is HDF5 by its first bytes."""
    return start.startswith(_SIGNATURE) or start[_USER_BLOCK:].startswith(_SIGNATURE)


def opened(path: Path) -> h5py.File:
    """Return an HDF5 file, open for reading."""
    # slow to import, and rarely needed
    import h5py

    return h5py.File(path, "r")


def probe_hdf5(path: Path, name: str = "") -> Header:
    """Read the header of an array, or of the only image or stack if none is named.

    Raises
    ------
    InputError
        If the choice is ambiguous, or the file is damaged.
    """
    with decoding(path), opened(path) as file:
        array, in_columns = _chosen(path, file, name)
        shape, stored = _shape(array, in_columns), array.dtype
        check_expansion(path, int(array.size) * stored.itemsize, array.id.get_storage_size())
        if in_columns:
            return Header(shape, stored, column_axes(shape, stored))
        packed, image = _packing(path, array), image_of(file, array)
        stored = stored if image.greys is None else image.greys.dtype
        axes, notes = _letters(array, image), (*image.notes, *packed.notes)
        return Header(shape, packed.dtype(stored), axes, scale_um(array), notes, packed.declared)


def read_hdf5(path: Path, name: str, index: Index) -> Array:
    """Return part of an array, with its axes as `probe_hdf5` announced them."""
    with decoding(path), opened(path) as file:
        array, in_columns = _chosen(path, file, name)
        if in_columns:
            columns: Array = array[index[::-1]]
            return columns.T
        image = image_of(file, array)
        letters = "".join(
            letter for letter, at in zip(_letters(array, image), index, strict=True) if isinstance(at, slice)
        )
        return _packing(path, array).values(image.values(path, array[index], letters))


def _letters(array: h5py.Dataset, image: Hdf5Image) -> str:
    """Return the letters of the axes of an array."""
    return axis_letters(array) or image.axes or unnamed_axes(_shape(array, in_columns=False), array.dtype)


def _packing(path: Path, array: h5py.Dataset) -> Packing:
    return packing(path, str(array.name), array.attrs, array.dtype)


def dataset(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    """Return an array stored in the file itself; links to other files are not followed.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    import h5py

    place: h5py.Group | h5py.Dataset = file
    for part in name.split("/"):
        link = place.get(part, getlink=True) if isinstance(place, h5py.Group) and part else None
        if not isinstance(link, h5py.HardLink):
            raise InputError(
                f"{path} holds no array {quoted(name)} of its own; save the file again with the values in it"
            )
        place = place[part]
    if not isinstance(place, h5py.Dataset) or place.is_virtual or place.external:
        raise InputError(f"{quoted(name)} in {path} is not an array kept in this file; save the file again")
    return place


def is_in_columns(file: h5py.File, path: Path) -> bool:
    """Return whether MATLAB wrote a file, with the axes of its arrays in reverse.

    Its files begin with its name, its arrays have an attribute, and its complex numbers have parts of other names than
    those of h5py.
    """
    with path.open("rb") as raw:
        if raw.read(10) == b"MATLAB 7.3":
            return True
    arrays = (array for _, array in _arrays(file))
    return any("MATLAB_class" in array.attrs or array.dtype.names == ("real", "imag") for array in arrays)


def _chosen(path: Path, file: h5py.File, name: str) -> tuple[h5py.Dataset, bool]:
    """Return the requested array, and whether its axes are reversed."""
    in_columns = is_in_columns(file, path)
    if name:
        array = dataset(
            file, path, name.replace(".", "/") if name.replace(".", "/") in file and name not in file else name
        )
        return array, in_columns
    parts = [Part(place, _shape(array, in_columns), array.dtype) for place, array in _arrays(file)]
    return dataset(file, path, chosen(path, parts, "", FRAME_NAMES).name), in_columns


def _arrays(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield the arrays in a file with their paths, each once; links and MATLAB's own group are not followed."""
    import h5py

    seen: set[int] = set()
    waiting = [("", file["/"])]
    while waiting:
        prefix, group = waiting.pop()
        for key in itertools.islice(group, _MOST_OBJECTS):
            if len(seen) >= _MOST_OBJECTS:
                return
            if key.startswith("#") or not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            entry = group.get(key)
            address = -1 if entry is None else int(h5py.h5o.get_info(entry.id).addr)
            if entry is None or address in seen:
                continue
            seen.add(address)
            if isinstance(entry, h5py.Group):
                waiting.append((f"{prefix}{key}/", entry))
            elif isinstance(entry, h5py.Dataset) and not entry.is_virtual and not entry.external and entry.shape:
                yield f"{prefix}{key}", entry


def _shape(array: h5py.Dataset, in_columns: bool) -> tuple[int, ...]:
    shape = tuple(int(size) for size in array.shape)
    return shape[::-1] if in_columns else shape
