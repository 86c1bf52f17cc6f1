"""Reading BMP files, in grey or colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.header import Header, check_expansion
from napari_diner.io.png import COLOURS, opened

BMP_SIGNATURE = b"BM"


def probe_bmp(path: Path, name: str = "") -> Header:
    """Read the shape and type of the image in a BMP file from its header; colour maps are colours unless grey.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    if name:
        raise InputError(f"{path} is a BMP file, which holds one image; leave out ::{quoted(name)}")
    with opened(path, "BMP") as image:
        colours = COLOURS.get(image.mode, ())
        dtype = np.dtype("?" if image.mode == "1" else "u1")
        header = Header((image.height, image.width, *colours), dtype, "YX" + "S" * len(colours))
    check_expansion(path, header.nbytes, path.stat().st_size)
    return header


def read_bmp(path: Path, name: str, index: Index) -> Array:
    """Return part of the pixels of a BMP file, (Y, X) or (Y, X, colours); see `Format`."""
    with opened(path, "BMP") as image:
        return np.asarray(image.convert("RGB") if image.mode == "P" else image)[index]
