"""Recordings under LEDs of some size."""

from __future__ import annotations

from typing import Any

import pytest

from napari_diner import sample
from napari_diner.errors import RecipeError
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.memory import plan
from napari_diner.tasks.idt.plausibility import optics_doubts
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.truth import TrueVolume
from tests.tasks.idt.small_recordings import reconstructed

SIZE_NA = 0.05


@pytest.mark.parametrize("model", ["born", "multislice"])
def test_the_size_of_the_sources_is_part_of_the_model(model: str) -> None:
    made = sample(
        "idt", height_px=40, width_px=40, slices=16, frames=8, ring_na=0.58, source_na=SIZE_NA, model=model,
        noise_sigma=0.002, peak_phase_rad=0.2,
    )  # fmt: skip
    truth = TrueVolume(*(array.data for array in made.truth))
    changes: dict[str, Any] = {"model": model, "regularization": {"tv": 0.01, "tikhonov": 1.0}, "iterations": 15}
    recipe = made.recipe.updated({**changes, "multislice": {"iterations": 2}})
    assert isinstance(recipe, IdtRecipe) and recipe.source_na == SIZE_NA
    known, point = (
        reconstructed(recipe.updated({"source_na": size}), IdtData(made.data.data), truth).report
        for size in (SIZE_NA, 0.0)
    )
    assert known["unexplained"] < 0.7 * point["unexplained"]
    assert known["truth"]["n_re_correlation"] > point["truth"]["n_re_correlation"] + 0.03


def test_the_memory_of_further_points_is_planned() -> None:
    recipe = IdtRecipe.parse({"wavelength_um": 0.5, "pixel_size_um": 0.2, "na": 0.6, "ring": {"na": 0.5}})
    small, large = (plan(recipe.updated({"source_na": size}), (24, 256, 256)).work for size in (0.0, SIZE_NA))
    # two tables of complex numbers for each point, at the frequencies that pass
    assert large - small > 10 * 24 * 256**2 * 16


def test_sources_that_are_unusually_wide_are_named() -> None:
    recipe = IdtRecipe.parse({"wavelength_um": 0.5, "pixel_size_um": 0.15, "na": 0.6})
    assert optics_doubts(recipe.updated({"source_na": 0.08}), (64, 64)) == []
    (doubt,) = optics_doubts(recipe.updated({"source_na": 0.4}), (64, 64))
    assert "unusually wide" in doubt


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(RecipeError, match="radius of the light source divided by its distance"):
        IdtRecipe.parse({"na": 0.5, "source_na": 0.8})
    with pytest.raises(RecipeError, match="point sources only"):
        IdtRecipe.parse({"source_na": 0.02, "dark_field": "use"})
    with pytest.raises(RecipeError, match="leave out source_na"):
        IdtRecipe.parse({"source_na": 0.1, "transfer_functions": "file"})
