"""Named arrays as OME-TIFF with physical sizes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import uuid
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_diner.errors import InputError, OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.header import decoding
from napari_diner.io.tiff_series import series_of, stored_axes

NAMESPACE = "napari-diner"
"""Namespace of the annotation for metadata outside the OME model."""


def write_array(path: str | Path, array: NamedArray) -> None:
    """Write an array as an uncompressed OME-TIFF file.

    Spacings along X, Y and Z become physical sizes in µm; ``"S"``, if it is the last axis, are colours. OME has no axis
    of recorded frames: ``"N"`` is stored as ``"T"``, since the frames were recorded one after the other, and not as
    ``"Z"``, which would give them a spacing and make viewers show a volume. Axes, unit and name are annotated so that
    `read_array` can restore them.

    Parameters
    ----------
    path
        The file to write.
    array
        Integers or floating-point numbers of at most 32 bits; float16 and booleans, which OME lacks, are widened.

    Raises
    ------
    OutputError
        If OME-TIFF does not support the axes or the type.
    OSError
        If the file cannot be written.
    """
    axes = _stored(array.axes)
    coloured = axes.endswith("S")
    ordered = axes.removesuffix("S").endswith("YX") and "S" not in axes[:-1]
    if set(axes) - set("TZCYXS") or len(set(axes)) != len(axes) or not ordered:
        raise OutputError(
            f"OME-TIFF does not support the axes {array.axes!r} of {array.name}; reorder them to end in YX or YXS"
        )
    data = array.data
    if coloured and data.shape[-1] == 1:
        # a single colour is grey; TIFF has no axis of one sample
        data, axes, coloured = data[..., 0], axes[:-1], False
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
    elif data.dtype == np.float16:
        data = data.astype(np.float32)
    if data.dtype.kind not in "uif" or (data.dtype.kind in "ui" and data.dtype.itemsize > 4):
        raise OutputError(f"OME-TIFF does not support the type {data.dtype} of {array.name}; convert it to float32")
    digest = hashlib.sha256(np.ascontiguousarray(data).data).hexdigest()
    metadata: dict[str, object] = {
        "axes": axes,
        # the same bytes for the same values: the default identifier is random
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{NAMESPACE} {array.name} {digest}")),
        "Name": array.name,
        "Description": f"{array.name} in {array.unit}" if array.unit != "1" else array.name,
        "MapAnnotation": {
            "Namespace": NAMESPACE,
            "name": array.name,
            "axes": array.axes,
            "scale_um": json.dumps(array.scale_um),
            "unit": array.unit,
        },
    }
    if "C" not in axes and not coloured:
        metadata["Channel"] = {"Name": array.name}
    for axis, spacing in zip(array.axes, array.scale_um, strict=True):
        if axis in "ZYX":
            metadata[f"PhysicalSize{axis}"] = spacing
            metadata[f"PhysicalSize{axis}Unit"] = "µm"
    try:
        tifffile.imwrite(
            path,
            data,
            ome=True,
            photometric="rgb" if coloured and data.shape[-1] in (3, 4) else "minisblack",
            planarconfig="contig" if coloured else None,
            metadata=metadata,
        )
    except OSError as error:
        # NumPy gives no reason if fewer bytes are written than requested
        number = errno.ENOSPC if error.errno is None else error.errno
        raise OSError(number, os.strerror(number), str(path)) from None


def read_array(path: str | Path) -> NamedArray:
    """Read an array written by `write_array`, with its name, axes, spacing and unit.

    Raises
    ------
    InputError
        If the file cannot be read or was not written by `write_array`.
    """
    path = Path(path)
    with decoding(path), tifffile.TiffFile(path) as tif:
        notes = _notes(tif.ome_metadata or "")
        if notes is None:
            raise InputError(f"{path} was not written by napari-diner; open it as an ordinary image")
        axes = notes["axes"]
        series = series_of(tif)[0]
        lengths = dict(stored_axes(series))
        data = series.asarray().reshape([lengths.get(axis, 1) for axis in _stored(axes)])
        return NamedArray(notes["name"], data, axes, tuple(json.loads(notes["scale_um"])), notes["unit"])


def _notes(xml: str) -> dict[str, str] | None:
    """Return the entries of our annotation in an OME-XML text, or None if there is none."""
    if not xml:
        return None
    for annotation in ElementTree.fromstring(xml).iterfind(".//{*}MapAnnotation"):
        if annotation.get("Namespace") == NAMESPACE:
            return {entry.get("K", ""): entry.text or "" for entry in annotation.iterfind(".//{*}M")}
    return None


def _stored(axes: str) -> str:
    """Return the letters of axes in OME, which has none for frames: they become times, or slices within times."""
    return axes.replace("N", "Z" if "T" in axes else "T")
