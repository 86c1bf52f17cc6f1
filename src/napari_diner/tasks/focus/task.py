"""Autofocus of lensless recordings as a registered task. Does not import torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diner.errors import RecipeError
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.lensless.task import LenslessTask
from napari_diner.tasks.report import Report, figure_rows
from napari_diner.tasks.task import Frames, Row, Task

if TYPE_CHECKING:
    from napari_diner.tasks.focus.job import FocusJob
    from napari_diner.tasks.lensless.data import LenslessData
    from napari_diner.tasks.memory import MemoryPlan
    from napari_diner.tasks.result import Result


class FocusTask(Task[FocusRecipe, "LenslessData"]):
    """The distances of a lensless recording from its own sharpness."""

    name = "focus"
    title = "Lensless focus"
    summary = "Find the distance of each frame of a lensless stack by its sharpness."
    recipe_type = FocusRecipe
    source_help = LenslessTask.source_help
    attachments = ("mask", "preprocess.dark", "preprocess.flat", "preprocess.empty")
    dock = "napari_diner.widgets.focus.dock:FocusDock"

    def assemble(self, recipe: FocusRecipe, frames: Frames | None = None) -> LenslessData:
        """Return the recording of a recipe."""
        from napari_diner.tasks.lensless.data import assemble

        return assemble(recipe, frames)

    def plan(self, recipe: FocusRecipe, frames: Frames | None = None) -> MemoryPlan:
        """Return the planned memory of a run."""
        from napari_diner.tasks.lensless.memory import planned

        return planned(recipe, frames)

    def job(self, recipe: FocusRecipe, data: LenslessData, truth: None = None) -> FocusJob:
        """Return the search for the distances of a recording."""
        from napari_diner.tasks.focus.job import FocusJob

        return FocusJob(recipe, data)

    def summary_rows(self, report: Report) -> list[Row]:
        """Return the distance of each frame, and the common offset."""
        rows = figure_rows(
            report,
            (
                "verdict",
                "unexplained",
            ),
        )
        files = [frame.get("file", "") for frame in report.get("frames", ())]
        for number, (distance, error) in enumerate(
            zip(report["distances_um"], report["distances_um_se"], strict=True), start=1
        ):
            alone = f"{report['sharpest_um'][number - 1]:.2f} ± {report['sharpest_um_se'][number - 1]:.2f} alone"
            from_recipe = f", given {report['given_um'][number - 1]:g}" if report["given_um"] else ""
            file = files[number - 1] if len(set(files)) > 1 else ""
            rows.append(
                Row(f"frame {number} {file}".strip(), f"{distance:.2f} ± {error:.2f} µm ({alone}{from_recipe})")
            )
        if report.get("offset_um") is not None:
            rows.append(Row("all together", f"{report['offset_um']:+.2f} ± {report['offset_um_se']:.2f} µm"))
        return [*rows, *figure_rows(report, ("depth_of_field_um", "seconds"))]

    def write_extras(self, result: Result, folder: Path) -> Sequence[str]:
        """Write the table of distances, a picture of the curves, and the recipe of the reconstruction.

        Raises
        ------
        RecipeError
            If some frames have no distance yet.
        """
        from napari_diner.io.folder import destination
        from napari_diner.tasks.focus.output import as_csv, save_figure
        from napari_diner.tasks.sharing import shared

        recipe, report = result.recipe, result.report
        if not isinstance(recipe, FocusRecipe):
            raise TypeError(f"expected the recipe of a focus search, not of {recipe.task!r}")
        if len(report["distances_um"]) < len(report["frames"]):
            raise RecipeError("The search ended before every frame had its distance; raise {field}", "max_seconds")
        (folder / "focus.csv").write_text(as_csv(report), encoding="utf-8")
        lensless = shared(recipe.lensless(tuple(report["distances_um"])), destination(folder))
        (folder / "lensless.yaml").write_text(lensless.to_yaml(complete=False), encoding="utf-8")
        save_figure(report, folder / "focus.png")
        return ["focus.csv", "lensless.yaml", "focus.png"]

    def next_step(self, folder: Path) -> str:
        """Return the command that reconstructs with the distances."""
        return f"reconstruct with\nnapari-diner run {folder / 'lensless.yaml'} -o RESULT"
