"""A small simulated recording and its recipe."""

from __future__ import annotations

from typing import Any

import pytest

from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import Truth


@pytest.fixture(scope="session")
def sample() -> LenslessSample:
    return simulate(LenslessSimulation(height_px=64, width_px=72, distances_um=(100.0, 140.0, 200.0, 270.0)))


@pytest.fixture(scope="session")
def truth(sample: LenslessSample) -> Truth:
    return Truth(sample.amplitude, sample.phase)


@pytest.fixture
def values(sample: LenslessSample) -> dict[str, Any]:
    return {
        "wavelength_um": sample.wavelength_um,
        "pixel_size_um": sample.pixel_size_um,
        "distances_um": sample.distances_um,
        "intensity_scale": sample.intensity_scale,
    }


@pytest.fixture
def recipe(values: dict[str, Any]) -> LenslessRecipe:
    return LenslessRecipe.parse(values)
