"""Conversion of arguments of the Python functions: arrays of other libraries, and arrays among the settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from napari_diner.errors import InputError, one_line
from napari_diner.io.arrays import Array
from napari_diner.io.units import micrometres
from napari_diner.settings import Values
from napari_diner.tasks.sample import SampleData
from napari_diner.tasks.task import Frames

# shapes of an entry of settings that are lists of displacements, or of directions with or without a brightness
_ROWS = ((2,), (3,))
Data = Any
"""Data of a task: a path or glob, an array, `Frames`, or an ``xarray.DataArray``."""


def as_frames(data: Data) -> Frames:
    """Return data of any accepted kind as `Frames`.

    Raises
    ------
    InputError
        If an array has masked values, or there is no array.
    """
    if isinstance(data, Frames):
        return data
    _check_unmasked(data, "The array")
    if isinstance(data, SampleData):
        return Frames(data.data.data, data.data.axes, data.data.scale_um)
    if hasattr(data, "dims") and hasattr(data, "coords"):  # an xarray.DataArray
        axes = "".join(str(dim)[0].upper() for dim in data.dims)
        return Frames(data.data, axes, tuple(_spacing(data, dim) for dim in data.dims))
    return Frames(data if _is_lazy(data) else _in_memory(data))


def _is_lazy(data: Any) -> bool:
    """Return whether data have a shape and a type of NumPy, so that they need not be read yet."""
    try:
        np.dtype(data.dtype)
    except (AttributeError, TypeError):
        return False
    return True


def _in_memory(data: Any) -> Array:
    """Return lists of arrays, and arrays of libraries with types of their own such as torch, as one array.

    Raises
    ------
    InputError
        If that is impossible, or they are names of files.
    """
    try:
        array = np.asarray(data)
    except ValueError:
        raise InputError("The data cannot be read as one array; give frames of one size") from None
    except (TypeError, RuntimeError) as error:  # such as on a graphics card
        raise InputError(
            f"The data cannot be read as an array ({one_line(str(error))}); give an array of NumPy"
        ) from None
    if array.dtype.kind in "US" and array.ndim == 1 and array.size:
        raise InputError(
            "The data are a list of texts; to read files, name a folder or a pattern of them, such as frames/*.tif"
        )
    return array


def _spacing(data: Any, dim: str) -> float:
    """Return the distance between the coordinates of an axis of a DataArray in micrometres.

    Coordinates without a unit are in micrometres; 1.0 where there are none, or none that are lengths.
    """
    if dim not in data.coords or len(data.coords[dim]) < 2:
        return 1.0
    unit = str(data.coords[dim].attrs.get("units", ""))
    size = micrometres(unit) if unit else 1.0
    return 1.0 if size is None else size * float(np.diff(np.asarray(data.coords[dim], dtype=float)).mean())


def _check_unmasked(array: object, name: str) -> None:
    """Check that no value of an array is masked in the sense of NumPy, since only its number would be used.

    Raises
    ------
    InputError
        If one is.
    """
    masked = int(np.ma.getmaskarray(array).sum()) if isinstance(array, np.ma.MaskedArray) else 0
    if masked:
        values = "value, whose number" if masked == 1 else "values, whose numbers"
        raise InputError(
            f"{name} has {masked:,} masked {values} would count as recorded; give array.data, and ~array.mask as the "
            "mask of a lensless recording, or array.filled(…)"
        )


def without_images(settings: Mapping[str, object], files: Collection[str], prefix: str = "") -> tuple[Values, Values]:
    """Return settings without the arrays that replace files, and these arrays by their keys.

    Parameters
    ----------
    settings
        The settings of a call.
    files
        Keys of the settings that can be images; others take arrays of pairs, as of displacements, as lists.
    prefix
        Key of the section of these settings, with a dot behind it.

    Raises
    ------
    InputError
        If an array has masked values.
    """
    values: Values = {}
    arrays: Values = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            values[key], inner = without_images(value, files, f"{prefix}{key}.")
            arrays |= inner
        elif not isinstance(value, str | bytes) and getattr(value, "ndim", 0) >= 2:
            _check_unmasked(value, f"The array {prefix}{key}")
            array = np.asarray(value)
            if prefix + key not in files and array.shape[1:] in _ROWS:
                values[key] = array.tolist()
            else:
                arrays[prefix + key] = array
        else:
            values[key] = value
    return values, arrays
