"""The dock for multi-height lensless phase retrieval."""

from __future__ import annotations

import functools
from typing import ClassVar

import napari
from napari.layers import Image

from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.run import Result
from napari_diner.widgets.dock.run_panel import duration
from napari_diner.widgets.dock.run_worker import Begin
from napari_diner.widgets.lensless.calibration_table import CalibrationTable
from napari_diner.widgets.lensless.layer_placement import placement_on
from napari_diner.widgets.lensless.recording_dock import RecordingDock
from napari_diner.widgets.lensless.thread import begin


class LenslessDock(RecordingDock[LenslessRecipe]):
    """Choose a stack, describe how it was recorded, run, and get amplitude, phase and residual as layers.

    Parameters
    ----------
    napari_viewer
        The viewer; napari passes it by this name.
    """

    recipe_type = LenslessRecipe
    essentials = ("wavelength_um", "pixel_size_um", "solver", "start")
    groups: ClassVar = {
        "Geometry": (
            "source_distance_um", "source_distance_to", "medium_index", "shifts_um", "registration", "super_resolution",
        ),
    }  # fmt: skip
    beside_advanced = ("preprocess", "Geometry", "calibration")
    sections_of: ClassVar = {
        "gauss-newton": ("prior", "noise", "gauss_newton"),
        "alternating": ("alternating",),
        "diner": ("prior", "noise", "gradient", "diner"),
        "pixels": ("prior", "noise", "gradient"),
    }

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.calibrated = CalibrationTable()
        self.add_below(self.calibrated)
        self.arrange(self.rows("wavelength_um", "pixel_size_um"), self.distances, self.rows("solver", "start"))

    def choices(self) -> set[object]:
        """Return the solvers that take part."""
        start, solver = self.editors["start"].value(), self.editors["solver"].value()
        return {solver, "gauss-newton" if start == "auto" and solver == "diner" else start}

    def prepare(self, layer: Image) -> Begin:
        """Check that the recording is described completely, and give the layer its pixel size."""
        recipe = self.recipe()
        recipe.check_complete(layer.data.shape[0])
        self.give_pixel_size(layer, recipe.pixel_size_um)
        self.layers.arguments = placement_on(layer, recipe)
        return functools.partial(begin, recipe, layer.data)

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
