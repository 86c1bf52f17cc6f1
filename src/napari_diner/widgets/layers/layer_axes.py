"""The axes of a layer: named by the layer or its file, or guessed."""

from __future__ import annotations

from dataclasses import dataclass

from napari.layers import Image, Layer

from napari_diner.errors import DinerError
from napari_diner.io.signals import SignalInfo, probe_signal
from napari_diner.tasks.fit.recipe import check_axes
from napari_diner.widgets.layers.layer_metadata import layer_notes, source_of
from napari_diner.widgets.layers.layer_units import spacing_um

NAMES = {"T": "t time", "C": "c ch channel channels", "Z": "z slice", "Y": "y", "X": "x", "N": "n frame frames"}
LETTERS = {name: letter for letter, names in NAMES.items() for name in names.split()}
"""Letters of axes by their usual names."""
FEW_CHANNELS = 4
"""An axis without a spacing that is no longer than this probably counts channels."""


@dataclass(frozen=True)
class LayerAxes:
    """The axes of a layer's data."""

    axes: str
    """Their letters in order, or empty if there is no good guess."""
    note: str
    """A sentence for the user about where they come from; empty if there is nothing to explain."""


def axes_of(layer: Image) -> LayerAxes:
    """Return the axes of a layer: from its own names, the file behind it, or the usual order."""
    axes = named_axes(layer)
    if axes:
        return LayerAxes(axes, "")
    info = file_behind(layer)
    if info is not None and info.has_axes and _fit(info.axes, layer):
        return LayerAxes(info.axes, "Axes from the file")
    return _guess(layer)


def named_axes(layer: Image) -> str:
    """Return the letters of the axes that a layer names; empty if it names others or none."""
    labels = "".join(LETTERS.get(str(label).lower(), "?") for label in layer.axis_labels)
    choices = (str(layer_notes(layer).get("axes", "")), labels + "S" * layer.rgb)
    return next((axes for axes in choices if _fit(axes, layer)), "")


def name_axes(layer: Layer, axes: str) -> None:
    """Name the axes of a layer that have no names: the viewer's sliders would show -3, -2 and -1.

    Parameters
    ----------
    layer
        The layer; names that it has are kept.
    axes
        The letters of its last axes, without that of colours; ``?`` for one that stays without a name.
    """
    named = list(layer.axis_labels)
    for place, letter in enumerate(reversed(axes), start=1):
        if letter != "?" and named[-place] == str(-place):
            named[-place] = "frame" if letter == "N" else letter.lower()
    if tuple(named) != tuple(layer.axis_labels):
        layer.axis_labels = named


def scale_um_of(layer: Image, axes: str) -> tuple[float, ...]:
    """Return the spacing along each axis in micrometres: the layer's, else its file's; 1.0 where there is none."""
    spacings = [spacing_um(scale, unit) for scale, unit in zip(layer.scale, layer.units, strict=True)]
    info = file_behind(layer)
    if info is not None and info.has_scale and info.axes == axes and all(spacing is None for spacing in spacings):
        return info.scale_um
    lengths = [spacing if spacing and axis in "ZYX" else 1.0 for spacing, axis in zip(spacings, axes, strict=False)]
    return (*lengths, 1.0) if layer.rgb else tuple(lengths)


def file_behind(layer: Image) -> SignalInfo | None:
    """Return what the file behind a layer announces, or None if there is no file, or its contents have changed."""
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
        return LayerAxes("", f"The layer has {layer.ndim} axes; fit a part of it with at most five")
    counts = LETTERS.get(str(layer.axis_labels[-3]).lower(), "Z") != "Z"
    has_step = not counts and (spacing_um(layer.scale[-3], layer.units[-3]) is not None or layer.scale[-3] != 1)
    if layer.ndim == 3:
        step, axis, others = ("a", "Z", "T or C") if has_step else ("no", "T", "Z or C")
        note = f"{axis} is a guess, since the first axis has {step} spacing; otherwise type {others}"
        return LayerAxes(f"{axis}YX{colours}", note)
    few = layer.data.shape[1] <= FEW_CHANNELS and not (has_step or layer.rgb)
    axes = "TCZYX" if layer.ndim == 5 else "TCYX" if few else "TZYX"
    return LayerAxes(axes + colours, f"{axes} is a guess, since the axes have no names; change it if necessary")


def _fit(axes: str, layer: Image) -> bool:
    """Return whether letters can be the axes of a layer."""
    try:
        check_axes(axes)
    except ValueError:
        return False
    return len(axes) == layer.data.ndim and axes.endswith("S") == layer.rgb
