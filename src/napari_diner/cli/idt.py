"""The commands of intensity diffraction tomography."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from napari_diner.cli.common import Assignments, Common, RecipeFile, TruthFolder, reconstruct_into
from napari_diner.cli.comparison import Seconds, compare_into, names_in
from napari_diner.cli.options import with_options
from napari_diner.cli.recipes import collect
from napari_diner.tasks.idt.recipe import IdtRecipe

if TYPE_CHECKING:
    from napari_diner.tasks.comparison import ComparisonRun
    from napari_diner.tasks.idt.data import IdtData
    from napari_diner.tasks.idt.truth import Truth
    from napari_diner.tasks.run import Reconstruction, Result

PICTURE = "slices.png"
Stack = Annotated[
    str | None,
    Parameter(
        help="Multi-page TIFF, folder or glob of TIFF or PNG files, or MATLAB v7.3 file: one frame an illumination. "
        "Needed unless the recipe names it."
    ),
]
OPTIONS = with_options(IdtRecipe, skip=("task", "stack"))


@OPTIONS
def idt(
    stack: Stack = None,
    /,
    *,
    common: Common,
    recipe: RecipeFile = None,
    set_: Assignments = (),
    truth: TruthFolder = None,
    settings: dict[str, Any],
) -> int:
    """Refractive index in three dimensions from intensities under oblique illumination."""
    values = _recipe(stack, recipe, set_, settings)
    return reconstruct_into(common, lambda: start(values, truth), save_slices)


@OPTIONS
def compare_idt(
    stack: Stack = None,
    /,
    *,
    common: Common,
    recipe: RecipeFile = None,
    set_: Assignments = (),
    truth: TruthFolder = None,
    solvers: Annotated[
        str | None,
        Parameter(help="Which to compare, with commas between them: tikhonov, voxels, diner, decaf; all if left out."),
    ] = None,
    seconds: Seconds = 60.0,
    settings: dict[str, Any],
) -> int:
    """All solvers on the same recording for the same time; a table and a figure name the winner."""
    values = _recipe(stack, recipe, set_, settings)

    def prepared() -> ComparisonRun[Any]:
        from napari_diner.tasks.idt.compare import CONTENDERS, compare

        data, known = read(values, truth)
        return compare(values, data, truth=known, solvers=names_in(solvers) or list(CONTENDERS), seconds=seconds)

    return compare_into(common, prepared)


def start(recipe: IdtRecipe, truth: Path | None) -> Reconstruction:
    """Read the data that a recipe names and prepare their reconstruction."""
    from napari_diner.tasks.idt.reconstruct import reconstruct

    data, known = read(recipe, truth)
    return reconstruct(recipe, data, truth=known)


def read(recipe: IdtRecipe, truth: Path | None) -> tuple[IdtData, Truth | None]:
    """Read the data that a recipe names, and the truth if there is one."""
    from napari_diner.tasks.idt.data import load
    from napari_diner.tasks.idt.truth import check_truth, load_truth

    known = None if truth is None else load_truth(truth)
    data = load(recipe)
    # told now rather than after other solvers have run
    if known is not None:
        check_truth(known, (recipe.slice_count, data.frames.shape[1], data.frames.shape[2]))
    return data, known


def save_slices(result: Result, folder: Path) -> list[str]:
    """Draw slices of a result into a folder that is there; return the names of the files."""
    from napari_diner.tasks.idt.slice_figure import save_picture

    save_picture(result, folder / PICTURE)
    return [PICTURE]


def _recipe(stack: str | None, file: Path | None, assignments: tuple[str, ...], settings: dict[str, Any]) -> IdtRecipe:
    given = settings if stack is None else {**settings, "stack": stack}
    return IdtRecipe.parse(collect(IdtRecipe, file, assignments, given))
