"""Arguments of napari layers for named arrays: colours, contrast, scale and units."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_diner.io.arrays import Array, NamedArray
from napari_diner.widgets.layers.placement import PARTS, Placement

SAMPLE_PIXELS = 250_000
"""Pixels from which contrast limits are estimated, so that a preview costs next to nothing."""

LARGEST = 1e37
"""Largest absolute value that is shown; sums of larger ones overflow in 32 bits."""

_MANTISSAS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 7.5, 10.0)
"""Contrast limits about zero, times a power of ten: napari's colour bar has numbers beside the zero for all of them."""

Value = TypeVar("Value", bound=np.generic)

LayerArguments = dict[str, Any]
"""Arguments of `napari.layers.Image`, including the data."""
MakeArguments = Callable[[NamedArray], LayerArguments]
"""Returns the arguments of the layer that shows an array."""


@dataclass(frozen=True)
class QuantityStyle:
    """Appearance of a quantity."""

    colormap: str = "gray"
    """Name of napari's or matplotlib's colour map."""
    cyclic: str = ""
    """Name of the colour map if wrapped values fill the range up to the ceiling on both sides, where both ends are
    equal; empty for the same map.
    """
    centred: bool = False
    """Whether the contrast is symmetric about zero."""
    ceiling: float = float("inf")
    """Largest contrast limit, e.g. π for wrapped phase."""


STYLES = {
    "phase": QuantityStyle("RdBu_r", "twilight_shifted", centred=True, ceiling=np.pi),
    "residual": QuantityStyle("RdBu_r", centred=True),
}
"""Appearances by the name of the array; all others are grey."""


def contrast_limits(data: npt.NDArray[np.generic], style: QuantityStyle) -> tuple[float, float]:
    """Return contrast limits that exclude the most extreme thousandth of the values."""
    values = np.asarray(thinned(data), dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    if style.centred:
        reach = float(np.percentile(np.abs(values), 99.9))
        # wrapped values that nearly fill the circle are shown on the whole circle, so that colours do not jump
        reach = style.ceiling if reach > 0.9 * style.ceiling else min(rounded_up(max(reach, 1e-6)), style.ceiling)
        return drawable(-reach, reach)
    low, high = np.percentile(values, (0.1, 99.9))
    return drawable(float(low), float(high) if high > low else float(low) + 1e-6)


def rounded_up(reach: float) -> float:
    """Return the next round number, of which a colour bar shows more than the zero in the middle."""
    power = 10.0 ** math.floor(math.log10(reach))
    return next(mantissa for mantissa in _MANTISSAS if mantissa >= reach / power * (1 - 1e-9)) * power


def thinned(data: npt.NDArray[Value]) -> npt.NDArray[Value]:
    """Return a part of the pixels of images (…, Y, X), about `SAMPLE_PIXELS` of all."""
    stride = max(1, round((data.size / SAMPLE_PIXELS) ** 0.5))
    return data[..., ::stride, ::stride]


def drawable(low: float, high: float) -> tuple[float, float]:
    """Return contrast limits that are distinct and finite as 32-bit numbers of a graphics card."""
    low, high = (min(max(limit, -LARGEST), LARGEST) for limit in (low, high))
    return low, max(high, low + max(1e-6 * abs(low), 1e-30))


def layer_arguments(array: NamedArray) -> LayerArguments:
    """Return the arguments of `napari.layers.Image` for an array, including the data."""
    rgb = array.axes.endswith("S")
    letters = array.axes.removesuffix("S")
    data = shown(array.data)
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
        limits = contrast_limits(data, style)
        is_full = bool(style.cyclic) and limits[1] >= style.ceiling
        arguments |= {"colormap": style.cyclic if is_full else style.colormap, "contrast_limits": limits}
    return arguments


def shown(data: Array) -> Array:
    """Return values for display in napari: integers unchanged, real numbers with 32 bits, without overflow."""
    if data.dtype.kind in "ui":
        return np.ascontiguousarray(data)
    # the limits are too large for half precision
    wide = data.astype(np.float32) if data.dtype == np.float16 else data
    return np.ascontiguousarray(np.clip(wide, -LARGEST, LARGEST), dtype=np.float32)


def units_of(axes: str, unsized_um: tuple[float, ...] = ()) -> tuple[str, ...]:
    """Return the units of axes: micrometres, even if an axis counts frames, channels or time points.

    Data that may be a photograph, whose spacings `unsized_um` are all exactly one, are in pixels, as napari opens it.

    napari aligns the axes of all layers from the last one on, so that the frames of a stack share an axis with the
    slices of a volume, and drops the units of all layers if one of them has no length there.
    """
    unit = "pixel" if unsized_um and set(unsized_um) == {1.0} else "um"
    return (unit,) * len(axes)


def axis_labels(axes: str) -> tuple[str, ...]:
    """Return the labels of axes in the viewer, e.g. beside its sliders."""
    return tuple("frame" if axis == "N" else axis.lower() for axis in axes)


def update_layer(layer: Image, arguments: LayerArguments) -> None:
    """Replace the array in a layer."""
    layer.data = arguments["data"]
    place = Placement.of(layer).arguments()
    for part in PARTS:
        # napari draws the layer anew for each of them
        if part in arguments and not _equal(place[part], arguments[part]):
            setattr(layer, part, arguments[part])
    if not layer.rgb:
        # napari keeps the contrast limits of the previous data
        layer.contrast_limits_range = layer.contrast_limits = arguments["contrast_limits"]
        # keep a colour map that the user has chosen
        if any(layer.colormap.name in (style.colormap, style.cyclic) for style in STYLES.values() if style.cyclic):
            layer.colormap = arguments["colormap"]


def _equal(first: Any, second: Any) -> bool:
    """Return whether parts of a placement are the same: numbers, or names of units and axes."""
    one, other = np.asarray(first), np.asarray(second)
    if one.dtype.kind not in "fi" or other.dtype.kind not in "fi":
        one, other = one.astype(str), other.astype(str)
    return np.array_equal(one, other)
