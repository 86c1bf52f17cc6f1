"""Saving image layers as OME-TIFF with their physical size, which napari's own writer leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.errors import OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.ometiff import write_array
from napari_diner.tasks.fit.recipe import check_axes
from napari_diner.widgets.layers.layer_axes import letters_of
from napari_diner.widgets.layers.layer_units import spacing_um

USUAL_AXES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}
"""Axes of layers that do not name theirs."""


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
        If the layer has several resolutions or more than five axes, or its values have no place in the file.
    """
    if attributes.get("multiscale"):
        raise OutputError("A layer of several resolutions cannot be saved as OME-TIFF; save one of them")
    array = np.asarray(data)
    rgb = bool(attributes.get("rgb"))
    dimensions = array.ndim - rgb
    if dimensions not in USUAL_AXES:
        raise OutputError(f"The layer has {dimensions} axes; at most five can be saved as OME-TIFF, so save a part")
    scale, units = attributes.get("scale", (1.0,) * dimensions), attributes.get("units")
    spacings = [spacing_um(scale[axis], units[axis] if units is not None else None) for axis in range(dimensions)]
    axes = letters_of(attributes.get("axis_labels") or ())
    try:
        check_axes(axes)
    except ValueError:
        axes = ""
    if len(axes) != dimensions:
        axes = USUAL_AXES[dimensions]
        # a first axis that is no length counts frames
        if dimensions == 3 and spacings[0] is None:
            axes = "NYX"
    scale_um = tuple(
        spacing if spacing is not None and axis in "ZYX" else 1.0 for spacing, axis in zip(spacings, axes, strict=True)
    )
    metadata = attributes.get("metadata", {})
    write_array(
        path,
        NamedArray(
            name=str(attributes.get("name") or Path(path).stem),
            data=array,
            axes=axes + "S" * rgb,
            scale_um=scale_um + (1.0,) * rgb,
            unit=str(metadata.get("unit", "1")),
        ),
    )
    return [path]
