"""Reading TIFF files: axes, sizes and spacings from the headers, values on request."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.deflate import check_deflated
from napari_diner.io.header import UNNAMED, Header, check_expansion, decoding
from napari_diner.io.packing import Packing, missing_values
from napari_diner.io.tiff_meaning import Meaning, meaning
from napari_diner.io.tiff_series import series_of, stored_axes
from napari_diner.io.tiff_structure import check_structure
from napari_diner.io.units import micrometres

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_COLOURED = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
"""Photometric interpretations of samples as red, green, blue, and possibly opacity."""

_JPEG = (6, 7)
"""Compressions as JPEG, which loses detail; others may be without loss."""

_PIXEL_AXES = "YXS"
_GDAL_NODATA = 42113
"""Tag with the value of missing data, as text."""

DPI_OF_PRINTERS = (72, 96, 100, 120, 144, 150, 200, 240, 254, 300, 360, 400, 600, 720, 1200, 2400, 4800)
"""Resolutions that programs write by default."""
_RESOLUTION_UNITS_UM = {2: 25400.0, 3: 1e4, 4: 1e3, 5: 1.0}
"""Micrometres in an inch, and in the units of centimetres, millimetres and micrometres used by some programs."""


def probe_tiff(path: Path, name: str = "") -> Header:
    """Read the shape, axes, type and spacing of the array in a TIFF file from its headers.

    Pages written one after the other form an unnamed axis, and the images of an OME file positions,
    ``P``.

    Raises
    ------
    InputError
        If the file is damaged or truncated, or its images differ in shape or type.
    """
    if name:
        raise InputError(f"{path} is a TIFF file, whose images have no names; leave out ::{quoted(name)}")
    with decoding(path), _open(path) as tif:
        if not series_of(tif):
            raise InputError(f"{path} holds no image; choose another file")
        check_length(path, tif)
        named, meanings = _together(path, tif)
        pixel, step = pixel_sizes(tif), z_step(tif)
        if pixel is not None and meanings[0].is_transposed:
            pixel = pixel[::-1]
        scale = {} if pixel is None else dict(zip("YX", pixel, strict=True))
        scale |= {} if step is None else {"Z": step}
        shape, packed = tuple(size for _, size in named), _packing(tif, meanings)
        notes = dict.fromkeys([*(note for part in meanings for note in part.notes), *packed.notes])
        if any(series.keyframe.compression in _JPEG for series in _images(tif)):
            notes["its images are compressed as JPEG, which does not keep the exact numbers"] = None
        if _is_one_of_several(tif):
            notes["its OME-XML describes planes of other files; pages are read in the order of each file"] = None
        extra = len(tif.pages) - sum(len(series) for series in series_of(tif))
        if tif.is_ome and extra > 0:
            notes[f"{extra} of its pages are left out, as its OME-XML does not describe them"] = None
        axes, dtype = "".join(letter for letter, _ in named), packed.dtype(meanings[0].dtype)
        header = Header(shape, dtype, axes, scale, tuple(notes), packed.declared)
        check_expansion(path, header.nbytes, path.stat().st_size)
        return header


def read_tiff(path: Path, name: str, index: Index) -> Array:
    """Return part of the array in a TIFF file, in the stored order; see `Format`."""
    with decoding(path), _open(path) as tif:
        named, meanings = _together(path, tif)
        packed = _packing(tif, meanings)
        for series in _images(tif):
            check_deflated(path, tif, series)
        parts = [
            part.arranged(_samples(series).reshape(part.shape))
            for series, part in zip(_images(tif), meanings, strict=True)
        ]
        if len(parts) == 1:
            return packed.values(meanings[0].values(parts[0][index]))
        frame = [size for _, size in _of_pixels(named)]
        values = np.concatenate(
            [part.values(samples).reshape(-1, *frame) for samples, part in zip(parts, meanings, strict=True)]
        )
        # pages of different types form different series, even if they alternate
        places = [page.index for series in _images(tif) for page in series.pages if page is not None]
        if not tif.is_ome and len(places) == len(values):
            values = values[np.argsort(places)]
        return packed.values(values.reshape([size for _, size in named])[index])


def _packing(tif: tifffile.TiffFile, meanings: list[Meaning]) -> Packing:
    """Return the conversion of missing values, which the tag of GDAL declares; none of values that are converted."""
    text, stored = tif.pages.first.tags.valueof(_GDAL_NODATA), meanings[0].stored
    if not isinstance(text, str) or stored.kind not in "uif" or any(part.converts for part in meanings):
        return Packing()
    with contextlib.suppress(ValueError):
        return Packing(missing=missing_values({"the tag GDAL_NODATA": float(text)}, stored))
    return Packing()


def _samples(series: tifffile.TiffPageSeries) -> Array:
    # contiguous data can be read in part
    samples: Array = series.asarray(out="memmap" if series.dataoffset is not None else None)
    return samples


def _images(tif: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the series of pages that are images, without thumbnails and masks of opacity."""
    images = [series for series in series_of(tif) if not series.keyframe.is_reduced and not series.keyframe.is_mask]
    return images or list(series_of(tif))


