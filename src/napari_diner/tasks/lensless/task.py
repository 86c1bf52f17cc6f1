"""Multi-height lensless phase retrieval as a registered task. Does not import torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from napari_diner.errors import RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.formats import IMAGES
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.frame_list import frames_row
from napari_diner.tasks.lensless.calibration_settings import PARAMETERS
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.report import figure_rows
from napari_diner.tasks.sample import Demo, Sample, SampleData
from napari_diner.tasks.task import Frames, Row, Shortcut, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_diner.tasks.comparison import Comparison
    from napari_diner.tasks.lensless.data import LenslessData
    from napari_diner.tasks.lensless.job import LenslessJob
    from napari_diner.tasks.lensless.truth import Truth
    from napari_diner.tasks.memory import MemoryPlan

_WITHOUT_EXTRAS = {"prior": {"total_variation": "off", "support": None}, "noise": {"weighting": "even"}}


def parse_calibrate(text: str) -> dict[str, object]:
    """Return the settings of a recipe for a list such as ``z,shift,gain,tilt,source``.

    Raises
    ------
    RecipeError
        If a word is unknown.
    """
    words = [word for word in re.split(r"[,;\s]+", text.strip()) if word]
    unknown = [word for word in words if word not in PARAMETERS]
    if unknown or not words:
        raise RecipeError(
            f"{{field}}: {unknown[0] if unknown else 'nothing'} cannot be calibrated; choose from "
            f"{', '.join(PARAMETERS)}",
            "calibrate",
        )
    return {"calibration": {name: name in words for name in PARAMETERS}}


def simulate(settings: LenslessSimulation) -> SampleData:
    """Simulate a recording with its specimen; see `napari_diner.simulate.lensless.recording`."""
    from napari_diner.simulate.lensless.recording import simulate

    sample = simulate(settings)
    pixel = sample.pixel_size_um
    fine = (pixel / sample.binning,) * 2
    # only the description of the recording: the rest is the user's choice
    known: dict[str, Any] = {
        "stack": "stack.tif",
        "wavelength_um": sample.wavelength_um,
        "pixel_size_um": pixel,
        "distances_um": tuple(sample.distances_um),
        "medium_index": sample.medium_index,
        "propagation": sample.propagation,
        "intensity_scale": sample.intensity_scale,
        "super_resolution": sample.binning,
        "shifts_um": sample.shifts_um if any(map(any, sample.shifts_um)) else None,
    }
    if any(map(any, sample.positions_um)):
        known["positions_um"] = sample.positions_um
    if sample.source_size_um > 0:
        known |= {
            "source_size_um": sample.source_size_um,
            "source_distance_um": sample.source_distance_um,
            "source_distance_to": "lens",
        }
    if sample.bandwidth_nm > 0:
        known["bandwidth_nm"] = sample.bandwidth_nm
    return SampleData(
        NamedArray("stack", sample.frames, "NYX", (1.0, pixel, pixel)),
        LenslessRecipe(task="lensless", **known),
        truth=(
            NamedArray("amplitude", sample.amplitude, "YX", fine),
            NamedArray("phase", sample.phase, "YX", fine, "rad"),
        ),
    )


class LenslessTask(Task[LenslessRecipe, "LenslessData"]):
    """Amplitude and phase from intensities at several sample-to-sensor distances."""

    name = "lensless"
    title = "Lensless phase retrieval"
    summary = "Amplitude and phase from intensities recorded at several distances."
    recipe_type = LenslessRecipe
    follows = True
    source_help = f"Multi-page TIFF, folder, or glob of {IMAGES} files: one frame per distance."
    attachments = (
        "illumination",
        "illumination_phase",
        "mask",
        "prior.support",
        "preprocess.dark",
        "preprocess.flat",
        "preprocess.empty",
    )
    dock = "napari_diner.widgets.lensless.dock:LenslessDock"
    samples = (
        Sample(
            "lensless",
            "Lensless stack (simulated, 6 heights)",
            "Simulate a stack recorded at several distances, with its amplitude and phase and a recipe.",
            LenslessSimulation,
            simulate,
        ),
    )
    demo = Demo("lensless", ("gauss-newton", "alternating", "diner"), 15.0)
    shortcuts = (
        Shortcut(
            "calibrate",
            "What to calibrate from the recording first, separated by commas: z, shift, gain, tilt, source.",
            parse_calibrate,
        ),
        Shortcut(
            "solve_illumination",
            "Estimate the illumination together with the object, from frames at several positions_um.",
            lambda value: {"unknown_illumination": {"solve": value}},
            bool,
        ),
        Shortcut(
            "uncertainty",
            "Also write uncertainty.tif: the standard deviation of the phase.",
            lambda value: {"uncertainty": {"map": value}},
            bool,
        ),
    )
    contenders: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "gauss-newton": {"solver": "gauss-newton", "start": "auto"},
        # it supports neither priors nor weights
        "alternating": {"solver": "alternating", "start": "auto", **_WITHOUT_EXTRAS},
        "diner": {"solver": "diner", "start": "gauss-newton"},
        "diner-cold": {"solver": "diner", "start": "flat"},
        "pixels": {"solver": "pixels", "start": "auto"},
    }
    columns: ClassVar[Mapping[str, str]] = {
        "unexplained": "unexplained",
        "phase_psnr_db": "phase dB",
        "amplitude_psnr_db": "amplitude dB",
        "measurement_psnr_db": "measured dB",
        "seconds": "seconds",
        "iterations": "iterations",
        "parameters": "parameters",
    }

    def assemble(self, recipe: LenslessRecipe, frames: Frames | None = None) -> LenslessData:
        """Return the recording of a recipe."""
        from napari_diner.tasks.lensless.data import assemble

        return assemble(recipe, frames)

    def plan(self, recipe: LenslessRecipe, frames: Frames | None = None) -> MemoryPlan:
        """Return the planned memory of a run."""
        from napari_diner.tasks.lensless.memory import planned

        return planned(recipe, frames)

    def job(self, recipe: LenslessRecipe, data: LenslessData, truth: Truth | None = None) -> LenslessJob:
        """Return the reconstruction of a recording."""
        from napari_diner.tasks.lensless.job import LenslessJob

        return LenslessJob(recipe, data, truth)

    def load_truth(self, folder: Path) -> Truth:
        """Read the true amplitude and phase."""
        from napari_diner.tasks.lensless.truth import load_truth

        return load_truth(folder)

    def truth_of(self, sample: SampleData) -> Truth:
        """Return the true amplitude and phase of a sample."""
        from napari_diner.tasks.lensless.truth import Truth

        amplitude, phase = sample.truth
        return Truth(amplitude.data, phase.data)

    def summary_rows(self, report: Mapping[str, Any]) -> list[Row]:
        """Return the lines of the summary of a report."""
        rows = figure_rows(
            report, ("verdict", "unexplained", "solver", "start", "iterations", "seconds", "measurement_psnr_db")
        )
        rows += figure_rows(report.get("truth", {}), remark=" (truth)")
        rows += frames_row(report)
        for part, label in (("registration", "registered"), ("calibration", "calibrated")):
            if part in report:
                rows.append(Row(label, report[part]["summary"]))
        rows += [Row("note", text) for text in report.get("uncertainty", {}).get("statements", ())]
        return rows

    def criterion(self, comparison: Comparison) -> str:
        """Return the phase error if there is a truth, otherwise the measurement error."""
        has_truth = all("truth" in result.report for result in comparison.results.values())
        return "phase_psnr_db" if has_truth else "measurement_psnr_db"

    def draw_comparison(self, comparison: Comparison, figure: Figure) -> None:
        """Draw the loss of each solver against time, and its amplitude and phase."""
        from napari_diner.tasks.lensless.comparison_figure import draw

        draw(comparison, figure)
