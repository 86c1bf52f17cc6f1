"""Reading single images: illumination, mask, truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_diner import memory
from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.io.stacks import probe, read

KINDS = "buif"
"""A mask may be boolean."""


def read_image(path: str | Path, *, frame_shape: tuple[int, int] | None = None) -> Array:
    """Read an image or a stack from a file of a format in `napari_diner.io.formats`.

    Parameters
    ----------
    path
        The file; ``file::name`` for an array of several.
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
    OutOfMemoryError
        If it does not fit the memory.
    """
    info = probe(path, kinds=KINDS)
    _, height, width = info.stack_shape
    if frame_shape is not None and (height, width) != frame_shape:
        raise InputError(
            f"{path} has {height}×{width} pixels but the frames have {frame_shape[0]}×{frame_shape[1]}; crop one to "
            "match the other"
        )
    memory.check(info.nbytes, f"The image {path}")
    images = read(info)
    if info.header.missing and not np.isfinite(images).all():
        raise InputError(
            f"Pixels of {path} hold {info.header.missing}; delete this declaration if such values were recorded, "
            "otherwise replace them"
        )
    return images[0] if len(images) == 1 else images
