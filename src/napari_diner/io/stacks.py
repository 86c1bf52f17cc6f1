"""Reading stacks of frames: what the files announce first, the pixels only when asked for.

The two are apart so that the caller can compare the announced size with the free memory before anything is allocated.
"""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_diner.errors import InputError
from napari_diner.io import png, tiff
from napari_diner.io.header import Header, decoding

SUFFIXES = frozenset({".tif", ".tiff", ".png"})
"""Files in a folder that are taken for frames."""


@dataclass(frozen=True)
class StackInfo:
    """What the files of a stack announce.

    Parameters
    ----------
    paths
        The files in the order of their frames: one with all frames, or one for each frame.
    frames, height, width
        Number of frames and their size in pixels.
    dtype
        Type of the values as stored, in native byte order.
    pixel_size_um
        Distance between neighbouring pixels in micrometres, or None if the files do not tell.
    """

    paths: tuple[Path, ...]
    frames: int
    height: int
    width: int
    dtype: np.dtype[Any]
    pixel_size_um: float | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (N, Y, X) of the array that `read` will return."""
        return self.frames, self.height, self.width

    @property
    def nbytes(self) -> int:
        """Bytes that the array returned by `read` will take."""
        return self.frames * self.height * self.width * self.dtype.itemsize


def probe(source: str | Path, *, kinds: str = "uif") -> StackInfo:
    """Read what a stack announces, without its pixels.

    Parameters
    ----------
    source
        A multi-page TIFF or OME-TIFF file, a folder, or a glob of TIFF or PNG files with one frame each, which are
        taken in natural order (``z2`` before ``z10``). Hidden files and other files in a folder are ignored.
    kinds
        Kinds of values allowed, as letters of ``numpy.dtype.kind``.

    Raises
    ------
    InputError
        If there is no such file, or the files cannot be read, are coloured, are of a type that is no intensity, or
        differ in shape or type.
    """
    paths = find_files(source)
    first = _probe_file(paths[0], kinds)
    if len(paths) > 1:
        for path in paths:
            header = _probe_file(path, kinds)
            if header.frames != 1:
                raise InputError(
                    f"{path} holds {header.frames} frames, but of several files each must hold one; "
                    "give that file alone, or a glob that leaves it out"
                )
            if (header.height, header.width) != (first.height, first.width):
                raise InputError(
                    f"{paths[0]} has {first.height}×{first.width} pixels but {path} has "
                    f"{header.height}×{header.width}; crop the frames to one size, or give a glob of those that belong "
                    "together"
                )
            if header.dtype != first.dtype:
                raise InputError(
                    f"{paths[0]} is of type {first.dtype} but {path} of type {header.dtype}; save the frames alike"
                )
    frames = first.frames if len(paths) == 1 else len(paths)
    info = StackInfo(tuple(paths), frames, first.height, first.width, first.dtype, first.pixel_size_um)
    if info.nbytes > np.iinfo(np.intp).max:
        raise InputError(
            f"{source} announces {frames} frames of {info.height}×{info.width} pixels, more than any memory holds; "
            "its header is damaged, so save it anew"
        )
    return info


def read(info: StackInfo) -> npt.NDArray[Any]:
    """Return the frames that `probe` found, of shape (N, Y, X), in the type of the files.

    Raises
    ------
    InputError
        If a file cannot be decoded or is a colour image.
    """
    if len(info.paths) == 1:
        return _read_file(info.paths[0], info)
    frames = np.empty(info.shape, info.dtype)
    one = Header(1, info.height, info.width, info.dtype)
    for frame, path in zip(frames, info.paths, strict=True):
        frame[...] = _read_file(path, one)[0]
    return frames


def checksum(array: npt.NDArray[Any]) -> str:
    """Return the SHA-256 of an array's type, shape and values, in hexadecimal; byte order and layout do not matter."""
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    digest = hashlib.sha256(f"{little.dtype.str} {little.shape} ".encode())
    digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()


def find_files(source: str | Path) -> list[Path]:
    """Return the image files that a path, a folder or a glob names, in natural order.

    Raises
    ------
    InputError
        If there are none.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [file for file in path.iterdir() if _is_image(file)]
        if not found:
            raise InputError(f"The folder {source} holds no TIFF or PNG files; choose another one")
    elif glob.has_magic(str(path)):
        found = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 (it may be absolute)
        found = [file for file in found if _is_image(file)]
        if not found:
            raise InputError(f"No TIFF or PNG file matches {source}; check the pattern, and quote it in the shell")
    else:
        raise InputError(f"{source} does not exist; check the path")
    return [Path(name) for name in tifffile.natural_sorted(map(str, found))]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _is_png(path: Path) -> bool:
    """Tell a PNG from a TIFF file by its first bytes, whatever its name says."""
    with decoding(path), path.open("rb") as file:
        start = file.read(8)
    if start == png.SIGNATURE:
        return True
    if start[:4] in tiff.SIGNATURES:
        return False
    raise InputError(f"{path} is neither a TIFF nor a PNG file, whatever its name says; convert it to TIFF")


def _probe_file(path: Path, kinds: str) -> Header:
    return png.probe_png(path, kinds) if _is_png(path) else tiff.probe_tiff(path, kinds)


def _read_file(path: Path, header: Header | StackInfo) -> npt.NDArray[Any]:
    if isinstance(header, StackInfo):
        header = Header(header.frames, header.height, header.width, header.dtype)
    return png.read_png(path, header)[None] if _is_png(path) else tiff.read_tiff(path, header)
