"""Checks of the structure of TIFF files before decoding: chains of pages, tags, and sizes in OME-XML."""

from __future__ import annotations

import mmap
import re
import struct
from pathlib import Path

from napari_diner.errors import InputError

_MOST_PAGES = 20_000
_MOST_PAGES_OF_IMAGEJ = 200_000
_MOST_TAGS = 1000
_MOST_PLANES = 1_000_000
_LONGEST_DESCRIPTION = 2**24
_DESCRIPTION = 270
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_COUNTS = re.compile(rb'\b(?:Size[ZCT]|PlaneCount|IFD|First[ZCT])\s*=\s*["\']\s*([+-]?\d+)')
_PIXELS = re.compile(rb"<(?:\w+:)?Pixels\b[^>]*>")
_SIZES = re.compile(rb'\bSize[ZCT]\s*=\s*["\']\s*(\d+)')


def check_structure(path: Path) -> None:
    """Check that the chain of pages ends, that tags fit the file, and that OME-XML announces a plausible number.

    Raises
    ------
    InputError
        If they do not.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        is_big = start[2:4] in (b"+\0", b"\0+")
        if size < (16 if is_big else 8):
            raise InputError(f"{path} is truncated: it ends before its first page; copy it again")
        place = struct.unpack(order + ("Q" if is_big else "I"), start[8:16] if is_big else start[4:8])[0]
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check_pages(path, content, order, is_big, place)


def _check_pages(path: Path, content: mmap.mmap, order: str, is_big: bool, place: int) -> None:
    count_bytes, offset_bytes = (8, 8) if is_big else (2, 4)
    entry = struct.Struct(order + ("HHQ8s" if is_big else "HHI4s"))
    count_of, offset_of = (
        struct.Struct(order + ("Q" if is_big else "H")),
        struct.Struct(order + ("Q" if is_big else "I")),
    )
    seen: set[int] = set()
    most = _MOST_PAGES
    while place:
        if place in seen:
            raise InputError(f"{path} is damaged: the chain of its pages is circular; save it again")
        if place + count_bytes > len(content):
            return  # truncated, which is reported with the number of frames
        seen.add(place)
        (count,) = count_of.unpack_from(content, place)
        end = place + count_bytes + count * entry.size
        if count > _MOST_TAGS or (end + offset_bytes > len(content) and len(seen) == 1):
            raise InputError(f"{path} is damaged: a page announces {count} tags; save it again")
        if end + offset_bytes > len(content):
            return
        for tag, kind, values, where in entry.iter_unpack(content[place + count_bytes : end]):
            length = values * _TYPE_BYTES.get(kind, 1)
            if length > len(content):
                raise InputError(
                    f"{path} is damaged: tag {tag} announces more values than the file holds; save it again"
                )
            if tag == _DESCRIPTION and len(seen) == 1 and length > len(where):
                begin = offset_of.unpack(where)[0]
                description = content[begin : begin + min(length, _LONGEST_DESCRIPTION + 1)]
                _check_description(path, description)
                most = _MOST_PAGES_OF_IMAGEJ if description.startswith(b"ImageJ=") else most
        if len(seen) > most:
            raise InputError(f"{path} holds more than {most} pages; save it as a NumPy file, or as several files")
        (place,) = offset_of.unpack_from(content, end)


def _check_description(path: Path, description: bytes) -> None:
    """Check the sizes announced by OME-XML."""
    if len(description) > _LONGEST_DESCRIPTION:
        raise InputError(f"{path} holds a description of more than 16 MiB; save it again without its metadata")
    if b"<OME" not in description and b":OME" not in description:
        return
    if b"<!DOCTYPE" in description or b"<!ENTITY" in description:
        raise InputError(f"{path} holds OME-XML with definitions of its own, which are not read; save it again")
    planes = 0
    for pixels in _PIXELS.findall(description):
        product = 1
        for text in _SIZES.findall(pixels):
            product *= int(text[:12])
        planes += product
    counts = [abs(int(text[:12])) for text in _COUNTS.findall(description)]
    if max([planes, *counts]) > _MOST_PLANES:
        raise InputError(f"{path} holds OME-XML that announces more than {_MOST_PLANES} planes; save it again")
