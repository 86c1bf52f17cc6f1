"""Reading PNG files: grey ones, and coloured ones that show grey."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.header import Header, check_dtype, decoding

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY = 0


def probe_png(path: Path, kinds: str) -> Header:
    """Read the size and depth of a PNG file from its first chunk.

    Raises
    ------
    InputError
        If the file is damaged, or coloured with 16 bits a channel.
    """
    with decoding(path), path.open("rb") as file:
        start = file.read(26)
        if len(start) < 26 or start[12:16] != b"IHDR":
            raise InputError(f"{path} ends before its header does; it is damaged, so save or copy it anew")
        width, height, depth, colour = struct.unpack(">IIBB", start[16:26])
    if depth == 16 and colour != GREY:
        raise InputError(f"{path} is a colour image of 16 bits a channel; convert it to 16-bit grey")
    stored = "u2" if depth == 16 else "?" if depth == 1 and colour == GREY else "u1"
    dtype: np.dtype[Any] = np.dtype(stored)
    return Header(frames=1, height=height, width=width, dtype=check_dtype(path, dtype, kinds))


def read_png(path: Path, header: Header) -> npt.NDArray[Any]:
    """Return the image of shape (Y, X) in a PNG file, as stored.

    Raises
    ------
    InputError
        If the file is damaged, or its colour channels differ.
    """
    from PIL import Image

    with decoding(path), warnings.catch_warnings():
        # the caller has compared the size in the header with the free memory
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path, formats=["PNG"]) as image:
            pixels = np.asarray(image.convert("RGB") if image.mode in ("P", "RGBA") else image)
            if image.mode == "LA":
                pixels = pixels[..., :1]
    if pixels.ndim == 3:
        if not (pixels == pixels[..., :1]).all():
            raise InputError(f"{path} is a colour image; convert it to grey")
        pixels = pixels[..., 0]
    return pixels.astype(header.dtype, copy=False)
