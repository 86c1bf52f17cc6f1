"""Reading PNG files: as grey frames, or as images with colours."""

from __future__ import annotations

import contextlib
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array, DType
from napari_diner.io.header import Header, check_dtype, decoding

if TYPE_CHECKING:
    from PIL.Image import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY = 0


def probe_png(path: Path, kinds: str) -> Header:
    """Read the size and type of a PNG file from its first chunk.

    Raises
    ------
    InputError
        If the file is damaged, or coloured with 16 bits a channel.
    """
    with decoding(path), path.open("rb") as file:
        start = file.read(26)
        if len(start) < 26 or start[12:16] != b"IHDR":
            raise InputError(f"{path} ends before its header does; it is damaged, so save or copy it again")
        width, height, depth, colour = struct.unpack(">IIBB", start[16:26])
    if depth == 16 and colour != GREY:
        raise InputError(f"{path} is a colour image of 16 bits a channel; convert it to 16-bit grey, or to TIFF")
    stored = "u2" if depth == 16 else "?" if depth == 1 and colour == GREY else "u1"
    return Header(frames=1, height=height, width=width, dtype=check_dtype(path, np.dtype(stored), kinds))


def read_png(path: Path, header: Header) -> Array:
    """Return the grey image in a PNG file, (Y, X), as stored.

    Raises
    ------
    InputError
        If the file is damaged, or its colour channels differ.
    """
    pixels = read_pixels(path)
    if pixels.ndim == 3:
        if not (pixels[..., :3] == pixels[..., :1]).all():
            raise InputError(f"{path} is a colour image; convert it to grey")
        pixels = pixels[..., 0]
    return pixels.astype(header.dtype, copy=False)


def announced(path: Path) -> tuple[tuple[int, ...], DType]:
    """Return the shape, (Y, X) or (Y, X, colours), and the type of the pixels that `read_pixels` will return.

    Raises
    ------
    InputError
        If the file is damaged, or coloured with 16 bits a channel, which Pillow reads as 8.
    """
    header = probe_png(path, "bu")
    with _opened(path) as image:
        grey = image.mode in ("L", "1", "I;16", "I", "LA")
        colours = () if grey else (4 if image.mode == "RGBA" else 3,)
    return (header.height, header.width, *colours), np.dtype(np.uint8 if header.dtype.kind == "b" else header.dtype)


def read_pixels(path: Path) -> Array:
    """Return the pixels of a PNG file, grey (Y, X) or coloured (Y, X, 3 or 4); palettes become colours.

    Opacity (alpha) is always the fourth colour, since the shape is announced before any pixel is read. Of grey images
    and palettes it is dropped.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    shape, dtype = announced(path)
    with decoding(path), _opened(path) as image:
        if len(shape) == 3:
            image = image.convert("RGBA" if shape[2] == 4 else "RGB")
        elif image.mode in ("1", "LA"):
            image = image.convert("L")
        return np.asarray(image).astype(dtype)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image]:
    from PIL import Image

    with decoding(path), warnings.catch_warnings():
        # the caller has compared the size in the header with the free memory
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        # the opacity of palettes is not used
        warnings.filterwarnings("ignore", "Palette images with Transparency", UserWarning)
        with Image.open(path, formats=["PNG"]) as image:
            yield image
