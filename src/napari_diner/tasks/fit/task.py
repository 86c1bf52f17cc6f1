"""The fit of representations as a registered task. Does not import torch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from napari_diner.io.arrays import NamedArray
from napari_diner.io.formats import IMAGES
from napari_diner.simulate.fit.settings import ImageSimulation, VideoSimulation, VolumeSimulation
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.report import Report, figure_rows
from napari_diner.tasks.sample import Demo, Sample, SampleData
from napari_diner.tasks.task import Frames, Row, Shortcut, Task
from napari_diner.wording import digits, percent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from napari_diner.settings import Settings
    from napari_diner.tasks.comparison import Comparison
    from napari_diner.tasks.fit.data import FitData
    from napari_diner.tasks.fit.job import FitJob
    from napari_diner.tasks.memory import MemoryPlan

_SUITABLE_FOR_DEMO = {"height_px": 192, "width_px": 256}


def _sample(name: str, axes: str, settings: Any) -> SampleData:
    """Generate the data of a sample, with a recipe to fit them."""
    from napari_diner.simulate.fit import images

    draw: Callable[[Settings], npt.NDArray[np.unsignedinteger[Any]]] = getattr(images, f"simulate_{name}")
    data = draw(settings)
    scale = {axis: getattr(settings, "pixel_size_um", 1.0) for axis in "YX"}
    scale["Z"] = getattr(settings, "z_step_um", 1.0)
    axes = axes[: data.ndim]
    array = NamedArray(name, data, axes, tuple(scale.get(axis, 1.0) for axis in axes))
    return SampleData(array, FitRecipe(task="fit", image=f"{name}.tif"))


class FitTask(Task[FitRecipe, "FitData"]):
    """A neural representation of an image, a stack, a volume or a video."""

    name = "fit"
    title = "DINER fit"
    summary = "Fit a small neural model to an image, a stack, a volume or a video."
    recipe_type = FitRecipe
    source_field = "image"
    source_help = f"{IMAGES} file, or another supported format; or a folder or glob of frames."
    dock = "napari_diner.widgets.fit.dock:FitDock"
    samples = (
        Sample(
            "image",
            "Colour image (synthetic)",
            "Generate an image with coarse and fine structure, edges and gradients, and a recipe to fit it.",
            ImageSimulation,
            functools.partial(_sample, "image", "YXS"),
        ),
        Sample(
            "volume",
            "16-bit volume (simulated)",
            "Simulate a 16-bit volume as recorded by a fluorescence microscope, with a recipe to fit it.",
            VolumeSimulation,
            functools.partial(_sample, "volume", "ZYX"),
        ),
        Sample(
            "video",
            "Short video (synthetic)",
            "Generate a video that pans over a scene with moving objects in front of it, with a recipe to fit it.",
            VideoSimulation,
            functools.partial(_sample, "video", "TYXS"),
        ),
    )
    demo = Demo("image", ("diner-siren", "siren", "pe-mlp", "hash-grid"), 8.0, _SUITABLE_FOR_DEMO)
    shortcuts = (
        Shortcut(
            "backbone",
            "The network behind DINER's table: siren, mlp or finer; short for --diner.backbone.",
            lambda backbone: {"diner": {"backbone": backbone}},
        ),
    )
    contenders: ClassVar[Mapping[str, Mapping[str, object]]] = {
        **{
            f"diner-{backbone}": {"representation": "diner", "diner": {"backbone": backbone}, "bit_exact": False}
            for backbone in ("siren", "mlp", "finer")
        },
        **{name: {"representation": name, "bit_exact": False} for name in ("pe-mlp", "siren", "hash-grid", "pixels")},
    }
    columns: ClassVar[Mapping[str, str]] = {
        "unexplained": "unexplained",
        "psnr_db": "PSNR dB",
        "seconds": "seconds",
        "iterations": "epochs",
        "parameters": "parameters",
        "bits_per_pixel": "bits/pixel",
    }
    follows = True
    curve = "psnr_db"

    def assemble(self, recipe: FitRecipe, frames: Frames | None = None) -> FitData:
        """Return the data of a recipe."""
        from napari_diner.tasks.fit.data import assemble

        return assemble(recipe, frames)

    def plan(self, recipe: FitRecipe, frames: Frames | None = None) -> MemoryPlan:
        """Return the planned memory of a run."""
        from napari_diner.tasks.fit.data import planned

        return planned(recipe, frames)

    def job(self, recipe: FitRecipe, data: FitData, truth: None = None) -> FitJob:
        """Return the fit to data."""
        from napari_diner.tasks.fit.job import FitJob

        return FitJob(recipe, data)

    def summary_rows(self, report: Report) -> list[Row]:
        """Return the lines of the summary of a report."""
        rows = figure_rows(report, ("verdict", "unexplained", "solver"))
        rows.append(Row("epochs", f"{report['iterations']:,}"))
        rows += figure_rows(report, ("seconds",))
        rows.append(Row("seconds per epoch", digits(report["seconds_per_epoch"], 3)))
        rows += figure_rows(report, ("psnr_db",))
        if "float_psnr_db" in report:
            what = "of the network without corrections" if "largest_error" in report else "before the table was rounded"
            rows.append(Row(f"PSNR {what}", f"{report['float_psnr_db']:.2f} dB"))
        if "largest_error" in report:
            share = percent(report["corrected"])
            rows.append(
                Row("largest error", f"{digits(report['largest_error'], 4)} ({share} of the numbers are corrected)")
            )
        # rounded down, so that 100 % means that all are equal
        rows.append(Row("equal after rounding", f"{math.floor(1e5 * report['identical']) / 1e3:g} %"))
        source = report.get("source_bits_per_pixel")
        beside = "" if source is None else f" (source file {source:.2f})"
        rows.append(Row("bits per pixel", f"{report['bits_per_pixel']:.2f}{beside}"))
        return rows + figure_rows(report, ("parameters",))

    def write_comparison_extras(self, comparison: Comparison, folder: Path) -> Sequence[str]:
        """Draw the insight into the first DINER of a comparison."""
        from napari_diner.tasks.fit.figures import draw_learned

        diners = [result for name, result in comparison.results.items() if name.startswith("diner")]
        return draw_learned(diners[0], folder) if diners else ()

    def criterion(self, comparison: Comparison) -> str:
        """Return the PSNR."""
        return "psnr_db"

    def competing(self, name: str) -> bool:
        """Return whether a contender can win: all but the pixels, which are the data themselves."""
        return name != "pixels"

    def draw_comparison(self, comparison: Comparison, figure: Figure) -> None:
        """Draw the PSNR of each representation against time, and the part of the image where they differ most."""
        from napari_diner.tasks.fit.figures import draw_comparison

        draw_comparison(comparison, figure)
