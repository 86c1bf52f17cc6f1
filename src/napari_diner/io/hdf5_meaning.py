"""Meaning of the axes of an array in HDF5: their names, and their spacings.

Spacings are those of ``element_size_um``, as written by ImageJ's plugin for HDF5 and other programs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_diner.io.header import named_axes

if TYPE_CHECKING:
    import h5py


def axis_letters(array: h5py.Dataset) -> str:
    """Return the letters of the axes by their labels (dimension scales), ``?`` for those without; empty if none has."""
    named = named_axes([str(dimension.label) for dimension in array.dims])
    return named if {"Y", "X"} <= set(named) else ""


def scale_um(array: h5py.Dataset) -> dict[str, float]:
    """Return the spacings in micrometres by the letters Z, Y and X, as far as the array has them."""
    sizes = np.atleast_1d(array.attrs.get("element_size_um", ()))
    if sizes.dtype.kind not in "uif" or sizes.size not in (2, 3):
        return {}
    letters = "ZYX"[-sizes.size :]
    found = zip(letters, sizes.ravel().astype(float).tolist(), strict=True)
    return {letter: size for letter, size in found if math.isfinite(size) and size > 0}
