"""Sample data for File > Open Sample, simulated on the spot by the tasks that offer them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.settings import Settings
from napari_diner.tasks.registry import samples
from napari_diner.widgets.layers.layer_arguments import axis_labels, units_of
from napari_diner.widgets.layers.layer_metadata import METADATA_KEY

LayerData = tuple[npt.NDArray[np.generic], dict[str, object], str]
"""Data, attributes and type of a layer, as napari takes them."""


def lensless_stack() -> list[LayerData]:
    """Return a simulated lensless recording at six heights."""
    return [sample_layer("lensless", "lensless stack")]


def cell_recording() -> list[LayerData]:
    """Return a simulated recording of a cell under oblique light."""
    return [sample_layer("idt", "cells")]


def colour_image() -> list[LayerData]:
    """Return a synthetic colour image."""
    return [sample_layer("image", "colour image")]


def volume_16_bit() -> list[LayerData]:
    """Return a simulated 16-bit volume, as a confocal microscope would record it."""
    return [sample_layer("volume", "volume")]


def short_video() -> list[LayerData]:
    """Return a synthetic colour video."""
    return [sample_layer("video", "video")]


def sample_layer(name: str, title: str, settings: Settings | None = None) -> LayerData:
    """Return a sample as a layer, with what its dock needs to know in its metadata.

    Parameters
    ----------
    name
        Name of the registered sample.
    title
        Name of the layer.
    settings
        What to simulate; the defaults if None.
    """
    task, sample = samples()[name]
    made = sample.make(sample.settings() if settings is None else settings)
    array = made.data
    axes = array.axes.removesuffix("S")
    attributes: dict[str, object] = {"name": title, "rgb": array.axes != axes, "axis_labels": axis_labels(axes)}
    if array.scale_um[axes.index("X")] != 1.0:
        attributes |= {"scale": array.scale_um[: len(axes)], "units": units_of(axes)}
    if made.truth and made.truth[0].axes == "ZYX":
        # the unit of a volume beside the frames, as napari wants one unit for all layers
        attributes["units"] = ("um",) * len(axes)
    notes = made.recipe.model_dump(exclude_unset=True, exclude={"task", task.source_field})
    if notes:
        attributes["metadata"] = {METADATA_KEY: notes}
    return array.data, attributes, "image"
