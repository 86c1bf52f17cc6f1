"""Arrays with labelled axes and units, as in xarray, which is optional and imported when needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from napari_diner.errors import DinerError
from napari_diner.io.arrays import NamedArray

if TYPE_CHECKING:
    import xarray

_LENGTHS = "ZYX"


def dataset(arrays: Iterable[NamedArray]) -> xarray.Dataset:
    """Return arrays as one dataset: dimensions by the letters of the axes in lower case, coordinates in micrometres.

    An axis with the same letter but other coordinates than in another array is named after its array, e.g.
    ``y_residual``.

    Raises
    ------
    DinerError
        If xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise DinerError("Labelled arrays need xarray; pip install 'napari-diner[xarray]'") from None
    coordinates: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    variables = {}
    for array in arrays:
        dims = []
        for letter, size, spacing in zip(array.axes, array.data.shape, array.scale_um, strict=True):
            values, name = np.arange(size) * spacing, letter.lower()
            if name in coordinates and not np.array_equal(coordinates[name], values):
                name = f"{name}_{array.name}"
            coordinates[name] = values
            dims.append(name)
        variables[array.name] = xarray.Variable(dims, array.data, {"units": array.unit})
    coords = {
        name: xarray.Variable(name, values, {"units": "µm"} if name[0].upper() in _LENGTHS else {})
        for name, values in coordinates.items()
    }
    return xarray.Dataset(variables, coords)
