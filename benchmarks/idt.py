"""IDT solvers on the same phantoms: errors of the refractive index, seconds and memory.

    python benchmarks/idt.py -o results                          # a weak and a strong cell
    python benchmarks/idt.py --phase 0.3 --size 64 --slices 16 -o results
    python benchmarks/idt.py --volume n_re.tif --model born multislice -o results     # a volume of your own
    python benchmarks/idt.py --large -o results                  # one run of 512×512×60, for its memory

Runs are sequential, each in its own process, so that the peak memory is that of one run. The best Tikhonov has the
weight closest to the truth, which is unknown in practice; all others choose their weights automatically.
"""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from skimage.metrics import structural_similarity

from napari_diner.io.images import read_image
from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.simulate.idt.cells import cells
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.task import IdtTask
from napari_diner.tasks.idt.truth import TrueVolume
from napari_diner.tasks.task import Frames
from output import table, write

OPTICS: dict[str, Any] = {
    "wavelength_um": 0.515, "pixel_size_um": 0.1625, "na": 0.65, "medium_index": 1.33, "ring": {"na": 0.637},
}  # fmt: skip
NOISE = 0.005
RUNS: dict[str, dict[str, Any]] = {
    "tikhonov": {"solver": "tikhonov"},
    "voxels": {"solver": "voxels"},
    "diner": {"solver": "diner"},
    "decaf": {"solver": "decaf", "start": "empty", "gradient": {"iterations": 100_000}},
}
COLUMNS = (
    "solver",
    "model",
    "RMSE",
    "of best Tikhonov",
    "correlation",
    "SSIM",
    "residual",
    "seconds",
    "peak MB",
)


def geometry_of(shape: tuple[int, int, int], arguments: argparse.Namespace) -> VolumeGeometry:
    """Return the geometry of a volume (Z, Y, X) under these optics."""
    light = (OPTICS["wavelength_um"], OPTICS["medium_index"])
    return VolumeGeometry(shape, arguments.spacing, *light, OPTICS["pixel_size_um"], OPTICS["na"])


def phantom(arguments: argparse.Namespace, phase: float | None) -> TrueVolume:
    """Return cells with a given peak phase, or the volume from a file."""
    if phase is None:
        n_re = read_image(arguments.volume).astype(np.float64)
        return TrueVolume(n_re, np.zeros_like(n_re))
    found = cells(
        geometry_of((arguments.slices, arguments.size, arguments.size), arguments),
        peak_phase_rad=phase,
        seed=arguments.seed,
    )
    return TrueVolume(found.n_re, found.n_im)


def recorded(
    truth: TrueVolume, model: str, arguments: argparse.Namespace, device: torch.device | str = "cpu"
) -> np.ndarray[Any, Any]:
    """Simulate the frames of a phantom, I / I_background, (N, Y, X)."""
    kind = SSNPModel if model == "multislice" else BornModel
    simulator = kind(
        geometry_of(truth.n_re.shape, arguments), ring(OPTICS["ring"]["na"], arguments.frames), device=device
    )
    n_re, n_im = (torch.from_numpy(np.asarray(part, np.float64)) for part in (truth.n_re, truth.n_im))
    with torch.no_grad():
        frames = simulator.intensities(permittivity_contrast(n_re, n_im, OPTICS["medium_index"]).float()).cpu().numpy()
    noise = NOISE * np.random.default_rng(arguments.seed).standard_normal(frames.shape)
    return (frames + noise).astype(np.float32)


def run(recipe: IdtRecipe, frames: np.ndarray[Any, Any], truth: TrueVolume) -> dict[str, Any]:
    """Reconstruct, and return the report with the refractive index."""
    losses = []
    with IdtTask().start(recipe, Frames(frames), truth=truth) as work:
        for progress in work:
            losses.append((progress.elapsed_s, progress.stage, progress.losses.get("loss")))
        result = work.result()
    return {**result.report, "n_re": result["n_re"].data, "curve": losses}


