"""Intensity diffraction tomography as a registered task. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from napari_diner.io.arrays import NamedArray
from napari_diner.io.formats import IMAGES
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.check import Check, Ranking
from napari_diner.tasks.frame_list import frames_row
from napari_diner.tasks.idt.recipe import IdtRecipe, RingSettings
from napari_diner.tasks.report import Report, figure_rows
from napari_diner.tasks.sample import Demo, Sample, SampleData
from napari_diner.tasks.task import Frames, Row, Shortcut, Task
from napari_diner.wording import digits, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_diner.tasks.comparison import Comparison
    from napari_diner.tasks.idt.data import IdtData
    from napari_diner.tasks.idt.job import IdtJob
    from napari_diner.tasks.idt.tiled import TiledIdtJob
    from napari_diner.tasks.idt.truth import TrueVolume
    from napari_diner.tasks.memory import MemoryPlan
    from napari_diner.tasks.result import Result

PICTURE, RECORDED = "slices.png", "recorded.png"


def simulate(settings: IdtSimulation) -> SampleData:
    """Simulate a recording of cells under oblique illumination; see `napari_diner.simulate.idt.recording.simulate`."""
    from napari_diner.physics.zernike import FIRST_MODE
    from napari_diner.simulate.idt.recording import simulate

    sample = simulate(settings)
    pixel = settings.pixel_size_um
    voxel = (settings.slice_spacing_um, pixel, pixel)
    # light along the axis does not form a ring
    is_ring = settings.ring_na > 0 and not settings.more_rings_na
    directions = sample.illuminations.round(9).tolist()
    has_dark_field = any(na > settings.na for na in settings.more_rings_na)
    recipe = IdtRecipe(
        task="idt",
        stack="stack.tif",
        wavelength_um=settings.wavelength_um,
        pixel_size_um=pixel,
        na=settings.na,
        medium_index=settings.medium_index,
        slice_spacing_um=settings.slice_spacing_um,
        slice_count=settings.slices,
        background="ratio",
        source_na=settings.source_na,
        **({"ring": RingSettings(na=settings.ring_na)} if is_ring else {}),
        **({} if is_ring else {"illuminations": tuple(map(tuple, directions))}),
        **({"dark_field": "use"} if has_dark_field else {}),
    )
    rows = "\n".join(f"{y:.9g},{x:.9g}" for y, x in directions)
    files = {"illuminations.csv": f"NA_y,NA_x\n{rows}\n"}
    if settings.zernike_rad:
        # not in the recipe, as those of an objective are rarely known
        modes = "\n".join(f"{mode},{value:.9g}" for mode, value in enumerate(settings.zernike_rad, FIRST_MODE))
        files["zernike.csv"] = f"mode,rad\n{modes}\n"
    return SampleData(
        NamedArray("stack", sample.frames, "NYX", (1.0, pixel, pixel)),
        recipe,
        truth=(
            NamedArray("n_re", sample.phantom.n_re, "ZYX", voxel),
            NamedArray("n_im", sample.phantom.n_im, "ZYX", voxel),
        ),
        files=files,
    )


def rank_directions(recipe: IdtRecipe, data: IdtData) -> Ranking:
    """Rank alternative assignments of directions to frames; see `napari_diner.tasks.idt.ranking.rank`."""
    from napari_diner.tasks.idt.ranking import rank

    return rank(recipe, data)


def rank_slices(recipe: IdtRecipe, data: IdtData) -> Ranking:
    """Recommend number and spacing of the slices; see `napari_diner.tasks.idt.extent.rank`."""
    from napari_diner.tasks.idt.extent import rank

    return rank(recipe, data)


def aberration_rows(report: Report) -> list[Row]:
    """Return the line of a summary with the calibrated coefficients of the pupil, if there are any."""
    names = ("zernike_modes", "zernike_rad", "zernike_rad_se")
    modes = zip(*(report.get("calibration", {}).get(name, ()) for name in names), strict=True)
    texts = [f"Z{mode} {value:+.3f} ± {digits(error)}" for mode, value, error in modes if error]
    return [Row("aberrations", ", ".join(texts) + " rad")] if texts else []


def dark_field_rows(report: Report) -> list[Row]:
    """Return the line of a summary about dark-field frames, if they were used."""
    used = report.get("dark_field")
    if used is None:
        return []
    return [
        Row(
            "dark field",
            f"{len(used['frames'])} frames up to an NA of {digits(used['largest_na'], 3)}: "
            f"{percent(used['unexplained'])} of "
            f"their amplitudes unexplained, {percent(used['unexplained_by_bright_field'])} by bright field alone",
        )
    ]


class IdtTask(Task[IdtRecipe, "IdtData"]):
    """Refractive index in three dimensions from intensities under oblique illumination."""

    name = "idt"
    title = "IDT refractive index"
    summary = "Refractive index in three dimensions from intensities under oblique illumination."
    recipe_type = IdtRecipe
    source_help = f"Multi-page TIFF, folder or glob of {IMAGES} files, or MATLAB file: one frame per illumination."
    attachments = ("background",)
    dock = "napari_diner.widgets.idt.dock:IdtDock"
    samples = (
        Sample(
            "idt",
            "Cells, oblique illumination (simulated, 24 directions)",
            "Simulate cells under oblique illumination, with their refractive index and a recipe.",
            IdtSimulation,
            simulate,
        ),
    )
    checks = (
        Check(
            "directions",
            "Which way round?",
            "Rank alternative assignments of directions to frames: rotated, mirrored, or reordered.",
            rank_directions,
        ),
        Check(
            "slices",
            "Which slices?",
            "Recommend number, spacing and position of the slices, from the optics and from where the sample ends.",
            rank_slices,
        ),
    )
    shortcuts = (
        Shortcut(
            "uncertainty",
            "Also write n_uncertainty.tif: the standard deviation of the index at each voxel by noise.",
            lambda value: {"uncertainty": {"map": value}},
            bool,
        ),
    )
    follows = True
    demo = Demo("idt", ("tikhonov", "voxels", "diner"), 25.0)
    contenders: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "tikhonov": {"solver": "tikhonov", "model": "born", "dark_field": "leave_out"},
        "voxels": {"solver": "voxels"},
        "diner": {"solver": "diner"},
        "decaf": {"solver": "decaf", "start": "empty"},
    }
    columns: ClassVar[Mapping[str, str]] = {
        "unexplained": "unexplained",
        "n_re_psnr_db": "index dB",
        "n_re_rmse": "index RMSE",
        "n_re_correlation": "correlation",
        "measurement_psnr_db": "measured dB",
        "seconds": "seconds",
        "iterations": "iterations",
        "parameters": "parameters",
    }

    def assemble(self, recipe: IdtRecipe, frames: Frames | None = None) -> IdtData:
        """Return the recording of a recipe."""
        from napari_diner.tasks.idt.data import assemble

        return assemble(recipe, frames)

    def plan(self, recipe: IdtRecipe, frames: Frames | None = None) -> MemoryPlan:
        """Return the planned memory of a run."""
        from napari_diner.tasks.idt.memory import planned

        return planned(recipe, frames)

    def check_series(self, recipe: IdtRecipe, frames: Frames | None = None) -> None:
        """Refuse a series of fields that are computed in tiles."""
        from napari_diner.tasks.idt.memory import is_tiled
        from napari_diner.tasks.idt.tiles import no_series

        if is_tiled(recipe, frames):
            raise no_series()

    def job(self, recipe: IdtRecipe, data: IdtData, truth: TrueVolume | None = None) -> IdtJob | TiledIdtJob:
        """Return the reconstruction of a recording, in tiles if the recipe or the memory demands it."""
        from napari_diner.tasks.idt.job import IdtJob
        from napari_diner.tasks.idt.recording import IdtRecording
        from napari_diner.tasks.idt.tiled import TiledIdtJob

        recording = IdtRecording(recipe, data, truth)
        return IdtJob(recording) if recording.layout is None else TiledIdtJob(recording, recording.layout)

    def load_truth(self, folder: Path) -> TrueVolume:
        """Read the true refractive index."""
        from napari_diner.tasks.idt.truth import load_truth

        return load_truth(folder)

    def truth_of(self, sample: SampleData) -> TrueVolume:
        """Return the true refractive index of a sample."""
        from napari_diner.tasks.idt.truth import TrueVolume

        n_re, n_im = sample.truth
        return TrueVolume(n_re.data, n_im.data)

    def summary_rows(self, report: Report) -> list[Row]:
        """Return the lines of the summary of a report."""
        rows = figure_rows(
            report, ("verdict", "unexplained", "solver", "model", "iterations", "seconds", "measurement_psnr_db")
        )
        rows += (
            figure_rows(report.get("truth", {}), remark=" (truth)") + aberration_rows(report) + dark_field_rows(report)
        )
        rows += frames_row(report)
        return rows + [Row("note", text) for text in report.get("uncertainty", {}).get("statements", ())]

    def write_extras(self, result: Result, folder: Path) -> Sequence[str]:
        """Draw slices of a result, and the recorded frequencies if its uncertainty was estimated."""
        from matplotlib.figure import Figure

        from napari_diner.tasks.idt.slice_figure import draw_slices

        figure = Figure(layout="constrained")
        draw_slices(result, figure)
        figure.savefig(folder / PICTURE, dpi=110)
        if "uncertainty" not in result.report or not isinstance(result.recipe, IdtRecipe):
            return (PICTURE,)
        from napari_diner.tasks.idt.recorded_figure import draw_recorded_of

        figure = Figure(layout="constrained")
        if not draw_recorded_of(result.recipe, result.report, figure):
            return (PICTURE,)
        figure.savefig(folder / RECORDED, dpi=110)
        return PICTURE, RECORDED

    def criterion(self, comparison: Comparison) -> str:
        """Return the error of the index if there is a truth, otherwise that of the data."""
        has_truth = all("truth" in result.report for result in comparison.results.values())
        return "n_re_psnr_db" if has_truth else "measurement_psnr_db"

    def draw_comparison(self, comparison: Comparison, figure: Figure) -> None:
        """Draw the loss of each solver against time, and slices of its volume."""
        from napari_diner.tasks.idt.slice_figure import draw_comparison

        draw_comparison(comparison, figure)
