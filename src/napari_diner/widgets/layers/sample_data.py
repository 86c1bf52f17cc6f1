"""Sample data for File > Open Sample, simulated on the spot."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import NamedArray
from napari_diner.settings import Settings
from napari_diner.widgets.layers.layer_arguments import axis_labels, units_of
from napari_diner.widgets.layers.layer_metadata import METADATA_KEY
from napari_diner.widgets.work import load_for_layers, load_torch, wait_for

LayerData = tuple[npt.NDArray[np.generic], dict[str, object], str]
"""Data, attributes and type of a layer, as napari takes them."""


def sample_layer(name: str, title: str, settings: Settings | None = None) -> list[LayerData]:
    """Return simulated data as a layer, with their description in its metadata for the docks.

    Parameters
    ----------
    name
        Name of the sample in the registry of tasks.
    title
        Name of the layer.
    settings
        Settings of the simulation; those of the sample if None.
    """

    def make() -> tuple[NamedArray, dict[str, object]]:
        from napari_diner.tasks.registry import samples

        load_torch()
        load_for_layers()
        task, sample = samples()[name]
        simulated = sample.make(settings or sample.settings())
        without = {"task", task.source_field}
        return simulated.data, simulated.recipe.model_dump(exclude_unset=True, exclude_none=True, exclude=without)

    array, notes = wait_for(f"Simulating: {title}", make)
    letters = array.axes.removesuffix("S")
    attributes: dict[str, object] = {
        "name": title,
        "rgb": array.axes.endswith("S"),
        "scale": array.scale_um[: len(letters)],
        # a synthetic picture has no pixel size; it gets 1 µm, which napari can combine with others
        "units": units_of(letters),
        "axis_labels": axis_labels(letters),
        "metadata": {METADATA_KEY: notes} if notes else {},
    }
    return [(array.data, attributes, "image")]


lensless_stack = functools.partial(sample_layer, "lensless", "lensless stack")
cell_recording = functools.partial(sample_layer, "idt", "cells")
colour_image = functools.partial(sample_layer, "image", "colour image")
volume_16_bit = functools.partial(sample_layer, "volume", "volume")
short_video = functools.partial(sample_layer, "video", "video")
