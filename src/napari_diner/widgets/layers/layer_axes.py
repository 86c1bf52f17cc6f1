"""What the axes of a layer are: told by the layer or its file, or guessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from napari.layers import Image

from napari_diner.errors import DinerError
from napari_diner.io.signals import SignalInfo, probe_signal
from napari_diner.tasks.fit.recipe import check_axes
from napari_diner.widgets.forms.layer_choice import known_about, source_of
from napari_diner.widgets.layers.layer_units import spacing_um

LETTERS = {
    "t": "T",
    "time": "T",
    "c": "C",
    "ch": "C",
    "channel": "C",
    "channels": "C",
    "z": "Z",
    "slice": "Z",
    "y": "Y",
    "x": "X",
    "n": "N",
    "frame": "N",
    "frames": "N",
}
"""Letters for the names that axes of layers go by."""


FEW_CHANNELS = 4
"""An axis without a spacing that is no longer than this may well count channels."""


@dataclass(frozen=True)
class LayerAxes:
    """The axes of a layer's data.

    Parameters
    ----------
    axes
        Their letters in order, or nothing if there is no good guess.
    note
        A sentence for the user about where they come from; empty where there is nothing to explain.
    is_guess
        Whether the user should look at them.
    """

    axes: str
    note: str
    is_guess: bool = False


def axes_of(layer: Image) -> LayerAxes:
    """Return what the axes of a layer are: by its own names, by the file behind it, or by the usual order."""
    if _fit(str(known_about(layer).get("axes", "")), layer):
        return LayerAxes(str(known_about(layer)["axes"]), "")
    named = letters_of(layer.axis_labels) + "S" * layer.rgb
    if _fit(named, layer):
        return LayerAxes(named, "")
    info = file_behind(layer)
    if info is not None and info.has_axes and _fit(info.axes, layer):
        return LayerAxes(info.axes, "Axes as the file tells them")
    return _guess(layer)


def letters_of(labels: Iterable[object]) -> str:
    """Return a letter for each name of an axis, ``"?"`` where it is no name that is known."""
    return "".join(LETTERS.get(str(label).lower(), "?") for label in labels)


def scale_um_of(layer: Image, axes: str) -> tuple[float, ...]:
    """Return the spacing along each axis in micrometres: the layer's, else its file's; 1.0 where there is none."""
    spacings = [spacing_um(scale, unit) for scale, unit in zip(layer.scale, layer.units, strict=True)]
    info = file_behind(layer)
    if info is not None and info.has_scale and info.axes == axes and all(spacing is None for spacing in spacings):
        return info.scale_um
    lengths = [spacing if spacing and axis in "ZYX" else 1.0 for spacing, axis in zip(spacings, axes, strict=False)]
    return (*lengths, 1.0) if layer.rgb else tuple(lengths)


def file_behind(layer: Image) -> SignalInfo | None:
    """Return what the file behind a layer announces, or None if there is none, or it holds something else by now."""
    source = source_of(layer)
    if source is None:
        return None
    try:
        info = probe_signal(source)
    except DinerError:
        return None
    return info if info.may_hold(tuple(layer.data.shape)) else None


def _guess(layer: Image) -> LayerAxes:
    colours = "S" * layer.rgb
    if layer.ndim == 2:
        return LayerAxes("YX" + colours, "")
    if layer.ndim > 5:
        return LayerAxes("", f"The layer has {layer.ndim} axes; fit a part of it with at most five", True)
    if layer.ndim == 5:
        return LayerAxes("TCZYX" + colours, "A guess, since nothing names the axes; change it if they are others", True)
    has_step = spacing_um(layer.scale[-3], layer.units[-3]) is not None or layer.scale[-3] != 1
    if layer.ndim == 4:
        axes = "TCYX" if layer.data.shape[1] <= FEW_CHANNELS and not (has_step or layer.rgb) else "TZYX"
        return LayerAxes(axes + colours, f"{axes} is a guess, since nothing names the axes; change it if need be", True)
    if has_step:
        return LayerAxes("ZYX" + colours, "A guess: the first axis has a spacing, so it is Z; else write T or C", True)
    return LayerAxes("TYX" + colours, "A guess: the first axis has no spacing, so it is time; else write Z or C", True)


def _fit(axes: str, layer: Image) -> bool:
    """Tell whether letters can be the axes of a layer."""
    try:
        check_axes(axes)
    except ValueError:
        return False
    return len(axes) == layer.data.ndim and axes.endswith("S") == layer.rgb
