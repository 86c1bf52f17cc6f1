"""The command line that a dock puts on the clipboard."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from napari_diner.tasks.command import command_line
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.recipe import assignment, merge

RECIPES: list[dict[str, Any]] = [
    {},
    {"wavelength_um": 0.532, "pixel_size_um": 1.12, "distances_um": [100, 110.5, 120], "solver": "diner", "seed": 7},
    {"band_limit": False, "equalise_gains": True, "max_seconds": 60.0, "phase_scale_rad": 1e-5},
    {"padding": {"mode": "reflect", "width_um": 12.5}, "gauss_newton": {"tolerance": 1e-9, "cg_steps": 3}},
    {"gains": [1, 0.9], "shifts_um": [[0, 0], [0.1, -0.25]], "illumination": "my flat field's.tif", "mask": "[1].tif"},
]


def parsed(command: str) -> tuple[list[str], dict[str, Any]]:
    """Read a command as the command line does: plain words, then options and assignments."""
    words = shlex.split(command)
    positional, values = [], {}
    while words:
        word = words.pop(0)
        if word == "--set":
            values = merge(values, assignment(words.pop(0)))
        elif word.startswith("--"):
            text = words.pop(0)
            key = word[2:].replace("-", "_")
            kind = LenslessRecipe.model_fields[key].annotation
            values[key] = [float(part) for part in text.split(",")] if "tuple" in str(kind) else text
        elif word == "-o":
            values_output = words.pop(0)
            positional.append(values_output)
        else:
            positional.append(word)
    return positional, values


@pytest.mark.parametrize("values", RECIPES)
def test_the_command_says_the_same_as_the_recipe(values: dict[str, Any]) -> None:
    recipe = LenslessRecipe.parse(values)
    positional, options = parsed(command_line(recipe, "my stack.tif", "out dir"))
    assert positional == ["napari-diner", "lensless", "my stack.tif", "out dir"]
    assert LenslessRecipe.parse(options) == recipe


def test_only_what_differs_from_the_defaults_is_said() -> None:
    recipe = LenslessRecipe.parse({"wavelength_um": 0.5, "distances_um": [100, 110], "solver": "gauss-newton"})
    command = command_line(recipe, "stack.tif", "out")
    assert command == "napari-diner lensless stack.tif -o out --wavelength-um 0.5 --distances-um 100.0,110.0"


@pytest.mark.parametrize("values", RECIPES)
def test_the_command_line_reads_the_same_recipe(values: dict[str, Any]) -> None:
    from napari_diner.cli.options import options_of

    recipe = LenslessRecipe.parse(values)
    flags = {option.flag for option in options_of(LenslessRecipe, skip=("task", "stack"))}
    words = shlex.split(command_line(recipe, "stack.tif", "out"))
    assert {word for word in words if word.startswith("--") and word != "--set"} <= flags
