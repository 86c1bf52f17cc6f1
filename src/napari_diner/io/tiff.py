"""Reading TIFF files: axes, sizes and spacings from the headers, values on request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.header import UNNAMED, Header, decoding
from napari_diner.io.units import micrometres

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_COLOURED = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
"""Interpretations of the samples of a TIFF file as red, green, blue, and possibly opacity."""

DPI_OF_PRINTERS = (72, 96, 100, 120, 144, 150, 200, 240, 254, 300, 360, 400, 600, 720, 1200, 2400, 4800)
"""Resolutions that programs write by default."""


def probe_tiff(path: Path, name: str = "") -> Header:
    """Read the shape, axes, type and spacing of the array in a TIFF file from its headers.

    Pages that were written one after the other are one axis without a name, and the images of an OME file positions,
    ``P``.

    Raises
    ------
    InputError
        If the file is damaged or truncated, or its images differ in shape or type.
    """
    if name:
        raise InputError(f"{path} is a TIFF file, whose images have no names; leave out ::{quoted(name)}")
    with decoding(path), _open(path) as tif:
        if not tif.series:
            raise InputError(f"{path} holds no image; choose another file")
        check_length(path, tif)
        named = _together(path, tif)
        pixel, step = pixel_sizes(tif), z_step(tif)
        scale = {} if pixel is None else dict(zip("YX", pixel, strict=True))
        scale |= {} if step is None else {"Z": step}
        dtype = np.dtype(tif.series[0].dtype)
        shape = tuple(size for _, size in named)
        return Header(shape, dtype, "".join(letter for letter, _ in named), scale)


def read_tiff(path: Path, name: str, index: Index) -> Array:
    """Return part of the array in a TIFF file, in the order in which it is stored.

    Raises
    ------
    InputError
        If the file cannot be decoded.
    """
    with decoding(path), _open(path) as tif:
        shape = tuple(size for _, size in _together(path, tif))
        if len(tif.series) > 1:
            return np.concatenate([_values(series)[None] for series in tif.series]).reshape(shape)[index]
        return _values(tif.series[0]).reshape(shape)[index]


def _values(series: tifffile.TiffPageSeries) -> Array:
    # what lies in one piece need not be read as a whole
    values: Array = series.asarray(out="memmap" if series.dataoffset is not None else None)
    return values


def _open(path: Path) -> tifffile.TiffFile:
    # OME-XML may refer to other files of a set; only the values of this file are wanted
    return tifffile.TiffFile(path, _multifile=False)


def _together(path: Path, tif: tifffile.TiffFile) -> list[tuple[str, int]]:
    """Return the letter and the size of each stored axis of all series together."""
    first = _stored_axes(path, tif.series[0])
    if len(tif.series) == 1:
        return first
    before = 0
    for series in tif.series:
        axes = _stored_axes(path, series)
        if axes != first:
            sizes = ["×".join(str(size) for axis, size in each if size > 1) for each in (first, axes)]
            raise InputError(
                f"frame 1 of {path} has {sizes[0]} pixels but frame {before + 1} has {sizes[1]}; crop the frames to "
                "one size, or save the one you want as a file of its own"
            )
        if series.dtype != tif.series[0].dtype:
            raise InputError(
                f"the frames of {path} differ in type ({tif.series[0].dtype}, {series.dtype}); save them alike"
            )
        before += math.prod(size for axis, size in axes if axis not in "YXS")
    if tif.is_ome:
        return [("P", len(tif.series)), *first]
    long = [(axis, size) for axis, size in first if axis in "YXS" or size != 1]
    if len(long) > 2 and long[0][0] == UNNAMED:
        return [(UNNAMED, len(tif.series) * long[0][1]), *long[1:]]
    return [(UNNAMED, len(tif.series)), *first]


def _stored_axes(path: Path, series: tifffile.TiffPageSeries) -> list[tuple[str, int]]:
    """Return the letter and the size of each stored axis of a series."""
    if series.dtype is None:
        raise InputError(f"{path} holds values of a type that cannot be read; save them as integers or real numbers")
    named = list(zip(series.get_axes(False), series.get_shape(False), strict=True))
    coloured = series.keyframe.photometric in _COLOURED and dict(named).get("S") in (3, 4)
    if not coloured:
        # samples that are no colours are channels
        free = "C" not in "".join(axis for axis, size in named if size != 1)
        named = [
            ("C" if axis == "S" and free else axis, size)
            for axis, size in named
            if axis != "C" or not free or size != 1
        ]
    if min(size for _, size in named) < 1:
        raise InputError(
            f"{path} announces an array without values ({'×'.join(str(size) for _, size in named)}); save it again"
        )
    return [(axis if axis in "TZCYXS" else UNNAMED, size) for axis, size in named]


def check_length(path: Path, tif: tifffile.TiffFile) -> None:
    """Check that the file is as long as its headers announce, and that the chain of its pages ends."""
    pages, file = tif.pages, tif.filehandle
    len(pages)  # follows the chain
    whole = pages.next_page_offset is not None
    if pages.next_page_offset is not None:
        file.seek(pages.next_page_offset)
        whole = file.read(tif.tiff.offsetsize) == bytes(tif.tiff.offsetsize)
    for series in tif.series:
        if series.dataoffset is not None:
            whole = whole and series.dataoffset + series.nbytes <= file.size
            continue
        for page in series.pages:
            whole = whole and page is not None
            if page is not None:
                ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))
                whole = whole and 0 < max(ends, default=0) <= file.size
    if not whole:
        raise InputError(f"{path} is truncated: it ends before its last frame does; copy it again")


def pixel_sizes(tif: tifffile.TiffFile) -> tuple[float, float] | None:
    """Return the spacings along Y and X in micrometres from the metadata; None if missing or implausible."""
    page = tif.pages.first
    if "<OME" in page.description:
        return ome_pixel_sizes(page.description)
    per_unit = [_ratio(page.tags.valueof(tag)) for tag in ("YResolution", "XResolution")]
    if per_unit[0] is None or per_unit[1] is None:
        return None
    y, x = per_unit[0], per_unit[1]
    if tif.imagej_metadata is not None:
        factor = micrometres(_imagej_unit(tif.imagej_metadata))
        return None if factor is None else (factor / y, factor / x)
    unit_code = page.tags.valueof("ResolutionUnit")
    if unit_code not in (2, 3):
        return None
    per_inch = (y, x) if unit_code == 2 else (y * 2.54, x * 2.54)
    printed = any(abs(count - dpi) < 0.01 * dpi for count in per_inch for dpi in DPI_OF_PRINTERS)
    sizes = (25400 / per_inch[0], 25400 / per_inch[1])
    return sizes if all(1e-3 <= size <= 100 for size in sizes) and not printed else None


def z_step(tif: tifffile.TiffFile) -> float | None:
    """Return the distance between slices in micrometres from OME-XML or ImageJ's metadata; None if missing."""
    description = tif.pages.first.description
    if "<OME" in description:
        return _ome_length(description, "Z")
    if tif.imagej_metadata is not None:
        return _length(str(tif.imagej_metadata.get("spacing")), _imagej_unit(tif.imagej_metadata))
    return None


