"""From named arrays to napari layers: colours, contrast, scale, units."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import napari
import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.run import Result
from napari_diner.widgets.forms.layer_choice import METADATA_KEY

SAMPLE_PIXELS = 250_000
"""Pixels from which contrast limits are estimated; a preview must not cost more than a glance."""


Arguments = Callable[[NamedArray], dict[str, Any]]
"""Gives the arguments of `napari.layers.Image` for an array, its data included."""


@dataclass(frozen=True)
class Look:
    """How a quantity is shown.

    Parameters
    ----------
    colormap
        Name of napari's or matplotlib's colour map.
    centred
        Whether the contrast is symmetric about zero.
    ceiling
        Largest contrast limit, e.g. π for wrapped phase.
    """

    colormap: str
    centred: bool = False
    ceiling: float = float("inf")


LOOKS = {
    "amplitude": Look("gray"),
    "phase": Look("twilight_shifted", centred=True, ceiling=np.pi),
    "residual": Look("RdBu_r", centred=True),
}


def contrast_limits(data: npt.NDArray[Any], look: Look) -> tuple[float, float]:
    """Return contrast limits that leave out the most extreme thousandth of the values."""
    stride = max(1, round((data.size / SAMPLE_PIXELS) ** 0.5))
    values = data[..., ::stride, ::stride]
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    if look.centred:
        reach = float(np.percentile(np.abs(values), 99.9))
        # wrapped values that nearly fill the circle are shown on the whole circle, so that no jump appears in colour
        reach = look.ceiling if reach > 0.9 * look.ceiling else reach
        reach = max(reach, 1e-6)
        return -reach, reach
    low, high = (float(limit) for limit in np.percentile(values, (0.1, 99.9)))
    return low, max(high, low + 1e-6)


def layer_arguments(array: NamedArray) -> dict[str, Any]:
    """Return the arguments of `napari.layers.Image` for an array, its data included."""
    rgb = array.axes.endswith("S")
    letters = array.axes.removesuffix("S")
    # integers stay as they are; napari shows no long floats
    dtype = array.data.dtype if array.data.dtype.kind in "ui" else np.float32
    data = np.ascontiguousarray(array.data, dtype=dtype)
    arguments = {
        "data": data,
        "name": array.name,
        "rgb": rgb,
        "scale": array.scale_um[: len(letters)],
        "units": units_of(letters),
        "axis_labels": axis_labels(letters),
    }
    if not rgb:
        look = LOOKS.get(array.name, Look("gray"))
        arguments |= {"colormap": look.colormap, "contrast_limits": contrast_limits(data, look)}
    return arguments


def units_of(axes: str) -> tuple[str, ...]:
    """Return the units of axes: micrometres, or pixels where an axis counts frames, channels or moments."""
    return tuple("um" if axis in "ZYX" else "pixel" for axis in axes)


def axis_labels(axes: str) -> tuple[str, ...]:
    """Return the names that the viewer shows for axes, e.g. beside its sliders."""
    return tuple("frame" if axis == "N" else axis.lower() for axis in axes)


class ResultLayers:
    """The layers of one run: previews while it goes on, then the results in their place.

    Parameters
    ----------
    viewer
        The viewer that shows them.
    """

    def __init__(self, viewer: napari.components.ViewerModel) -> None:
        self._viewer = viewer
        self.arguments: Arguments = layer_arguments
        """Gives the arguments of the layer for an array; a task may put its own here."""
        self._previews: dict[str, Image] = {}
        self._declined: set[str] = set()

    def preview(self, arrays: Iterable[NamedArray]) -> None:
        """Show images of the present estimate; a preview that the user has removed stays away."""
        for array in arrays:
            layer = self._previews.get(array.name)
            if layer is None and array.name not in self._declined:
                arguments = self.arguments(array)
                arguments |= {"name": f"{array.name} (preview)", "metadata": {METADATA_KEY: {"shown_only": True}}}
                layer = Image(**arguments)
                self._viewer.add_layer(layer)
                self._previews[array.name] = layer
            elif layer is not None and layer in self._viewer.layers:
                update_layer(layer, self.arguments(array))
            else:
                self._previews.pop(array.name, None)
                self._declined.add(array.name)

    def finish(self, result: Result) -> list[Image]:
        """Show a result: previews turn into it, arrays that had none get new layers."""
        layers = []
        shown = self._previews
        self.forget()
        for array in result.arrays:
            layer = shown.get(array.name)
            arguments = self.arguments(array)
            if layer is not None and layer in self._viewer.layers and layer.rgb == arguments["rgb"]:
                update_layer(layer, arguments)
                layer.name = array.name
            else:
                if layer is not None and layer in self._viewer.layers:
                    # a layer in grey can take no colours on
                    self._viewer.layers.remove(layer)
                layer = Image(**arguments)
                self._viewer.add_layer(layer)
            layer.metadata = {
                "recipe": result.recipe.model_dump(mode="json"),
                "report": dict(result.report),
                "unit": array.unit,
            }
            layers.append(layer)
        # the viewer draws the last layer over the others: images over stacks, and the phase, the last image, over all
        for layer in sorted(layers, key=lambda layer: -layer.ndim):
            self._viewer.layers.move(self._viewer.layers.index(layer), len(self._viewer.layers))
        if layers:
            self._viewer.layers.selection.active = self._viewer.layers[-1]
        return layers

    def discard(self) -> None:
        """Remove the previews of a run that gave no result."""
        for layer in self._previews.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self.forget()

    def forget(self) -> None:
        """Start anew: what is shown now stays as it is."""
        self._previews = {}
        self._declined = set()


def update_layer(layer: Image, arguments: dict[str, Any]) -> None:
    """Show another array in a layer."""
    layer.data = arguments["data"]
    layer.scale = arguments["scale"]
    if "translate" in arguments:
        layer.translate = arguments["translate"]
    if not layer.rgb:
        # napari keeps the contrast limits of the data before
        layer.contrast_limits_range = arguments["contrast_limits"]
        layer.contrast_limits = arguments["contrast_limits"]


def show(result: Result) -> None:
    """Open a viewer with the layers of a result, and return when it is closed."""
    viewer = napari.Viewer(title=f"napari-diner: {result.task}")
    ResultLayers(viewer).finish(result)
    napari.run()
