"""Reading TIFF files: size and pixel size from the headers, frames on request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array, DType
from napari_diner.io.header import Header, check_dtype, decoding
from napari_diner.io.units import micrometres

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

DPI_OF_PRINTERS = (72, 96, 100, 120, 144, 150, 200, 240, 254, 300, 360, 400, 600, 720, 1200, 2400, 4800)
"""Resolutions that programs write by default."""


def probe_tiff(path: Path, kinds: str) -> Header:
    """Read the number, size, type and pixel size of the frames in a TIFF file from its headers.

    Raises
    ------
    InputError
        If the file is damaged, truncated or coloured, or its frames differ in shape or type.
    """
    with decoding(path), _open(path) as tif:
        parts = [_series_shape(path, series) for series in tif.series]
        if not parts:
            raise InputError(f"{path} holds no image; choose another file")
        before = 0
        for frames, shape, dtype in parts:
            if shape != parts[0][1]:
                raise InputError(
                    f"frame 1 of {path} has {_size(parts[0][1])} pixels but frame {before + 1} has {_size(shape)}; "
                    "crop the frames to one size"
                )
            if dtype != parts[0][2]:
                raise InputError(f"the frames of {path} differ in type ({parts[0][2]}, {dtype}); save them alike")
            before += frames
        check_length(path, tif)
        height, width = parts[0][1]
        return Header(
            frames=sum(part[0] for part in parts),
            height=height,
            width=width,
            dtype=check_dtype(path, parts[0][2], kinds),
            pixel_size_um=pixel_size(tif),
        )


def read_tiff(path: Path, header: Header) -> Array:
    """Return the frames of a TIFF file, (N, Y, X), in the number and type that `header` announced.

    Raises
    ------
    InputError
        If the file cannot be decoded.
    """
    frames = np.empty((header.frames, header.height, header.width), header.dtype)
    with decoding(path), _open(path) as tif:
        first = 0
        for series in tif.series:
            count = math.prod(series.shape) // (header.height * header.width)
            target = frames[first : first + count]
            target[...] = series.asarray().reshape(target.shape)
            first += count
        if first != header.frames:
            raise InputError(f"{path} changed while it was read; try again")
    return frames


def _open(path: Path) -> tifffile.TiffFile:
    # OME-XML may refer to other files of a set; only the frames of this file are wanted
    return tifffile.TiffFile(path, is_ome=False)


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]}×{shape[1]}"


def _series_shape(path: Path, series: tifffile.TiffPageSeries) -> tuple[int, tuple[int, int], DType]:
    """Return the number of frames in a series, their shape and their type."""
    if series.dtype is None:
        raise InputError(f"{path} holds values of a type that cannot be read; save them as integers or real numbers")
    # programs save a stack of three or four frames as planes of 'samples'
    axes = [(axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if axis in "YX" or size != 1]
    letters = "".join(axis for axis, _ in axes)
    if letters.endswith("YXS"):
        raise InputError(f"{path} is a colour image; convert it to grey")
    if not letters.endswith("YX") or len(letters) > 3:
        sizes = " × ".join(f"{size} ({axis})" for axis, size in axes)
        raise InputError(f"{path} has the axes {sizes}; save a stack of frames with one axis before Y and X")
    height, width = axes[-2][1], axes[-1][1]
    frames = axes[0][1] if len(axes) == 3 else 1
    if min(frames, height, width) < 1:
        raise InputError(f"{path} announces frames without pixels ({_size((height, width))}); save it again")
    return frames, (height, width), np.dtype(series.dtype)


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


def pixel_size(tif: tifffile.TiffFile) -> float | None:
    """Return the size of square pixels in micrometres from the metadata; None if missing, implausible or not square."""
    y, x = pixel_sizes(tif) or (math.nan, math.nan)
    return x if abs(x - y) <= 1e-3 * x else None


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
