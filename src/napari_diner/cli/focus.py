"""The command that finds distances by focusing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diner.cli.common import Assignments, Common, RecipeFile
from napari_diner.cli.lensless import Stack
from napari_diner.cli.options import with_options
from napari_diner.cli.recipes import collect
from napari_diner.cli.terminal import Interruption, follow
from napari_diner.errors import RecipeError
from napari_diner.io.folder import REPORT, check_output, staged
from napari_diner.tasks.focus.recipe import FocusRecipe

if TYPE_CHECKING:
    from napari_diner.tasks.focus.search import FocusSearch


@with_options(FocusRecipe, skip=("task", "stack"))
def focus(
    stack: Stack = None,
    /,
    *,
    common: Common,
    recipe: RecipeFile = None,
    set_: Assignments = (),
    settings: dict[str, Any],
) -> int:
    """Find the distance of each frame by its sharpness; a table, a figure, and a recipe to go on with."""
    given = settings if stack is None else {**settings, "stack": stack}
    values = FocusRecipe.parse(collect(FocusRecipe, recipe, set_, given))
    return focus_into(common, values)


def start(recipe: FocusRecipe, truth: Path | None = None) -> FocusSearch:
    """Read the data that a recipe names and prepare the search."""
    from napari_diner.tasks.focus.search import focus as search
    from napari_diner.tasks.lensless.data import load

    return search(recipe, load(recipe))


def focus_into(folder: Common, recipe: FocusRecipe) -> int:
    """Search, save what was found, print the table; return the exit code.

    Raises
    ------
    DinerError
        If the data, the recipe or the folder cannot be used.
    KeyboardInterrupt
        If the search was interrupted before it was through.
    """
    check_output(folder.output, folder.overwrite)
    with Interruption() as stop, start(recipe) as search:
        # half of the distances are of no use to anybody
        if not follow(search, stop, quiet=folder.quiet) or not search.finished:
            raise KeyboardInterrupt
        if not search.complete:
            raise RecipeError("The time limit was over before every frame had its distance; raise --max-seconds")
        with staged(folder.output, folder.overwrite) as stage:
            report = write_search(search, stage)
    if not folder.quiet:
        from napari_diner.tasks.focus.output import table

        print(f"{table(report)}\nfolder: {folder.output}\nreconstruct with")
        print(f"napari-diner run {folder.output / 'lensless.yaml'} -o RESULT")
    return 0


def write_search(search: FocusSearch, folder: Path) -> dict[str, Any]:
    """Write what a search found into a folder that is there already; return the report."""
    from napari_diner.tasks.focus.output import as_csv, save_figure
    from napari_diner.tasks.saving import to_json, write_result

    result = search.result()
    write_result(result, folder)
    (folder / "focus.csv").write_text(as_csv(result.report), encoding="utf-8")
    lensless = search.recipe.lensless(tuple(result.report["distances_um"]))
    (folder / "lensless.yaml").write_text(lensless.to_yaml(complete=False), encoding="utf-8")
    save_figure(search, folder / "focus.png")
    names = sorted({entry.name for entry in folder.iterdir()} | {REPORT})
    report = {**result.report, "partial": result.partial, "files": names}
    (folder / REPORT).write_text(to_json(report), encoding="utf-8")
    return report
