"""Saving image layers as OME-TIFF with their physical size, which napari's own writer leaves out."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from napari.layers import Image

from napari_diner.errors import OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.folder import replaced
from napari_diner.io.ometiff import write_array
from napari_diner.widgets.layers.layer_axes import named_axes, scale_um_of
from napari_diner.widgets.layers.layer_units import spacing_um

USUAL_AXES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}
"""Axes of layers without axis names."""


def write_ome_tiff(path: str, data: object, attributes: Mapping[str, object]) -> list[str]:
    """Write one image layer.

    Parameters
    ----------
    path
        The file to write.
    data
        The layer's array.
    attributes
        The layer's other properties, as passed by napari.

    Raises
    ------
    OutputError
        If the layer has several resolutions or more than five axes, OME-TIFF cannot store its values, or the file
        cannot be written.
    """
    layer = Image(data, **attributes)
    if layer.multiscale:
        raise OutputError("A layer of several resolutions cannot be saved as OME-TIFF; save one of them")
    if layer.ndim not in USUAL_AXES:
        raise OutputError(f"The layer has {layer.ndim} axes; at most five can be saved as OME-TIFF, so save a part")
    axes = named_axes(layer)
    if not axes:
        # a first axis that is not a length counts frames
        frames = layer.ndim == 3 and spacing_um(layer.scale[0], layer.units[0]) is None
        axes = ("NYX" if frames else USUAL_AXES[layer.ndim]) + "S" * layer.rgb
    unit = str(layer.metadata.get("unit", "1"))
    name = str(attributes.get("name") or Path(path).stem)
    array = NamedArray(name, np.asarray(layer.data), axes, scale_um_of(layer, axes), unit)
    # an older file stays complete until then; it may even be the one that the layer is read from
    replaced(Path(path), functools.partial(write_array, array=array))
    return [path]
