"""Sample data for File > Open Sample: recordings simulated on the spot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_diner.simulate.idt.settings import IdtSimulation


def lensless_stack() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a simulated lensless recording at six heights, with what the dock needs to know in its metadata."""
    # torch takes seconds to load, which the menus must not wait for
    from napari_diner.simulate.lensless.recording import simulate
    from napari_diner.simulate.lensless.settings import LenslessSimulation

    sample = simulate(LenslessSimulation())
    attributes = {
        "name": "lensless stack",
        "scale": (1.0, sample.pixel_size_um, sample.pixel_size_um),
        "units": ("pixel", "um", "um"),
        "axis_labels": ("frame", "y", "x"),
        "metadata": {
            "napari-diner": {
                "wavelength_um": sample.wavelength_um,
                "pixel_size_um": sample.pixel_size_um,
                "distances_um": list(sample.distances_um),
                "intensity_scale": sample.intensity_scale,
            }
        },
    }
    return [(sample.frames, attributes, "image")]


def cell_recording() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a simulated recording of a cell under oblique light, with what the dock needs to know in its metadata."""
    from napari_diner.simulate.idt.settings import IdtSimulation

    return [recording_of(IdtSimulation())]


def recording_of(settings: IdtSimulation) -> tuple[Any, dict[str, Any], str]:
    """Return a recording as these settings describe it, as a layer."""
    from napari_diner.simulate.idt.recording import simulate

    shared = ("wavelength_um", "pixel_size_um", "na", "medium_index", "slice_spacing_um")
    attributes = {
        "name": "cells",
        "scale": (1.0, settings.pixel_size_um, settings.pixel_size_um),
        # the unit of a volume beside them, as napari wants one for all layers
        "units": ("um", "um", "um"),
        "axis_labels": ("frame", "y", "x"),
        "metadata": {
            "napari-diner": {
                **{name: getattr(settings, name) for name in shared},
                "slice_count": settings.slices,
                "ring": {"na": settings.ring_na},
                "background": "ratio",
            }
        },
    }
    return simulate(settings).frames, attributes, "image"


def colour_image() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a drawn image in colours."""
    from napari_diner.simulate.fit.images import simulate_image
    from napari_diner.simulate.fit.settings import ImageSimulation

    return [(simulate_image(ImageSimulation()), {"name": "colour image", "rgb": True}, "image")]


def volume_16_bit() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a drawn volume as a confocal microscope would record it, of 16 bits."""
    from napari_diner.simulate.fit.images import simulate_volume
    from napari_diner.simulate.fit.settings import VolumeSimulation

    settings = VolumeSimulation()
    attributes = {
        "name": "volume",
        "scale": (settings.z_step_um, settings.pixel_size_um, settings.pixel_size_um),
        "units": ("um", "um", "um"),
        "axis_labels": ("z", "y", "x"),
    }
    return [(simulate_volume(settings), attributes, "image")]


def short_video() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a drawn video in colours."""
    from napari_diner.simulate.fit.images import simulate_video
    from napari_diner.simulate.fit.settings import VideoSimulation

    attributes = {"name": "video", "rgb": True, "axis_labels": ("t", "y", "x")}
    return [(simulate_video(VideoSimulation()), attributes, "image")]