def _open(path: Path) -> tifffile.TiffFile:
    check_structure(path)
    # OME-XML may refer to other files of a set; only the values of this file are read
    return tifffile.TiffFile(path, _multifile=False)


def _together(path: Path, tif: tifffile.TiffFile) -> tuple[list[tuple[str, int]], list[Meaning]]:
    """Return the letter and the size of each axis of all series together, and the meaning of the samples of each."""
    images = _images(tif)
    meanings = [meaning(path, tif, series, _stored_axes(path, series)) for series in images]
    first = meanings[0].named
    before = 0
    for part in meanings[1:]:
        before += math.prod(size for axis, size in first if axis not in _PIXEL_AXES)
        if part.dtype != meanings[0].dtype:
            raise InputError(
                f"the frames of {path} differ in type ({meanings[0].dtype}, {part.dtype}); save them alike"
            )
        if _of_pixels(part.named) != _of_pixels(first) or (tif.is_ome and part.named != first):
            sizes = ["×".join(str(size) for _, size in each if size > 1) for each in (first, part.named)]
            raise InputError(
                f"frame 1 of {path} has {sizes[0]} pixels but frame {before + 1} has {sizes[1]}; crop the frames to "
                "one size, or save the one you want as a file of its own"
            )
    if len(images) == 1:
        return first, meanings
    if tif.is_ome:
        return [("P", len(images)), *first], meanings
    frames = sum(math.prod(size for axis, size in part.named if axis not in _PIXEL_AXES) for part in meanings)
    return [(UNNAMED, frames), *_of_pixels(first)], meanings


def _of_pixels(named: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(axis, size) for axis, size in named if axis in _PIXEL_AXES]


def _stored_axes(path: Path, series: tifffile.TiffPageSeries) -> list[tuple[str, int]]:
    """Return the letter and the size of each stored axis of a series."""
    if series.dtype is None:
        raise InputError(f"{path} holds values of a type that cannot be read; save them as integers or real numbers")
    named = stored_axes(series)
    coloured = series.keyframe.photometric in _COLOURED and dict(named).get("S") in (3, 4)
    if not coloured:
        # samples that are not colours are channels
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
    """Check that the file is as long as announced by its headers, and that the chain of its pages ends."""
    pages, file = tif.pages, tif.filehandle
    len(pages)  # follows the chain
    whole = pages.next_page_offset is not None
    if pages.next_page_offset is not None:
        file.seek(pages.next_page_offset)
        whole = file.read(tif.tiff.offsetsize) == bytes(tif.tiff.offsetsize)
    for series in series_of(tif):
        if series.dataoffset is not None:
            whole = whole and series.dataoffset + series.nbytes <= file.size
            continue
        missing = sum(page is None for page in series.pages)
        if missing:
            raise InputError(
                f"{path} holds {len(series) - missing} of the {len(series)} planes that its OME-XML announces; save it "
                "again with all planes"
            )
        for page in series.pages:
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
    unit_um = _RESOLUTION_UNITS_UM.get(page.tags.valueof("ResolutionUnit"))
    if unit_um is None:
        return None
    per_inch = (y * 25400 / unit_um, x * 25400 / unit_um)
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


def _is_one_of_several(tif: tifffile.TiffFile) -> bool:
    """Return whether the OME-XML text of a file describes planes in other files."""
    # tifffile then ignores the text
    return "<UUID" in (tif.ome_metadata or "") and not any(series.kind == "ome" for series in series_of(tif))


def ome_pixel_sizes(xml: str) -> tuple[float, float] | None:
    """Return PhysicalSizeY and PhysicalSizeX of the first image of an OME-XML text in micrometres.

    None if there is no PhysicalSizeX, or one of them is not positive; without a PhysicalSizeY pixels are square.
    """
    y, x = _ome_length(xml, "YX"), _ome_length(xml, "X")
    return None if x is None or y is None else (y, x)


def _ome_length(xml: str, axes: str) -> float | None:
    """Return the PhysicalSize, in micrometres, along the first of some axes that has one in an OME-XML text."""
    sizes = _ome_attributes(xml)
    axis = next((axis for axis in axes if f"PhysicalSize{axis}" in sizes), None)
    if axis is None:
        return None
    return _length(sizes[f"PhysicalSize{axis}"], sizes.get(f"PhysicalSize{axis}Unit", "µm"))


@functools.lru_cache(maxsize=1)  # each length is asked for by itself, and texts may be long
def _ome_attributes(xml: str) -> Mapping[str, str]:
    """Return the attributes of the first image of an OME-XML text; none if it is damaged."""
    try:
        pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    except ElementTree.ParseError:
        return {}
    return {} if pixels is None else dict(pixels.attrib)


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
