"""Calibration of the illuminations: the cost of wrong directions, and how much of it a calibration recovers.

    python benchmarks/idt_calibration.py -o results                    # a simulated recording
    python benchmarks/idt_calibration.py --data FOLDER ... -o results  # also folders with frames and params.json

The simulated recording shows weak cells with multiple scattering and noise. Each direction is rotated by one degree
about a random axis (within the objective's aperture), then estimated by the circles in the spectra alone, and
refined together with the object. For each: the remaining angles, the error of the volume inside the object (RMSE of
n_re, in 1e-3) and the correlation with the truth, for least squares with the best weight, and for voxels
with total variation and positivity. Seconds are those of the calibration and one least-squares solution. For
recordings: spectra with the circles of the given and the estimated directions, and a slice of each volume.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from napari_diner.physics.idt.illumination import Illumination
from napari_diner.simulate.idt.recording import simulate
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.idt.data import IdtData, assemble, contrast_of
from napari_diner.tasks.idt.geometry_preview import circles, spectra
from napari_diner.tasks.idt.job import IdtJob
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.idt.truth import TrueVolume
from napari_diner.tasks.result import Result
from napari_diner.tasks.run import Run
from output import table, write

Vector = npt.NDArray[np.float64]
CALIBRATIONS = ("given", "circles", "refine")
WEIGHTS = (0.1, 0.2, 0.5, 1, 2, 5, 10)


def turned(apertures: Vector, angle_deg: float, na: float, seed: int) -> Vector:
    """Rotate directions (N, 2) by an angle in air about random axes, clipped to the aperture."""
    random = np.random.default_rng(seed)
    rays = with_axial(apertures)
    across = random.standard_normal(rays.shape)
    across -= (across * rays).sum(1, keepdims=True) * rays
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    moved: Vector = (np.cos(np.deg2rad(angle_deg)) * rays + np.sin(np.deg2rad(angle_deg)) * across)[:, :2]
    radius = np.linalg.norm(moved, axis=1, keepdims=True)
    inside: Vector = moved * np.minimum(1, na / radius)
    return inside


def angles_deg(first: Vector, second: Vector) -> Vector:
    """Return the angles between directions in air, in degrees, (N,)."""
    # more accurate for small angles than the arccosine
    chord = np.linalg.norm(with_axial(first) - with_axial(second), axis=1)
    angles: Vector = np.rad2deg(2 * np.arcsin(chord / 2))
    return angles


def with_axial(apertures: Vector) -> Vector:
    """Return the unit vectors (N, 3) of numerical apertures (N, 2)."""
    axial = np.sqrt(np.clip(1 - (apertures**2).sum(1, keepdims=True), 0, 1))
    rays: Vector = np.concatenate([apertures, axial], 1)
    return rays


def run(recipe: IdtRecipe, data: IdtData, truth: TrueVolume | None = None) -> tuple[Result, float]:
    """Return the result of a recipe, and the seconds that it took."""
    start = time.perf_counter()
    with Run(IdtJob(IdtRecording(recipe, data, truth))) as work:
        for _ in work:
            pass
        return work.result(), time.perf_counter() - start


def simulated(settings: IdtSimulation, seeds: list[int]) -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """Return the rows of the table, and all figures of it."""
    sample = simulate(settings)
    truth = TrueVolume(sample.phantom.n_re, sample.phantom.n_im)
    data = IdtData(sample.frames)
    base = {
        "wavelength_um": settings.wavelength_um, "pixel_size_um": settings.pixel_size_um, "na": settings.na,
        "medium_index": settings.medium_index, "slice_spacing_um": settings.slice_spacing_um,
        "slice_count": settings.slices, "background": "ratio", "solver": "tikhonov", "model": "born",
    }  # fmt: skip
    rows, figures = [], []

    def add(name: str, seed: int | None, given: Vector, calibration: str) -> None:
        recipe = IdtRecipe.parse(
            {**base, "illuminations": given.tolist(), "calibration": {"illuminations": calibration}}
        )
        result, seconds = run(recipe, data, truth)
        found = np.asarray(result.report.get("calibration", {}).get("illuminations_na", given))
        away = angles_deg(found, sample.illuminations)
        known = recipe.updated({"illuminations": found.tolist(), "calibration": {"illuminations": "given"}})
        weight = result.report["regularization"]["tikhonov"]
        squares = [
            run(known.updated({"regularization": {"tikhonov": weight * factor}}), data, truth)[0] for factor in WEIGHTS
        ]
        best = min((one.report["truth"] for one in squares), key=lambda scores: scores["n_re_rmse"])
        voxels = run(known.updated({"solver": "voxels"}), data, truth)[0].report["truth"]
        figures.append(
            {
                "name": name, "seed": seed, "mean_deg": float(away.mean()), "rms_deg": float(np.sqrt((away**2).mean())),
                "largest_deg": float(away.max()), "seconds": seconds, "chosen": result.report["truth"],
                "best_tikhonov": best, "voxels": voxels, "illuminations_na": found.tolist(),
            }
        )  # fmt: skip
        rows.append(
            [name, "" if seed is None else seed, float(away.mean()), float(away.max()), 1e3 * best["n_re_rmse"],
             best["n_re_correlation"], 1e3 * voxels["n_re_rmse"], voxels["n_re_correlation"], seconds]
        )  # fmt: skip
        print(*rows[-1], sep="   ", flush=True)

    add("true directions", None, sample.illuminations, "given")
    for seed in seeds:
        wrong = turned(sample.illuminations, 1.0, settings.na, seed)
        for calibration in CALIBRATIONS:
            add("wrong directions" if calibration == "given" else calibration, seed, wrong, calibration)
    return rows, figures


def recording_recipe(folder: Path, which: str, extent_um: tuple[float, float, float]) -> IdtRecipe:
    """Return the recipe of a recording: params.json has its optics and, as (x, y), the directions `which`."""
    params = json.loads((folder / "params.json").read_text())
    first, last, spacing = extent_um
    stack = next(path for path in sorted(folder.glob("*.tif")) if "background" not in path.name)
    empty = next((path for path in sorted(folder.glob("*.tif")) if "background" in path.name), None)
    return IdtRecipe.parse(
        {
            "stack": str(stack), "background": "mean" if empty is None else str(empty),
            "wavelength_um": params["wavelength_um"], "pixel_size_um": params["pixel_um"],
            "na": params["objective_NA"], "medium_index": params["n0"],
            "illuminations": np.asarray(params[which])[:, ::-1].tolist(), "solver": "tikhonov", "model": "born",
            "first_slice_um": first, "slice_spacing_um": spacing, "slice_count": round((last - first) / spacing) + 1,
        }
    )  # fmt: skip


def recording(folder: Path, arguments: argparse.Namespace) -> tuple[list[list[Any]], list[dict[str, Any]], Figure]:
    """Return the rows of the table, all figures, and the drawing of a recording."""
    recipe = recording_recipe(folder, arguments.directions, tuple(arguments.extent_um))
    data = assemble(recipe)
    contrast, _ = contrast_of(recipe, data)
    given = np.asarray(recipe.illuminations)
    rows, figures, volumes = [], [], {}
    for calibration in CALIBRATIONS:
        for move in ("each", "together") if calibration != "given" else ("each",):
            settings = {"illuminations": calibration, "move": move, "search_na": arguments.search_na}
            result, seconds = run(recipe.updated({"calibration": settings}), data)
            report = result.report.get("calibration", {})
            found = np.asarray(report.get("illuminations_na", given))
            shift = found - given
            name = calibration if calibration == "given" else f"{calibration}, {move}"
            volumes[name] = (found, result)
            figure = {
                "folder": folder.name, "name": name, "seconds": seconds, "mean_shift_na": shift.mean(0).tolist(),
                "rms_shift_na": float(np.sqrt((shift**2).sum(1).mean())), "calibration": report,
                "residual_rms": result.report["residual_rms"], "warnings": result.report["warnings"],
            }  # fmt: skip
            figures.append(figure)
            rows.append(
                [name, *(f"{value:+.4f}" for value in shift.mean(0)), figure["rms_shift_na"],
                 figure["residual_rms"], seconds]
            )  # fmt: skip
            print(folder.name, *rows[-1], sep="   ", flush=True)
    return rows, figures, pictures(contrast, recipe, volumes, arguments.slice_um)


def pictures(
    contrast: npt.NDArray[np.float32], recipe: IdtRecipe, volumes: dict[str, tuple[Vector, Result]], slice_um: float
) -> Figure:
    """Draw the spectra of three frames with given (dashed) and estimated circles, and a slice of each volume."""
    geometry = recipe.geometry((recipe.slice_count, contrast.shape[1], contrast.shape[2]))
    figure = Figure(figsize=(4 * len(volumes), 13), layout="constrained")
    axes = figure.subplots(4, len(volumes), squeeze=False)
    logs = spectra(contrast, geometry.pixel_size_um)
    _, rows, columns = logs.data.shape
    _, high, wide = logs.scale_um
    given = volumes["given"][0]
    reach = 2.1 * geometry.cutoff
    # three directions far apart and far from the axis
    frames = [int(np.argmax(given @ np.array([np.sin(angle), np.cos(angle)]))) for angle in (0, 2.1, 4.2)]
    extent = ((-(columns // 2) - 0.5) * wide, (columns - columns // 2 - 0.5) * wide,
              (rows - rows // 2 - 0.5) * high, (-(rows // 2) - 0.5) * high)  # fmt: skip
    for place, (name, (found, result)) in enumerate(volumes.items()):
        for row, frame in enumerate(frames):
            axis = axes[row, place]
            axis.imshow(logs.data[frame], cmap="gray", extent=extent, vmin=np.percentile(logs.data[frame], 5))
            for directions, style in ((given, "y--"), (found, "c-")):
                rings = circles(Illumination.of(directions.tolist()), geometry.wavelength_um, geometry.na)
                for line in rings.outlines()[frame]:
                    axis.plot(line[:, 1], line[:, 0], style, linewidth=0.8)
            axis.set(xlim=(-reach, reach), ylim=(reach, -reach), title=f"{name}, frame {frame + 1}")
        n_re = result["n_re"].data
        first = recipe.first_slice_um if recipe.first_slice_um is not None else -(len(n_re) - 1) / 2
        chosen = int(np.clip(round((slice_um - first) / recipe.slice_spacing_um), 0, len(n_re) - 1))
        low, top = np.percentile(n_re[chosen], (0.5, 99.5))
        axes[3, place].imshow(n_re[chosen], cmap="gray", vmin=low, vmax=top)
        axes[3, place].set_title(f"n_re at {first + chosen * recipe.slice_spacing_um:+.1f} µm")
        axes[3, place].set_axis_off()
    return figure


def drawn(figures: list[dict[str, Any]]) -> Figure:
    """Draw the remaining angles, direction by direction."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    truth = np.asarray(figures[0]["illuminations_na"])
    for place, name in enumerate(("wrong directions", "circles", "refine")):
        own = [one for one in figures if one["name"] == name]
        left = [np.sort(angles_deg(np.asarray(one["illuminations_na"]), truth)) for one in own]
        for line in left:
            axes.plot(np.arange(1, len(line) + 1), line, color=f"C{place}", label=name if line is left[0] else None)
    axes.axhline(0.2, color="0.5", linewidth=0.8)
    axes.set(xlabel="directions, sorted", ylabel="angle from the truth (°)", ylim=(0, None))
    axes.legend()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders with frames and params.json")
    parser.add_argument("--directions", default="illumination_NA_nominal", help="list of directions in params.json")
    parser.add_argument(
        "--extent-um", type=float, nargs=3, default=[-26.6, 133.0, 6.65], metavar=("FROM", "TO", "STEP")
    )
    parser.add_argument("--slice-um", type=float, default=12.0, help="depth of the slice to draw")
    parser.add_argument("--search-na", type=float, default=0.03, help="search range for recordings")
    parser.add_argument("--size", type=int, default=128, help="pixels of the simulated frames along each axis")
    parser.add_argument("--slices", type=int, default=24, help="slices of the simulated volume")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the wrong directions")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for idt_calibration.txt, .png and .json"
    )
    arguments = parser.parse_args()
    settings = IdtSimulation(slices=arguments.slices, height_px=arguments.size, width_px=arguments.size)
    rows, figures = simulated(settings, arguments.seeds)
    head = [
        "directions",
        "seed",
        "mean (°)",
        "largest (°)",
        "Tikhonov",
        "correlation",
        "voxels",
        "correlation",
        "seconds",
    ]
    text = table(head, rows)
    report: dict[str, Any] = {"simulated": figures}
    for folder in arguments.data:
        found, ones, picture = recording(folder, arguments)
        head = ["directions", "mean shift y (NA)", "x (NA)", "RMS shift (NA)", "residual", "seconds"]
        text += f"\n\n{folder.name}\n" + table(head, found)
        report.setdefault("recordings", []).extend(ones)
        arguments.output.mkdir(parents=True, exist_ok=True)
        picture.savefig(arguments.output / f"idt_calibration_{folder.name}.png", dpi=80)
    write(arguments.output, "idt_calibration", text, report, drawn(figures))


if __name__ == "__main__":
    main()
