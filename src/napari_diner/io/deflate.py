"""Protection against deflated TIFF pages that expand to far more than announced."""

from __future__ import annotations

import importlib.util
import zlib
from pathlib import Path

import tifffile

from napari_diner.errors import InputError

_DEFLATE = (8, 32946)
_LARGEST_RATIO = 1032
_HARMLESS = 2**26
_PIECE = 2**20


def check_deflated(path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Check that no strip or tile of a series expands beyond its size.

    imagecodecs stops at that size; without it, tifffile would not. The data are expanded piece by piece.

    Raises
    ------
    InputError
        If one does.
    """
    page = series.keyframe
    if page.compression not in _DEFLATE or page.dtype is None or importlib.util.find_spec("imagecodecs") is not None:
        return
    most = page.dtype.itemsize
    for size in page.chunks:
        most *= size
    for part in series.pages:
        for place, count in () if part is None else zip(part.dataoffsets, part.databytecounts, strict=False):
            if count * _LARGEST_RATIO > max(_HARMLESS, 2 * most):
                tif.filehandle.seek(place)
                _check_segment(path, tif.filehandle.read(count), most)


def _check_segment(path: Path, content: bytes, most: int) -> None:
    decoder, expanded = zlib.decompressobj(), 0
    while content and not decoder.eof:
        piece = decoder.decompress(content, _PIECE)
        expanded, content = expanded + len(piece), decoder.unconsumed_tail
        if expanded > most:
            raise InputError(
                f"{path} expands to more than the pixels that it announces; it is damaged, so save it again"
            )
        if not piece:
            return
