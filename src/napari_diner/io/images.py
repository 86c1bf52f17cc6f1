"""Reading single images: illumination, mask, truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.io.header import check_dtype, decoding, map_npy
from napari_diner.io.stacks import probe, read

KINDS = "buif"
"""A mask may be boolean."""


def read_image(path: str | Path, *, frame_shape: tuple[int, int] | None = None) -> Array:
    """Read an image or a stack from a TIFF, PNG or NumPy file.

    Parameters
    ----------
    path
        The file; of NumPy's formats ``.npy`` without Python objects.
    frame_shape
        Required size (Y, X) of the image, checked before any pixel is read; any size if None.

    Returns
    -------
    Array
        Image (Y, X), or stack (N, Y, X) if the file holds several, in the type of the file.

    Raises
    ------
    InputError
        If the file is missing, damaged, coloured or of another size.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() == ".npy":
        stored = map_npy(path)
        if stored.ndim not in (2, 3) or stored.size == 0:
            raise InputError(f"{path} has the shape {stored.shape}; give an image (Y, X) or a stack (N, Y, X)")
        dtype = check_dtype(path, stored.dtype, KINDS)
        _check_shape(path, stored.shape[-2:], frame_shape)
        with decoding(path):
            return np.array(stored, dtype=dtype)
    info = probe(path, kinds=KINDS)
    _check_shape(path, (info.height, info.width), frame_shape)
    frames = read(info)
    return frames[0] if info.frames == 1 else frames


def _check_shape(path: Path, shape: tuple[int, ...], expected: tuple[int, int] | None) -> None:
    if expected is not None and tuple(shape) != expected:
        raise InputError(
            f"{path} has {shape[0]}×{shape[1]} pixels but the frames have {expected[0]}×{expected[1]}; "
            "crop one to match the other"
        )
