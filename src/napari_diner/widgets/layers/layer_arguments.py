"""Arguments of napari layers for named arrays: colours, contrast, scale and units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_diner.io.arrays import NamedArray

SAMPLE_PIXELS = 250_000
"""Pixels from which contrast limits are estimated, so that a preview costs next to nothing."""

LayerArguments = dict[str, object]
"""Arguments of `napari.layers.Image`, its data included."""
MakeArguments = Callable[[NamedArray], LayerArguments]
"""Returns the arguments of the layer that shows an array."""


@dataclass(frozen=True)
class QuantityStyle:
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

    colormap: str = "gray"
    centred: bool = False
    ceiling: float = float("inf")


STYLES = {
    "phase": QuantityStyle("twilight_shifted", centred=True, ceiling=np.pi),
    "residual": QuantityStyle("RdBu_r", centred=True),
}
"""By the name of the array; all others are grey."""


def contrast_limits(data: npt.NDArray[np.generic], style: QuantityStyle) -> tuple[float, float]:
    """Return contrast limits that leave out the most extreme thousandth of the values."""
    stride = max(1, round((data.size / SAMPLE_PIXELS) ** 0.5))
    values = np.asarray(data[..., ::stride, ::stride], dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    if style.centred:
        reach = float(np.percentile(np.abs(values), 99.9))
        # wrapped values that nearly fill the circle are shown on the whole circle, so that no jump appears in colour
        reach = max(style.ceiling if reach > 0.9 * style.ceiling else reach, 1e-6)
        return -reach, reach
    low, high = (float(limit) for limit in np.percentile(values, (0.1, 99.9)))
    return low, max(high, low + 1e-6)


def layer_arguments(array: NamedArray) -> LayerArguments:
    """Return the arguments of `napari.layers.Image` for an array, its data included."""
    rgb = array.axes.endswith("S")
    letters = array.axes.removesuffix("S")
    # integers stay as they are; napari does not show float64
    dtype = array.data.dtype if array.data.dtype.kind in "ui" else np.float32
    data = np.ascontiguousarray(array.data, dtype=dtype)
    arguments: LayerArguments = {
        "data": data,
        "name": array.name,
        "rgb": rgb,
        "scale": array.scale_um[: len(letters)],
        "units": units_of(letters),
        "axis_labels": axis_labels(letters),
    }
    if not rgb:
        style = STYLES.get(array.name, QuantityStyle())
        arguments |= {"colormap": style.colormap, "contrast_limits": contrast_limits(data, style)}
    return arguments


def units_of(axes: str) -> tuple[str, ...]:
    """Return the units of axes: micrometres, or pixels where an axis counts frames, channels or time points."""
    return tuple("um" if axis in "ZYX" else "pixel" for axis in axes)


def axis_labels(axes: str) -> tuple[str, ...]:
    """Return the names that the viewer shows for axes, e.g. beside its sliders."""
    return tuple("frame" if axis == "N" else axis.lower() for axis in axes)


def update_layer(layer: Image, arguments: LayerArguments) -> None:
    """Show another array in a layer."""
    layer.data = arguments["data"]
    layer.scale = arguments["scale"]
    if "translate" in arguments:
        layer.translate = arguments["translate"]
    if not layer.rgb:
        # napari keeps the contrast limits of the previous data
        layer.contrast_limits_range = layer.contrast_limits = arguments["contrast_limits"]
