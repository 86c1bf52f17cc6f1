"""Aberrations of the objective: their cost, how much of it a calibration recovers, and its standard errors.

    python benchmarks/pupil.py -o results                    # 50 recordings of 48×48 pixels
    python benchmarks/pupil.py --repeats 4 -o results        # a quick look

Each recording shows other weak cells (multiple scattering, noise) through another objective, whose pupil has an RMS
phase of 0.5 rad in the Zernike modes 4 to 11, and each direction is wrong by 0.5°. Defocus is given, as it is only
a position of the volume along z. Index errors (RMSE in 1e-3, and correlation, inside the object) are those of
least-squares volumes of the first recordings. Coverage is the part of the coefficients within 1.645 standard errors,
which should be 90 %, over all recordings, with directions and pupil refined together.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from idt_calibration import angles_deg, run, turned
from napari_diner.simulate.idt.recording import simulate
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.truth import TrueVolume
from output import table, write

RMS_RAD, OFF_DEG, WITHIN = 0.5, 0.5, 1.645
MODES = range(4, 12)
BOTH = "directions and pupil refined"
CALIBRATIONS: dict[str, dict[str, object]] = {
    "neither": {},
    "directions refined": {"illuminations": "refine"},
    "pupil refined": {"pupil": True},
    BOTH: {"illuminations": "refine", "pupil": True},
}


def recording(seed: int, arguments: argparse.Namespace) -> tuple[dict[str, dict[str, Any]], npt.NDArray[np.float64]]:
    """Return the figures of each calibration of a recording, and its true coefficients."""
    true = np.random.default_rng(seed).standard_normal(len(MODES))
    true *= RMS_RAD / np.linalg.norm(true)
    settings = IdtSimulation(
        slices=arguments.slices, height_px=arguments.size, width_px=arguments.size, frames=arguments.frames,
        slice_spacing_um=0.8, zernike_rad=tuple(true.tolist()), seed=seed,
    )  # fmt: skip
    sample = simulate(settings)
    data, truth = IdtData(sample.frames), TrueVolume(sample.phantom.n_re, sample.phantom.n_im)
    wrong = turned(sample.illuminations, OFF_DEG, settings.na, seed)
    base = {
        "wavelength_um": settings.wavelength_um, "pixel_size_um": settings.pixel_size_um, "na": settings.na,
        "medium_index": settings.medium_index, "slice_spacing_um": settings.slice_spacing_um,
        "slice_count": settings.slices, "background": "ratio", "solver": "tikhonov", "model": "born",
    }  # fmt: skip

    def figures(given: npt.NDArray[np.float64], zernike: list[float], calibration: dict[str, object]) -> dict[str, Any]:
        recipe = IdtRecipe.parse(
            {
                **base, "illuminations": given.tolist(), "pupil": {"zernike_rad": zernike},
                "calibration": {"search_na": 0.03, **calibration},
            }
        )  # fmt: skip
        result, seconds = run(recipe, data, truth)
        report = result.report.get("calibration", {})
        directions = np.asarray(report.get("illuminations_na", given))
        return {
            "seconds": seconds, "rms_deg": float(np.sqrt((angles_deg(directions, sample.illuminations) ** 2).mean())),
            "zernike_rad": report.get("zernike_rad"), "zernike_rad_se": report.get("zernike_rad_se"),
            **{key: result.report["truth"][key] for key in ("n_re_rmse", "n_re_correlation")},
        }  # fmt: skip

    shown = seed < arguments.shown
    found = {
        name: figures(wrong, [float(true[0])], calibration)
        for name, calibration in CALIBRATIONS.items()
        if shown or name == BOTH
    }
    if shown:
        found["both known"] = figures(sample.illuminations, true.tolist(), {})
        found["both refined, defocus unknown"] = figures(wrong, [], CALIBRATIONS[BOTH])
    return found, true


def coverage(
    recordings: list[dict[str, dict[str, Any]]], trues: list[npt.NDArray[np.float64]]
) -> tuple[list[list[Any]], list[dict[str, Any]], Figure]:
    """Return the rows of the table of modes, all figures, and the drawing of errors against standard errors."""
    found = np.array([one[BOTH]["zernike_rad"] for one in recordings])[:, 1:]
    error = np.array([one[BOTH]["zernike_rad_se"] for one in recordings])[:, 1:]
    off = found - np.array(trues)[:, 1:]
    within = np.abs(off) <= WITHIN * error
    rows: list[list[Any]] = [
        [mode, float(np.sqrt((off[:, n] ** 2).mean())), float(np.median(error[:, n])), f"{within[:, n].mean():.0%}"]
        for n, mode in enumerate(MODES[1:])
    ]
    rows.append(["all", float(np.sqrt((off**2).mean())), float(np.median(error)), f"{within.mean():.0%}"])
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for n, mode in enumerate(MODES[1:]):
        axes.loglog(error[:, n], np.abs(off[:, n]), ".", label=f"Z{mode}")
    ends = np.array([error.min(), error.max()])
    axes.loglog(ends, WITHIN * ends, "k-", linewidth=0.8)
    axes.set(xlabel="standard error (rad)", ylabel="error (rad)")
    axes.legend()
    return rows, [{"true": true.tolist(), **one} for one, true in zip(recordings, trues, strict=True)], figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50, help="recordings")
    parser.add_argument("--shown", type=int, default=3, help="recordings whose index errors are compared")
    parser.add_argument("--size", type=int, default=48, help="pixels of the frames along each axis")
    parser.add_argument("--slices", type=int, default=8)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for pupil.txt, .png and .json")
    arguments = parser.parse_args()
    recordings: list[dict[str, dict[str, Any]]] = []
    trues: list[npt.NDArray[np.float64]] = []
    for seed in range(arguments.repeats):
        found, true = recording(seed, arguments)
        recordings.append(found)
        trues.append(true)
        for name, one in found.items():
            print(seed, name, f"{one['n_re_correlation']:.3f}", f"{one['seconds']:.0f} s", sep="   ", flush=True)
        if (seed + 1) % 10 == 0 or seed + 1 == arguments.repeats:
            write(arguments.output, "pupil", *summary(recordings, trues))


def summary(
    recordings: list[dict[str, dict[str, Any]]], trues: list[npt.NDArray[np.float64]]
) -> tuple[str, dict[str, Any], Figure]:
    """Return the tables of index errors and of coverage, all figures, and the drawing."""
    rows: list[list[Any]] = []
    for name in recordings[0]:
        of_name = [one[name] for one in recordings if name in one and len(one) > 1]
        mean = {
            key: float(np.mean([one[key] for one in of_name]))
            for key in ("n_re_rmse", "n_re_correlation", "rms_deg", "seconds")
        }
        rows.append([name, 1e3 * mean["n_re_rmse"], mean["n_re_correlation"], mean["rms_deg"], mean["seconds"]])
    text = table(["refined", "RMSE", "correlation", "directions (°)", "seconds"], rows)
    rows, figures, figure = coverage(recordings, trues)
    head = ["mode", "RMS error (rad)", "standard error (rad)", f"within {WITHIN} standard errors"]
    return f"{text}\n\n{len(recordings)} recordings\n{table(head, rows)}", {"recordings": figures}, figure


if __name__ == "__main__":
    main()
