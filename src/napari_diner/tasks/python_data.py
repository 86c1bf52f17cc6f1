"""Conversion of arguments of the Python functions: arrays of other libraries, and arrays among the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_diner.settings import Values
from napari_diner.tasks.sample import SampleData
from napari_diner.tasks.task import Frames

Data = Any
"""Data of a task: a path or glob, an array, `Frames`, or an ``xarray.DataArray``."""


def as_frames(data: Data) -> Frames:
    """Return data of any accepted kind as `Frames`."""
    if isinstance(data, Frames):
        return data
    if isinstance(data, SampleData):
        return Frames(data.data.data, data.data.axes, data.data.scale_um)
    if hasattr(data, "dims") and hasattr(data, "coords"):  # an xarray.DataArray
        axes = "".join(str(dim)[0].upper() for dim in data.dims)
        return Frames(data.data, axes, tuple(_spacing(data, dim) for dim in data.dims))
    return Frames(data if hasattr(data, "dtype") else np.asarray(data))


def _spacing(data: Any, dim: str) -> float:
    """Return the distance between the coordinates of an axis of a DataArray, 1.0 where there are none."""
    if dim not in data.coords or len(data.coords[dim]) < 2:
        return 1.0
    values = np.asarray(data.coords[dim], dtype=float)
    return float(np.diff(values).mean())


def without_images(settings: Mapping[str, object], prefix: str = "") -> tuple[Values, Values]:
    """Return settings without the arrays that replace files, and these arrays by their keys."""
    values: Values = {}
    arrays: Values = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            values[key], inner = without_images(value, f"{prefix}{key}.")
            arrays |= inner
        elif not isinstance(value, str | bytes) and getattr(value, "ndim", 0) >= 2:
            arrays[prefix + key] = np.asarray(value)
        else:
            values[key] = value
    return values, arrays
