"""The command line that a dock copies to the clipboard."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from napari_diner.cli.commands import Assignments
from napari_diner.cli.options import Options, collect
from napari_diner.cli.output import Common
from napari_diner.tasks.command import command_line
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.recipe import absolute_paths

RECIPES: list[dict[str, Any]] = [
    {},
    {"wavelength_um": 0.532, "pixel_size_um": 1.12, "distances_um": [100, 110.5, 120], "solver": "diner", "seed": 7},
    {"band_limit": False, "equalise_gains": True, "max_seconds": 60.0, "phase_scale_rad": 1e-5},
    {"padding": {"mode": "reflect", "width_um": 12.5}, "gauss_newton": {"tolerance": 1e-9, "cg_steps": 3}},
    {"gains": [1, 0.9], "shifts_um": [[0, 0], [0.1, -0.25]], "illumination": "my flat field's.tif", "mask": "[1].tif"},
]


OPTIONS = Options(LenslessRecipe, skip=("task", "stack"))


@OPTIONS.added_to
def parsed(
    stack: str | None = None, /, *, common: Common, set_: Assignments = (), **settings: Any
) -> tuple[LenslessRecipe, Path]:
    """Read a command as `napari-diner lensless` does."""
    values = collect(LenslessRecipe, None, set_, {**OPTIONS.values(settings), "stack": stack})
    return LenslessRecipe.parse(values), common.output


@pytest.mark.parametrize("values", RECIPES)
def test_the_command_line_reads_the_recipe_back(values: dict[str, Any]) -> None:
    recipe = LenslessRecipe.parse({**values, "stack": "my stack.tif"})
    words = shlex.split(command_line(recipe, "my stack.tif", "out dir"))
    assert words[:3] == ["napari-diner", "lensless", "my stack.tif"]
    app = App(default_command=parsed)
    read, output = app(words[2:], exit_on_error=False, print_error=False, result_action="return_value")
    assert output == Path("out dir")
    assert read == recipe.updated(absolute_paths(LenslessRecipe, recipe.model_dump(exclude_unset=True), Path.cwd()))


def test_only_what_differs_from_the_defaults_is_said() -> None:
    recipe = LenslessRecipe.parse({"wavelength_um": 0.5, "distances_um": [100, 110], "solver": "gauss-newton"})
    command = command_line(recipe, "stack.tif", "out")
    assert command == "napari-diner lensless stack.tif -o out --wavelength-um 0.5 --distances-um 100.0,110.0"
