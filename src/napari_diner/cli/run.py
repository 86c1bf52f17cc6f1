"""The command that repeats what a recipe says."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from napari_diner.cli import fit, focus, idt, lensless
from napari_diner.cli.common import Assignments, Common, Extras, TruthFolder, reconstruct_into
from napari_diner.cli.options import with_options
from napari_diner.cli.recipes import collect
from napari_diner.errors import RecipeError
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.recipe import Recipe, read_yaml
from napari_diner.tasks.run import Reconstruction


@dataclass(frozen=True)
class Task:
    """What the command line must know of a task.

    Parameters
    ----------
    recipe
        Its settings.
    start
        Reads the data that a recipe names, and the truth if a folder is given, and gives the reconstruction.
    extras
        Writes more files about a result; None if there are none.
    """

    recipe: type[Recipe]
    start: Callable[[Any, Path | None], Reconstruction]
    extras: Extras | None = None


TASKS: Mapping[str, Task] = {
    "lensless": Task(LenslessRecipe, lensless.start),
    "focus": Task(FocusRecipe, focus.start),
    "fit": Task(FitRecipe, fit.start),
    "idt": Task(IdtRecipe, idt.start, idt.save_slices),
}


@with_options(Recipe, skip=("task",))
def run(
    recipe: Annotated[Path, Parameter(help="Recipe, such as the recipe.yaml in a folder of results.")],
    /,
    *,
    common: Common,
    set_: Assignments = (),
    truth: TruthFolder = None,
    settings: dict[str, Any],
) -> int:
    """Repeat what a recipe says, inputs included."""
    name = read_yaml(recipe).get("task")
    if name is None:
        raise RecipeError(f"The recipe {recipe} names no task; add a line such as 'task: lensless'")
    if not isinstance(name, str) or name not in TASKS:
        near = difflib.get_close_matches(str(name), TASKS, n=1, cutoff=0.0)
        raise RecipeError(f"The recipe {recipe} is for the task {name!r}, which is unknown; did you mean {near[0]!r}?")
    task = TASKS[name]
    values = task.recipe.parse(collect(task.recipe, recipe, set_, settings))
    return reconstruct_into(common, lambda: task.start(values, truth), task.extras)
