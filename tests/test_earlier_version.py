"""Models and recipes of version 0.1.0 open, or the message names the renamed settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_diner.errors import RecipeError
from napari_diner.io.ometiff import read_array
from napari_diner.tasks.fit.model import FitModel
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.recipe import read_yaml
from napari_diner.tasks.registry import task

FOLDER = Path(__file__).parent / "data" / "v0_1_0"


@pytest.mark.parametrize("name", ["diner", "siren", "hash-grid"])
def test_models_open_and_give_what_they_gave(name: str) -> None:
    model = FitModel.open(FOLDER / name)
    expected = read_array(FOLDER / name / "reconstruction.tif")
    assert (model.axes, model.scale_um) == (expected.axes, expected.scale_um)
    # sums of another order can tip a number over when it is rounded
    assert np.abs(model.evaluate().astype(int) - expected.data).max() <= 1


def test_settings_of_a_model_are_where_they_belong_now() -> None:
    recipe = FitModel.open(FOLDER / "diner").recipe
    assert (recipe.diner.backbone, recipe.diner.table_width, recipe.diner.lattice_size) == ("finer", 2, 16)
    assert (recipe.diner.hidden_features, recipe.diner.omega, recipe.diner.key_range) == (8, 20.0, 1e-3)
    assert recipe.stored_bits == 16


@pytest.mark.parametrize("name", ["lensless", "focus", "idt"])
def test_recipes_open(name: str) -> None:
    values = read_yaml(FOLDER / f"{name}.yaml")
    recipe = task(name).recipe_type.parse(values)
    assert recipe.model_dump(mode="json", exclude_unset=True) == values


def test_recipes_of_a_fit_name_what_was_moved() -> None:
    with pytest.raises(
        RecipeError, match=r"backbone, table_width, table of version 0\.1\.0 are now in the section diner.* rename them"
    ):
        FitRecipe.load(FOLDER / "diner" / "recipe.yaml")
