"""Sample data for File > Open Sample, simulated on the spot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_diner.widgets.layers.layer_arguments import axis_labels, units_of
from napari_diner.widgets.layers.layer_metadata import METADATA_KEY

if TYPE_CHECKING:
    from napari_diner.simulate.idt.settings import IdtSimulation

LayerData = tuple[npt.NDArray[np.generic], dict[str, object], str]
"""Data, attributes and type of a layer, as napari takes them."""

# torch takes seconds to load, which the menus must not wait for: simulations are imported when they are asked for


def lensless_stack() -> list[LayerData]:
    """Return a simulated lensless recording at six heights, with what the dock needs to know in its metadata."""
    from napari_diner.simulate.lensless.recording import simulate
    from napari_diner.simulate.lensless.settings import LenslessSimulation

    sample = simulate(LenslessSimulation())
    names = ("wavelength_um", "pixel_size_um", "distances_um", "intensity_scale")
    notes = {name: getattr(sample, name) for name in names}
    return [_layer(sample.frames, "lensless stack", "NYX", (1.0, *(sample.pixel_size_um,) * 2), **notes)]


def cell_recording() -> list[LayerData]:
    """Return a simulated recording of a cell under oblique light, with what the dock needs to know in its metadata."""
    from napari_diner.simulate.idt.settings import IdtSimulation

    return [recording_of(IdtSimulation())]


def recording_of(settings: IdtSimulation) -> LayerData:
    """Return the recording of a simulation as a layer."""
    from napari_diner.simulate.idt.recording import simulate

    names = ("wavelength_um", "pixel_size_um", "na", "medium_index", "slice_spacing_um")
    notes = {name: getattr(settings, name) for name in names}
    notes |= {"slice_count": settings.slices, "ring": {"na": settings.ring_na}, "background": "ratio"}
    frames = simulate(settings).frames
    data, attributes, kind = _layer(frames, "cells", "NYX", (1.0, *(settings.pixel_size_um,) * 2), **notes)
    # the unit of a volume beside them, as napari wants one unit for all layers
    return data, {**attributes, "units": ("um", "um", "um")}, kind


def colour_image() -> list[LayerData]:
    """Return a synthetic colour image."""
    from napari_diner.simulate.fit.images import simulate_image
    from napari_diner.simulate.fit.settings import ImageSimulation

    return [_layer(simulate_image(ImageSimulation()), "colour image", "YXS")]


def volume_16_bit() -> list[LayerData]:
    """Return a synthetic 16-bit volume, as a confocal microscope would record it."""
    from napari_diner.simulate.fit.images import simulate_volume
    from napari_diner.simulate.fit.settings import VolumeSimulation

    settings = VolumeSimulation()
    spacing = (settings.z_step_um, settings.pixel_size_um, settings.pixel_size_um)
    return [_layer(simulate_volume(settings), "volume", "ZYX", spacing)]


def short_video() -> list[LayerData]:
    """Return a synthetic colour video."""
    from napari_diner.simulate.fit.images import simulate_video
    from napari_diner.simulate.fit.settings import VideoSimulation

    return [_layer(simulate_video(VideoSimulation()), "video", "TYXS")]


def _layer(
    data: npt.NDArray[np.generic], name: str, axes: str, spacing_um: tuple[float, ...] = (), **notes: object
) -> LayerData:
    letters = axes.removesuffix("S")
    attributes: dict[str, object] = {"name": name, "rgb": axes.endswith("S"), "axis_labels": axis_labels(letters)}
    if spacing_um:
        attributes |= {"scale": spacing_um, "units": units_of(letters)}
    if notes:
        attributes["metadata"] = {METADATA_KEY: notes}
    return data, attributes, "image"
