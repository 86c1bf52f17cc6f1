"""The commands of multi-height lensless phase retrieval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from napari_diner.cli.common import (
    INTERRUPTED,
    Assignments,
    Common,
    RecipeFile,
    TruthFolder,
    reconstruct_into,
)
from napari_diner.cli.options import with_options
from napari_diner.cli.recipes import collect
from napari_diner.cli.terminal import Interruption, follow
from napari_diner.io.folder import REPORT, check_output, staged
from napari_diner.tasks.lensless.recipe import LenslessRecipe

if TYPE_CHECKING:
    from napari_diner.tasks.comparison import Comparison
    from napari_diner.tasks.lensless.data import LenslessData
    from napari_diner.tasks.lensless.truth import Truth
    from napari_diner.tasks.reconstruction import Reconstruction

Stack = Annotated[
    str | None,
    Parameter(help="Multi-page TIFF, folder, or glob of TIFF or PNG files. Needed unless the recipe names it."),
]
OPTIONS = with_options(LenslessRecipe, skip=("task", "stack"))


@OPTIONS
def lensless(
    stack: Stack = None,
    /,
    *,
    common: Common,
    recipe: RecipeFile = None,
    set_: Assignments = (),
    truth: TruthFolder = None,
    settings: dict[str, Any],
) -> int:
    """Amplitude and phase from intensities recorded at several distances."""
    values = LenslessRecipe.parse(collect(LenslessRecipe, recipe, set_, _with_stack(stack, settings)))
    return reconstruct_into(common, lambda: start(values, truth))


@OPTIONS
def compare_lensless(
    stack: Stack = None,
    /,
    *,
    common: Common,
    recipe: RecipeFile = None,
    set_: Assignments = (),
    truth: TruthFolder = None,
    solvers: Annotated[
        str | None, Parameter(help="Which to compare, with commas between them; all if left out.")
    ] = None,
    seconds: Annotated[float, Parameter(help="Time for each solver.")] = 60.0,
    settings: dict[str, Any],
) -> int:
    """All solvers on the same data for the same time; a table and a figure name the winner."""
    values = LenslessRecipe.parse(collect(LenslessRecipe, recipe, set_, _with_stack(stack, settings)))
    names = None if solvers is None else [name.strip() for name in solvers.split(",")]
    check_output(common.output, common.overwrite)
    data, known = read(values, truth)
    comparison, complete = compare(values, data, known, names, seconds, quiet=common.quiet)
    with staged(common.output, common.overwrite) as stage:
        write_comparison(comparison, stage, partial=not complete)
    if not common.quiet:
        print(f"{comparison.table()}\nfolder: {common.output}")
    return 0 if complete else INTERRUPTED


def start(recipe: LenslessRecipe, truth: Path | None) -> Reconstruction:
    """Read the data that a recipe names and prepare their reconstruction."""
    from napari_diner.tasks.lensless.reconstruct import reconstruct

    data, known = read(recipe, truth)
    return reconstruct(recipe, data, truth=known)


def read(recipe: LenslessRecipe, truth: Path | None) -> tuple[LenslessData, Truth | None]:
    """Read the data that a recipe names, and the truth if there is one."""
    from napari_diner.tasks.lensless.data import load
    from napari_diner.tasks.lensless.truth import check_truth, load_truth

    known = None if truth is None else load_truth(truth)
    data = load(recipe)
    # told now rather than after other solvers have run
    if known is not None:
        check_truth(known, data.frames.shape[1:])
    return data, known


def compare(
    recipe: LenslessRecipe,
    data: LenslessData,
    truth: Truth | None,
    solvers: list[str] | None,
    seconds: float,
    *,
    quiet: bool,
) -> tuple[Comparison, bool]:
    """Run a comparison; return it, and whether it came to its end."""
    from napari_diner.tasks.lensless import compare as comparing

    names = tuple(comparing.CONTENDERS) if solvers is None else tuple(solvers)
    run = comparing.compare(recipe, data, truth=truth, solvers=names, seconds=seconds)
    with Interruption() as stop:
        if not follow(run, stop, quiet=quiet):
            raise KeyboardInterrupt
        return run.result(), not stop.asked


def write_comparison(comparison: Comparison, folder: Path, *, partial: bool) -> None:
    """Write a comparison: a folder for each solver, and at the top the winner's result, the table and the figure."""
    from napari_diner.tasks.saving import to_json, write_result

    for name, result in comparison.results.items():
        (folder / name).mkdir()
        write_result(result, folder / name)
    winner = comparison.results[comparison.winner]
    write_result(winner, folder)
    comparison.save_figure(folder / "comparison.png")
    (folder / "comparison.txt").write_text(comparison.table() + "\n", encoding="utf-8")
    report = {**winner.report, "partial": partial, "comparison": comparison.report}
    names = sorted({entry.name for entry in folder.iterdir()} | {REPORT})
    (folder / REPORT).write_text(to_json({**report, "files": names}), encoding="utf-8")


def _with_stack(stack: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    return settings if stack is None else {**settings, "stack": stack}