def ome_pixel_sizes(xml: str) -> tuple[float, float] | None:
    """Return PhysicalSizeY and PhysicalSizeX of the first image of an OME-XML text in micrometres.

    None if there is no PhysicalSizeX, or one of them is not positive; without a PhysicalSizeY pixels are square.
    """
    y, x = _ome_length(xml, "YX"), _ome_length(xml, "X")
    return None if x is None or y is None else (y, x)


def _ome_length(xml: str, axes: str) -> float | None:
    """Return the PhysicalSize, in micrometres, along the first of some axes that has one in an OME-XML text."""
    try:
        pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    except ElementTree.ParseError:
        return None
    sizes: Mapping[str, str] = pixels.attrib if pixels is not None else {}
    axis = next((axis for axis in axes if f"PhysicalSize{axis}" in sizes), None)
    if axis is None:
        return None
    return _length(sizes[f"PhysicalSize{axis}"], sizes.get(f"PhysicalSize{axis}Unit", "µm"))


def _length(number: str, unit: str) -> float | None:
    """Return a length in micrometres if it is positive and its unit is known."""
    try:
        size = float(number) * (micrometres(unit) or math.nan)
    except ValueError:
        return None
    return size if math.isfinite(size) and size > 0 else None


def _imagej_unit(metadata: Mapping[str, object]) -> str:
    return str(metadata.get("unit", "")).replace("\\u00B5", "µ")


def _ratio(value: object) -> float | None:
    """Return the value of a rational TIFF tag if it is a positive number."""
    if not isinstance(value, tuple) or len(value) != 2 or not value[0] or not value[1]:
        return None
    ratio = float(value[0]) / float(value[1])
    return ratio if math.isfinite(ratio) and ratio > 0 else None
