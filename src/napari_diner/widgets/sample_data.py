"""Sample data for File > Open Sample: recordings simulated on the spot."""

from __future__ import annotations

from typing import Any


def lensless_stack() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a simulated lensless recording at six heights, with what the dock needs to know in its metadata."""
    # torch takes seconds to load, which the menus must not wait for
    from napari_diner.simulate.lensless import LenslessSimulation, simulate

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
