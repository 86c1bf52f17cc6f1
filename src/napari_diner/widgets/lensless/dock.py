"""The dock for multi-height lensless phase retrieval."""

from __future__ import annotations

from typing import ClassVar

import napari

from napari_diner.solvers.registry import solver_names, supports
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Result
from napari_diner.widgets.dock.run_panel import duration
from napari_diner.widgets.lensless.calibration_table import CalibrationTable
from napari_diner.widgets.lensless.recording_dock import RecordingDock


class LenslessDock(RecordingDock[LenslessRecipe]):
    """Choose a stack, describe how it was recorded, run, and get amplitude, phase and residual as layers.

    Parameters
    ----------
    napari_viewer
        The viewer; napari passes it by this name.
    """

    recipe_type = LenslessRecipe
    task_name = "lensless"
    essentials = ("wavelength_um", "pixel_size_um", "solver", "start")
    groups: ClassVar = {
        "Geometry": (
            "source_distance_um", "source_distance_to", "medium_index", "shifts_um", "registration", "super_resolution",
        ),
    }  # fmt: skip
    beside_advanced = ("preprocess", "Geometry", "calibration")

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.calibrated = CalibrationTable()
        self.add_below(self.calibrated)
        self.arrange(self.rows("wavelength_um", "pixel_size_um"), self.distances, self.rows("solver", "start"))

    def choices(self) -> set[object]:
        """Return the solvers that take part."""
        start, solver = self.editors["start"].value(), self.editors["solver"].value()
        return {solver, "gauss-newton" if start == "auto" and solver not in ("alternating", "pixels") else start}

    def sections_for(self, choice: object) -> tuple[str, ...]:
        """Return the sections of a solver, with those of what it supports."""
        solver = str(choice)
        known = solver in solver_names("lensless")
        return (
            *super().sections_for(choice),
            *(("prior",) if known and supports("lensless", solver, "priors") else ()),
            *(("noise",) if known and supports("lensless", solver, "weights") else ()),
        )

    def summary(self, result: Result) -> str:
        """Return how well the model explains the frames."""
        report = result.report
        words = (
            f"{report['measurement_psnr_db']:.1f} dB PSNR of the frames, {report['iterations']} iterations, "
            f"{duration(report['seconds'])}"
        )
        for part, label in (("registration", "Registered"), ("calibration", "Calibrated")):
            if "summary" in report.get(part, {}):
                words += f"\n{label}: {report[part]['summary']}"
        return words

    def show_outcome(self, outcome: object) -> None:
        """Show the result of a run, and the calibrated geometry."""
        super().show_outcome(outcome)
        if self.result is not None:
            self.calibrated.show_report(self.result.report)
