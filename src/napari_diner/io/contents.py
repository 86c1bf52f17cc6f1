"""The files of results and samples: images, texts and models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import NamedArray
from napari_diner.io.folder import WEIGHTS
from napari_diner.io.ometiff import read_array, write_array

ImageFormat = Literal["ome-tiff", "ome-zarr", "ome-zarr-0.4"]
"""Format of images: OME-TIFF, or OME-Zarr of version 0.5 or 0.4."""
_ZARR = ".ome.zarr"


def image_name(name: str, image_format: ImageFormat) -> str:
    """Return the name of the file or folder for an array."""
    return f"{name}.tif" if image_format == "ome-tiff" else f"{name}{_ZARR}"


def is_image(name: str) -> bool:
    """Return whether a file or folder of a result holds an array."""
    return name.endswith((".tif", _ZARR))


def read_image_file(path: Path) -> NamedArray:
    """Read an array from its file or folder; see `read_array` and `StoredImage`."""
    if path.suffix != ".zarr":
        return read_array(path)
    from napari_diner.io.ome_zarr_writing import StoredImage

    return StoredImage.open(path).read()


def write_contents(
    folder: Path,
    arrays: Iterable[NamedArray],
    files: Mapping[str, str],
    *,
    weights: Mapping[str, npt.NDArray[np.generic]] | None = None,
    metadata: Mapping[str, str] | None = None,
    image_format: ImageFormat = "ome-tiff",
    origin: Mapping[str, object] | None = None,
) -> None:
    """Write results into an existing folder, such as a `staged` one.

    Parameters
    ----------
    folder
        The folder.
    arrays
        Each is written to a file or folder of its own, see `image_name`.
    files
        Text files by name.
    weights
        Parameters by name for ``model.safetensors``, which is not written if there are none.
    metadata
        Header of ``model.safetensors``.
    image_format
        Format of the images.
    origin
        Metadata of images in OME-Zarr, see `napari_diner.io.ome_zarr_writing.write_zarr`.
    """
    for array in arrays:
        place = folder / image_name(array.name, image_format)
        if image_format == "ome-tiff":
            write_array(place, array)
        else:
            from napari_diner.io.ome_zarr_writing import write_zarr

            write_zarr(place, array, "0.4" if image_format == "ome-zarr-0.4" else "0.5", origin)
    for name, text in files.items():
        # names of frames may have bytes that are not UTF-8
        (folder / name).write_text(text, encoding="utf-8", errors="replace")
    if weights:
        from napari_diner.io.weights import write_weights

        write_weights(folder / WEIGHTS, weights, metadata or {})
