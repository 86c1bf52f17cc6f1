"""The dock for multi-height lensless phase retrieval."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import napari

from napari_diner.representations.registry import representations
from napari_diner.solvers.registry import sections_of, solver_names, supports
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Result
from napari_diner.widgets.lensless.calibration_table import CalibrationTable
from napari_diner.widgets.lensless.recording_dock import RecordingDock
from napari_diner.wording import effort


class LenslessDock(RecordingDock[LenslessRecipe]):
    """Reconstructs amplitude and phase from a stack recorded at several distances."""

    task_name = "lensless"
    essentials = ("wavelength_um", "pixel_size_um", "solver", "start")
    groups: ClassVar = {
        "Geometry": (
            "source_distance_um", "source_distance_to", "source_size_um", "bandwidth_nm", "medium_index", "shifts_um",
            "positions_um", "registration", "super_resolution", "leave_out",
        ),
    }  # fmt: skip

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.calibrated = CalibrationTable()
        self.add_below(self.calibrated)
        self.arrange(
            self.rows("wavelength_um", "pixel_size_um"),
            self.distances,
            "Geometry",
            "preprocess",
            "calibration",
            "unknown_illumination",
            self.rows("solver", "start"),
        )

    def sections_in_use(self) -> Collection[str]:
        """Return the sections that apply to the solvers in use."""
        solver, start = (str(self.editors[name].value()) for name in ("solver", "start"))
        if start == "auto" and solver in representations() and solver != "pixels":
            start = "gauss-newton"
        hidden = {section for name in solver_names("lensless") for section in sections_of("lensless", name)}
        hidden -= {*sections_of("lensless", solver), *sections_of("lensless", start)}
        for section, what in (("prior", "priors"), ("noise", "weights")):
            if not supports("lensless", solver, what):
                hidden.add(section)
        return self.advanced.sections.keys() - hidden

    def summary(self, result: Result) -> str:
        """Return the share of the signal that the model explains."""
        report = result.report
        words = f"{report['verdict']}; {effort(report['iterations'], report['seconds'])}"
        for part, label in (("registration", "Registered"), ("calibration", "Calibrated")):
            if "summary" in report.get(part, {}):
                words += f"\n{label}: {report[part]['summary']}"
        return words

    def show_outcome(self, outcome: object) -> None:
        """Show the result of a run, and the calibrated geometry."""
        super().show_outcome(outcome)
        if self.result is not None:
            self.calibrated.show_report(self.result.report)
