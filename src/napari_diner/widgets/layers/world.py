"""The axes of a viewer's world, shared by all layers from the last axis on."""

from __future__ import annotations

import sys

from napari.components import ViewerModel
from napari.layers import Layer

from napari_diner.widgets.garbage import set_aside
from napari_diner.widgets.layers.layer_axes import LETTERS, name_axes
from napari_diner.widgets.layers.layer_units import factor_between, is_length


def add_layer(viewer: ViewerModel, layer: Layer) -> None:
    """Add a layer to a viewer after combining their units; see `combine_units`."""
    combine_units(viewer, layer)
    viewer.add_layer(layer)


def remove_layer(viewer: ViewerModel, layer: Layer) -> None:
    """Remove a layer from a viewer, without the search for garbage in the whole process with which napari ends this.

    It is of use with some drivers of Windows, where it is kept; elsewhere the garbage is found later.
    """
    if sys.platform == "win32":
        viewer.layers.remove(layer)
        return
    with set_aside():
        viewer.layers.remove(layer)


def refresh_status(viewer: ViewerModel) -> None:
    """Replace what the status bar says about a layer that no longer has that name or no longer exists.

    napari does so only when the mouse moves over the canvas.
    """
    status, active = viewer.status, viewer.layers.selection.active
    if isinstance(status, dict) and status.get("layer_name") not in [layer.name for layer in viewer.layers]:
        viewer.status = "Ready" if active is None else active.name


def combine_units(viewer: ViewerModel, *added: Layer) -> None:
    """Give all layers, and those about to be added, units of the same quantity along each axis before Y and X.

    napari aligns the axes of layers from the last one on, so that the slices of a volume share an axis with the frames
    of a stack; and it drops the units of all axes if those of one are of different quantities. Axes that only count
    have no unit of their own: it is the micrometre, one for each frame, where another layer has a depth, and the pixel
    where others count in pixels.
    """
    layers, names = [*viewer.layers, *added], viewer.dims.axis_labels
    for place in range(3, max((layer.ndim for layer in layers), default=0) + 1):
        sharing = [layer for layer in layers if layer.ndim >= place]
        if len({is_length(layer.units[-place]) for layer in sharing}) < 2:
            continue
        depth = any(is_length(layer.units[-place]) and not _counts(layer, place) for layer in sharing)
        for layer in sharing:
            if depth and str(layer.units[-place]) == "pixel":
                _set_unit(layer, place, "um")
            elif not depth and _counts(layer, place):
                _set_unit(layer, place, "pixel")
    if viewer.dims.axis_labels != names:
        fit_labels(viewer)


def fit_labels(viewer: ViewerModel) -> None:
    """Make room for the names of axes beside the sliders, which have the width of the names before: "f…"."""
    viewer.dims.events.order()


def _counts(layer: Layer, place: int) -> bool:
    """Return whether an axis has the name of one that counts frames, channels or points in time."""
    return LETTERS.get(str(layer.axis_labels[-place]).lower(), "Z") not in "ZYX"


def _set_unit(layer: Layer, place: int, unit: str) -> None:
    units = list(layer.units)
    units[-place] = unit
    layer.units = units
    # without a name, it would be taken for a depth from now on
    name_axes(layer, "N".ljust(place - 2, "?") + "YX")


def in_world(viewer: ViewerModel, layer: Layer) -> list[float]:
    """Return the unit of each axis of a layer in units of the viewer's world."""
    units = viewer.layers.extent.units
    if units is None:
        return [1.0] * layer.ndim
    # the world of the other layers may have fewer axes than a layer that is being removed
    theirs = (*layer.units[: max(layer.ndim - len(units), 0)], *units[-layer.ndim :])
    return [factor_between(our, their) for our, their in zip(layer.units, theirs, strict=True)]


def shown_place(viewer: ViewerModel, layer: Layer, axis: int = 0) -> int:
    """Return the position along an axis of a layer that the viewer shows, within the layer."""
    missing = max(layer.ndim - viewer.dims.ndim, 0)
    point = [0.0] * missing + [float(value) for value in viewer.dims.point[-layer.ndim :]]
    here = [value / factor for value, factor in zip(point, in_world(viewer, layer), strict=True)]
    place = round(float(layer.world_to_data(here)[axis]))
    return min(max(place, 0), int(layer.data.shape[axis]) - 1)
