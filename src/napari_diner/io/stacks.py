"""Reading stacks of frames: first the headers of the files, then the pixels.

The two are separate so that the caller can compare the announced size with the free memory before allocating.
"""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.io.header import Header, decoding
from napari_diner.io.png import PNG_SIGNATURE, probe_png, read_png
from napari_diner.io.tiff import TIFF_SIGNATURES, probe_tiff, read_tiff

SUFFIXES = frozenset({".tif", ".tiff", ".png"})
"""Suffixes of the files in a folder that are taken as frames."""


@dataclass(frozen=True, kw_only=True)
class StackInfo(Header):
    """Header of a stack in one or several files."""

    paths: tuple[Path, ...]
    """The files in the order of their frames: one with all frames, or one for each frame."""


def probe(source: str | Path, *, kinds: str = "uif") -> StackInfo:
    """Read what a stack announces, without its pixels.

    Parameters
    ----------
    source
        A multi-page TIFF or OME-TIFF file, a folder, or a glob of TIFF or PNG files with one frame each, taken in
        natural order (``z2`` before ``z10``). Hidden files and other files in a folder are ignored.
    kinds
        Allowed kinds of values, as letters of ``numpy.dtype.kind``.

    Raises
    ------
    InputError
        If there is no such file, or the files cannot be read, are coloured, hold values that are not intensities, or
        differ in shape or type.
    """
    paths = find_files(source)
    first = _probe_file(paths[0], kinds)
    for path in paths if len(paths) > 1 else ():
        header = _probe_file(path, kinds)
        if header.frames != 1:
            raise InputError(
                f"{path} holds {header.frames} frames, but of several files each must hold one; "
                "give that file alone, or a glob that excludes it"
            )
        if header.shape != first.shape:
            raise InputError(
                f"{paths[0]} has {first.height}×{first.width} pixels but {path} has {header.height}×{header.width}; "
                "crop the frames to one size, or give a glob of those that belong together"
            )
        if header.dtype != first.dtype:
            raise InputError(
                f"{paths[0]} is of type {first.dtype} but {path} of type {header.dtype}; save the frames alike"
            )
    frames = first.frames if len(paths) == 1 else len(paths)
    info = StackInfo(frames, first.height, first.width, first.dtype, first.pixel_size_um, paths=tuple(paths))
    if info.nbytes > np.iinfo(np.intp).max:
        raise InputError(
            f"{source} announces {frames} frames of {info.height}×{info.width} pixels, more than any memory holds; "
            "its header is damaged, so save it again"
        )
    return info


def read(info: StackInfo) -> Array:
    """Return the frames that `probe` announced, (N, Y, X), in the type of the files.

    Raises
    ------
    InputError
        If a file cannot be decoded or is a colour image.
    """
    if len(info.paths) == 1:
        return _read_file(info.paths[0], info)
    frames = np.empty(info.shape, info.dtype)
    one = replace(info, frames=1)
    for frame, path in zip(frames, info.paths, strict=True):
        frame[...] = _read_file(path, one)[0]
    return frames


def check_frames(frames: Array) -> None:
    """Check that an array can be a stack of frames, (N, Y, X), of intensities.

    Raises
    ------
    InputError
        If it has other axes, values of another type, or frames of fewer than 8×8 pixels.
    """
    if frames.ndim != 3:
        raise InputError(f"The stack has {frames.ndim} dimensions; give frames of one channel as (N, Y, X)")
    if frames.dtype.kind not in "uif":
        raise InputError(f"The stack contains values of type {frames.dtype}; give integers or real numbers")
    if min(frames.shape[1:]) < 8:
        raise InputError(f"The frames have only {frames.shape[1]}×{frames.shape[2]} pixels; give at least 8×8")


def checksum(array: Array) -> str:
    """Return the SHA-256 of an array's type, shape and values in hexadecimal, regardless of byte order and layout."""
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    digest = hashlib.sha256(f"{little.dtype.str} {little.shape} ".encode())
    digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()


def find_files(source: str | Path) -> list[Path]:
    """Return the image files of a path, a folder or a glob, in natural order.

    Raises
    ------
    InputError
        If there are none.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        candidates = list(path.iterdir())
        missing = f"The folder {source} holds no TIFF or PNG files; choose another one"
    elif glob.has_magic(str(path)):
        candidates = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 (may be absolute)
        missing = f"No TIFF or PNG file matches {source}; check the pattern, and quote it in the shell"
    else:
        raise InputError(f"{source} does not exist; check the path")
    names = [str(file) for file in candidates if _is_image(file)]
    if not names:
        raise InputError(missing)
    return [Path(name) for name in tifffile.natural_sorted(names)]


def is_png(path: Path) -> bool:
    """Tell a PNG from a TIFF file by its first bytes, regardless of its name.

    Raises
    ------
    InputError
        If it is neither, or cannot be read.
    """
    with decoding(path), path.open("rb") as file:
        start = file.read(8)
    if start != PNG_SIGNATURE and start[:4] not in TIFF_SIGNATURES:
        raise InputError(f"{path} is neither a TIFF nor a PNG file, despite its name; convert it to TIFF")
    return start == PNG_SIGNATURE


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _probe_file(path: Path, kinds: str) -> Header:
    return probe_png(path, kinds) if is_png(path) else probe_tiff(path, kinds)


def _read_file(path: Path, header: Header) -> Array:
    return read_png(path, header)[None] if is_png(path) else read_tiff(path, header)
