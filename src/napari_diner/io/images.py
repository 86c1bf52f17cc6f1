"""Reading single images: illumination, mask, truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.header import check_dtype, decoding
from napari_diner.io.stacks import probe, read

KINDS = "buif"
"""A mask may be boolean."""


def read_image(path: str | Path, *, frame_shape: tuple[int, int] | None = None) -> npt.NDArray[Any]:
    """Read an image or a stack from a TIFF, PNG or NumPy file.

    Parameters
    ----------
    path
        The file; of NumPy's formats ``.npy`` without Python objects.
    frame_shape
        If given, the (Y, X) that the image must have; it is checked before any pixel is read.

    Returns
    -------
    npt.NDArray[Any]
        Image of shape (Y, X), or stack (N, Y, X) if the file holds several, in the type of the file.

    Raises
    ------
    InputError
        If the file is missing, damaged, coloured or of another shape.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() == ".npy":
        return _read_npy(path, frame_shape)
    info = probe(path, kinds=KINDS)
    _check_shape(path, (info.height, info.width), frame_shape)
    frames = read(info)
    return frames[0] if info.frames == 1 else frames


def _read_npy(path: Path, frame_shape: tuple[int, int] | None) -> npt.NDArray[Any]:
    with decoding(path):
        # mapping compares the header with the length of the file, and unpickles nothing
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.ndim not in (2, 3) or array.size == 0:
            raise InputError(f"{path} has the shape {array.shape}; give an image (Y, X) or a stack (N, Y, X)")
        dtype = check_dtype(path, array.dtype, KINDS)
        _check_shape(path, array.shape[-2:], frame_shape)
        return np.array(array, dtype=dtype)


def _check_shape(path: Path, shape: tuple[int, ...], expected: tuple[int, int] | None) -> None:
    if expected is not None and tuple(shape) != expected:
        raise InputError(
            f"{path} has {shape[0]}×{shape[1]} pixels but the frames have {expected[0]}×{expected[1]}; "
            "crop one to match the other"
        )