def alone(*arguments: Any) -> dict[str, Any]:
    """Call `run` in a separate process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, arguments)


def best_tikhonov(recipe: IdtRecipe, frames: np.ndarray[Any, Any], truth: TrueVolume, chosen: float) -> dict[str, Any]:
    """Return the report of the closed form with the weight closest to the truth."""
    found = [
        run(recipe.updated({"regularization": {"tikhonov": chosen * factor}}), frames, truth)
        for factor in np.geomspace(1e-2, 1e2, 13).tolist()
    ]
    return min(found, key=lambda report: report["truth"]["n_re_rmse"])


def scores(report: dict[str, Any], truth: TrueVolume, best: float) -> dict[str, Any]:
    """Return the figures of one run; structural similarity is that of the bounding box of the object."""
    true = np.asarray(truth.n_re, np.float64) - OPTICS["medium_index"]
    places = np.argwhere(np.abs(true) > 0.01 * np.abs(true).max())
    box = tuple(slice(low, high + 1) for low, high in zip(places.min(0), places.max(0), strict=True))
    found = report["n_re"].astype(np.float64) - OPTICS["medium_index"]
    window = min(7, *(2 * ((part.stop - part.start - 1) // 2) + 1 for part in box))
    return {
        "model": report["model"],
        "n_re_rmse": report["truth"]["n_re_rmse"],
        "of_best_tikhonov": report["truth"]["n_re_rmse"] / best,
        "n_re_correlation": report["truth"].get("n_re_correlation", float("nan")),
        "ssim": float(structural_similarity(true[box], found[box], data_range=float(np.ptp(true)), win_size=window)),
        "residual_rms": report["residual_rms"],
        "seconds": report["seconds"],
        "peak_memory_mb": report["peak_memory_mb"],
    }


def draw(figure: Figure, place: Any, title: str, n_re: np.ndarray[Any, Any], limits: tuple[float, float]) -> None:
    """Draw the central xy and xz slices of a volume."""
    parts = place.subgridspec(2, 1, height_ratios=[n_re.shape[1], max(n_re.shape[0] * 3, 1)], hspace=0.05)
    for row, (image, stretch) in enumerate(((n_re[len(n_re) // 2], 1.0), (n_re[:, n_re.shape[1] // 2], 3.0))):
        axes = figure.add_subplot(parts[row])
        axes.imshow(image, cmap="magma", vmin=limits[0], vmax=limits[1], aspect=stretch)
        axes.set(xticks=[], yticks=[])
        if row == 0:
            axes.set_title(title, fontsize=8)


def compared(
    truth: TrueVolume, frames: np.ndarray[Any, Any], arguments: argparse.Namespace
) -> tuple[dict[str, Any], Any]:
    """Run all solvers on one recording; return their figures and their volumes."""
    common = {
        **OPTICS, "slice_spacing_um": arguments.spacing, "slice_count": len(truth.n_re), "background": "ratio",
        "device": arguments.device,
    }  # fmt: skip
    reports = {}
    for name, changes in RUNS.items():
        limit = {"max_seconds": arguments.seconds} if name != "tikhonov" else {}
        reports[name] = alone(IdtRecipe.parse({**common, **changes, **limit}), frames, truth)
    alpha = reports["tikhonov"]["regularization"]["tikhonov"]
    single = IdtRecipe.parse({**common, "solver": "tikhonov"})
    best = best_tikhonov(single, frames, truth, alpha)
    reports = {"best tikhonov": best, **reports}
    floor = best["truth"]["n_re_rmse"]
    figures = {name: scores(report, truth, floor) for name, report in reports.items()}
    for name, report in reports.items():
        figures[name]["warnings"] = report["warnings"]
        figures[name]["stages"] = report["stages"]
    return figures, {name: report["n_re"] for name, report in reports.items()}


def large(arguments: argparse.Namespace) -> None:
    """Reconstruct 512×512×60 voxels once, and print memory and time per stage."""
    arguments.slices, arguments.size = 60, 512
    truth = phantom(arguments, 0.3)
    frames = recorded(truth, "born", arguments)
    recipe = IdtRecipe.parse(
        {**OPTICS, "slice_spacing_um": arguments.spacing, "slice_count": 60, "background": "ratio"}
    )
    report = alone(recipe.updated({"iterations": 10, "max_seconds": arguments.seconds}), frames, truth)
    text = table(
        ("stage", "iterations", "seconds"), [(s["name"], s["iterations"], s["seconds"]) for s in report["stages"]]
    )
    text += f"\npeak memory {report['peak_memory_mb']:.0f} MB"
    write(arguments.output, "idt_large", text, {"stages": report["stages"], **report["truth"]}, Figure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase", type=float, nargs="*", default=[0.3, 1.5], help="peak phases of the cells, in rad")
    parser.add_argument("--volume", type=Path, help="TIFF file with a refractive index to use instead of cells")
    parser.add_argument(
        "--model", nargs="*", default=["multislice"], choices=["multislice", "born"], help="forward model of the data"
    )
    parser.add_argument("--size", type=int, default=128, help="rows and columns of the volume")
    parser.add_argument("--slices", type=int, default=24, help="slices of the volume")
    parser.add_argument("--spacing", type=float, default=0.5, help="distance between slices in µm")
    parser.add_argument("--frames", type=int, default=24, help="illuminations")
    parser.add_argument("--seconds", type=float, default=180.0, help="time for each solver")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--large", action="store_true", help="one run of 512×512×60 voxels")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for idt.txt, .png and .json")
    arguments = parser.parse_args()
    if arguments.large:
        large(arguments)
        return
    objects = {"volume": None} if arguments.volume else {f"{phase:g} rad": phase for phase in arguments.phase}
    texts, report = [], {}
    cases = [(name, phase, model) for name, phase in objects.items() for model in arguments.model]
    figure = Figure(figsize=(2.1 * (len(RUNS) + 2), 3.2 * len(cases)), layout="constrained")
    grid = figure.add_gridspec(len(cases), len(RUNS) + 2)
    for row, (name, phase, model) in enumerate(cases):
        truth = phantom(arguments, phase)
        figures, volumes = compared(truth, recorded(truth, model, arguments), arguments)
        report[f"{name}, {model} data"] = figures
        rows = [(solver, *list(values.values())[: len(COLUMNS) - 1]) for solver, values in figures.items()]
        texts.append(f"{name}, {model} data\n{table(COLUMNS, rows)}")
        limits = OPTICS["medium_index"], float(np.max(truth.n_re))
        for column, (title, volume) in enumerate({"truth": truth.n_re, **volumes}.items()):
            draw(figure, grid[row, column], f"{title}\n{name}" if column == 0 else title, volume, limits)
    write(arguments.output, "idt", "\n\n".join(texts), report, figure)


if __name__ == "__main__":
    main()
