"""Pixel sizes of layers in micrometres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image

from napari_diner.errors import DinerError, InputError
from napari_diner.io.stacks import probe

if TYPE_CHECKING:
    from pint import Unit


def spacing_um(scale: float, unit: Unit | None) -> float | None:
    """Return a spacing in micrometres, or None if its unit (of pint) is not a length, for instance a pixel."""
    if unit is None or not unit.is_compatible_with("micrometer"):
        return None
    return float((float(scale) * unit).to("micrometer").magnitude)


def layer_pixel_size_um(layer: Image) -> float | None:
    """Return the pixel size of an image layer: its own, or that of its file, or None if unknown.

    Raises
    ------
    InputError
        If the pixels are not square.
    """
    height, width = (spacing_um(layer.scale[axis], layer.units[axis]) for axis in (-2, -1))
    if width is not None and height is not None:
        if abs(height - width) > 1e-6 * width:
            raise InputError(
                f"The pixels of {layer.name} are not square ({height:g} × {width:g} µm); resample the layer first"
            )
        return width
    # napari's reader drops the physical size that the file may hold
    if layer.source.path:
        try:
            return probe(layer.source.path).pixel_size_um
        except DinerError:
            return None
    return None


def set_pixel_size_um(layer: Image, pixel_size_um: float) -> bool:
    """Give a layer that has no physical size a known one, so that results lie on top of it.

    Returns
    -------
    bool
        Whether the layer was changed.
    """
    if spacing_um(layer.scale[-1], layer.units[-1]) is not None:
        return False
    layer.units = (*layer.units[:-2], "um", "um")
    layer.scale = (*layer.scale[:-2], pixel_size_um, pixel_size_um)
    return True
