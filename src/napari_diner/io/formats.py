"""The file formats that can be read. Stacks, single images and data of any axes are all read through this registry.

A file is recognised by its first bytes, regardless of its name. To add a format, add an entry to `FORMATS`.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_diner.errors import InputError, quoted
from napari_diner.io import bmp, hdf5, matlab5, npy, ome_zarr, png, tiff
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.header import Header, decoding
from napari_diner.io.parts import split_part
from napari_diner.io.places import expanded


@dataclass(frozen=True)
class Format:
    """A file format."""

    name: str
    """Name in messages."""
    suffixes: tuple[str, ...]
    """Suffixes of its files."""
    recognises: Callable[[Path, bytes], bool]
    """Whether a file with these first 520 bytes has this format; folders have none."""
    probe: Callable[[Path, str], Header]
    """Reads the header of the array with a name, or of the only one if the name is empty; raises an `InputError` if the
    file is damaged."""
    read: Callable[[Path, str, Index], Array]
    """Reads part of this array, as announced by the header; raises an `InputError` if the file cannot be decoded."""
    holds_images: bool = False
    """Whether folders and patterns include its files as images."""


def _starts(*signatures: bytes) -> Callable[[Path, bytes], bool]:
    return lambda path, start: start.startswith(signatures)


FORMATS = (
    Format("TIFF", (".tif", ".tiff"), _starts(*tiff.TIFF_SIGNATURES), tiff.probe_tiff, tiff.read_tiff, True),
    Format("PNG", (".png",), _starts(png.PNG_SIGNATURE), png.probe_png, png.read_png, True),
    Format("BMP", (".bmp",), _starts(bmp.BMP_SIGNATURE), bmp.probe_bmp, bmp.read_bmp, True),
    Format("NumPy", (".npy",), _starts(npy.NPY_SIGNATURE), npy.probe_npy, npy.read_npy),
    Format("NumPy", (".npz",), _starts(npy.NPZ_SIGNATURE), npy.probe_npz, npy.read_npz),
    Format("HDF5", (".h5", ".hdf5"), hdf5.is_hdf5, hdf5.probe_hdf5, hdf5.read_hdf5),
    Format("MATLAB", (".mat",), _starts(matlab5.SIGNATURE), matlab5.probe_matlab5, matlab5.read_matlab5),
    Format("OME-Zarr", (".zarr",), ome_zarr.is_zarr, ome_zarr.probe_zarr, ome_zarr.read_zarr),
)
"""All formats, in the order in which they are tried."""

IMAGE_SUFFIXES = tuple(suffix for format_ in FORMATS if format_.holds_images for suffix in format_.suffixes)
"""Suffixes of the files in a folder that count as frames."""
_IMAGES = [format_.name for format_ in FORMATS if format_.holds_images]
IMAGES = f"{', '.join(_IMAGES[:-1])} or {_IMAGES[-1]}"
"""Names of these formats for messages: ``"TIFF, PNG or BMP"``."""
PATTERNS = " ".join(f"*{suffix}" for format_ in FORMATS for suffix in format_.suffixes)
"""Patterns of the names of files, for a dialog."""
_START = 520


def probe_file(source: str | Path) -> Header:
    """Read the header of the array in a file.

    Parameters
    ----------
    source
        A file, or an OME-Zarr folder; ``file::name`` for an array of several.

    Raises
    ------
    InputError
        If there is no such file, its format is not supported, or it is damaged.
    """
    path, name = located(source)
    return format_of(path).probe(path, name)


def read_file(source: str | Path, index: Index) -> Array:
    """Return part of the array in a file.

    Parameters
    ----------
    source
        As for `probe_file`.
    index
        For each axis of the header, a point or all of it.

    Raises
    ------
    InputError
        If the file cannot be decoded.
    """
    path, name = located(source)
    return format_of(path).read(path, name, index)


def located(source: str | Path) -> tuple[Path, str]:
    """Return the path of a source, and the name of the array in it."""
    try:
        whole = expanded(source)
        if whole.exists():
            return whole, ""
        path, name = split_part(str(source))
        return expanded(path), name
    except (OSError, ValueError):  # an invalid name
        raise InputError(f"{quoted(str(source))} cannot be the name of a file; check the path") from None


def format_of(path: Path) -> Format:
    """Return the format of a file, from its first bytes.

    Raises
    ------
    InputError
        If it is none of `FORMATS`, or cannot be read.
    """
    with decoding(path):
        status = path.stat()
        mode = status.st_mode
        if stat.S_ISREG(mode):
            start = b""
            if status.st_size:  # files of the kernel seem empty, and some never end
                with path.open("rb") as file:
                    start = file.read(_START)
        elif stat.S_ISDIR(mode):
            start = b""
        else:
            raise InputError(f"{path} is a device or a pipe, not a file; name a file")
    for format_ in FORMATS:
        if format_.recognises(path, start):
            return format_
    if not start and stat.S_ISREG(mode):
        raise InputError(f"{path} is empty; save or copy it again")
    what = "folder" if stat.S_ISDIR(mode) else "file"
    known = any(path.suffix.lower() in format_.suffixes for format_ in FORMATS)
    despite = ", despite its name" if known else ""
    raise InputError(f"{path} is not a {what} of a format that can be read{despite}; convert it to TIFF")
