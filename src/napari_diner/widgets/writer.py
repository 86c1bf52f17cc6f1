"""Saving image layers as OME-TIFF with their physical size, which napari's own writer leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.errors import OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.ometiff import write_array
from napari_diner.widgets.lengths import spacing_um

AXES = {2: "YX", 3: "ZYX"}


def write_ome_tiff(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Write one image layer.

    Parameters
    ----------
    path
        The file to write.
    data
        The layer's array.
    attributes
        The layer's other properties, as napari hands them over.

    Raises
    ------
    OutputError
        If the layer has colours, several resolutions, or other than two or three axes.
    """
    if attributes.get("rgb") or attributes.get("multiscale"):
        raise OutputError("Only layers of one channel and one resolution can be saved as OME-TIFF with a physical size")
    array = np.asarray(data)
    if array.ndim not in AXES:
        raise OutputError(f"The layer has {array.ndim} axes; only images and stacks can be saved as OME-TIFF")
    scale, units = attributes.get("scale", (1.0,) * array.ndim), attributes.get("units")
    spacings = [spacing_um(scale[axis], units[axis] if units is not None else None) for axis in range(array.ndim)]
    axes = AXES[array.ndim]
    # a first axis that is no length counts frames
    if array.ndim == 3 and spacings[0] is None:
        axes = "NYX"
    metadata = attributes.get("metadata", {})
    write_array(
        path,
        NamedArray(
            name=str(attributes.get("name") or Path(path).stem),
            data=array,
            axes=axes,
            scale_um=tuple(1.0 if spacing is None else spacing for spacing in spacings),
            unit=str(metadata.get("unit", "1")),
        ),
    )
    return [path]
