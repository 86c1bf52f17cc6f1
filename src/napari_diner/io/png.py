"""Reading PNG files, in grey or colours."""

from __future__ import annotations

import contextlib
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.header import Header, check_expansion, decoding

if TYPE_CHECKING:
    from PIL.Image import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY = 0
COLOURS = {"RGBA": (4,), "RGB": (3,), "P": (3,)}
"""Number of colours in the modes of Pillow, besides grey."""
_DEEP_COLOURS = {2: (3,), 6: (4,)}
"""The same by the colour type in the header, for 16 bits per channel."""


def probe_png(path: Path, name: str = "") -> Header:
    """Read the shape and type of the image in a PNG file from its header.

    Palettes are colours. Opacity (alpha) is a fourth colour; of grey images and palettes it is dropped.

    Raises
    ------
    InputError
        If the file is damaged, or an animation.
    """
    if name:
        raise InputError(f"{path} is a PNG file, which holds one image; leave out ::{quoted(name)}")
    width, height, depth, colour = _start(path)
    dtype = np.dtype("u2" if depth == 16 else "?" if depth == 1 and colour == GREY else "u1")
    with opened(path, "PNG") as image:
        colours = _DEEP_COLOURS.get(colour, ()) if depth == 16 else COLOURS.get(image.mode, ())
        count = getattr(image, "n_frames", 1)
    if count > 1:
        raise InputError(f"{path} is an animation of {count} images; save them as a TIFF stack")
    header = Header((height, width, *colours), dtype, "YX" + "S" * len(colours))
    check_expansion(path, header.nbytes, path.stat().st_size)
    return header


def read_png(path: Path, name: str, index: Index) -> Array:
    """Return part of the pixels of a PNG file, (Y, X) or (Y, X, colours); see `Format`."""
    header, (_, _, depth, colour) = probe_png(path, name), _start(path)
    if depth == 16 and colour != GREY:  # Pillow would read 8 bits
        with decoding(path):
            from imagecodecs import png_decode

            values = np.asarray(png_decode(path.read_bytes()))
        return (values if header.axes.endswith("S") else values[..., 0])[index]
    with decoding(path), opened(path, "PNG") as image:
        if header.axes.endswith("S"):
            image = image.convert("RGBA" if header.shape[-1] == 4 else "RGB")
        elif image.mode == "LA":
            image = image.convert("L")
        return np.asarray(image)[index].astype(header.dtype)


def _start(path: Path) -> tuple[int, int, int, int]:
    """Return width, height, bits per channel and colour type from the header."""
    with decoding(path), path.open("rb") as file:
        start = file.read(26)
        if len(start) < 26 or start[12:16] != b"IHDR":
            raise InputError(f"{path} ends before its header does; it is damaged, so save or copy it again")
    width, height, depth, colour = struct.unpack(">IIBB", start[16:26])
    return width, height, depth, colour


@contextlib.contextmanager
def opened(path: Path, kind: str) -> Iterator[Image]:
    """Open an image with Pillow, which calls its format `kind`."""
    from PIL import Image

    with decoding(path), warnings.catch_warnings():
        # the caller has checked the size in the header against the free memory
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        # the opacity of palettes is not used
        warnings.filterwarnings("ignore", "Palette images with Transparency", UserWarning)
        with Image.open(path, formats=[kind]) as image:
            yield image
