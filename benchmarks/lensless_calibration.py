"""Self-calibration of lensless recordings: accuracy, speed, and coverage of the standard errors.

    python benchmarks/lensless_calibration.py nominal --data FOLDER -o results   # no shifts, nominal distances
    python benchmarks/lensless_calibration.py blind --data FOLDER -o results     # distances and shifts unknown
    python benchmarks/lensless_calibration.py errors -o results                  # coverage on 50 noisy stacks

FOLDER holds frames, params.json (with nominal_distances_um) and a truth. Without it, `nominal` and `blind` use
simulated data. Times are computing times.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from lensless import published_data, simulated_data
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.solvers.calibration.frame_geometry import trend
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import Truth
from output import finished, versions

# short enough for the diffracted light to stay within a field of 128 pixels
DISTANCES_UM = (80.0, 110.0, 145.0, 185.0, 230.0, 280.0)
CALIBRATE = {"calibration": {"z": True, "shift": True}}


def run(recipe: LenslessRecipe, data: LenslessData, truth: Truth | None = None) -> dict[str, Any]:
    """Reconstruct and return the report."""
    return dict(finished(LenslessJob(recipe, data, truth)).report)


def deviations(report: dict[str, Any], distances: Any, shifts: Any, pixel: float) -> dict[str, Any]:
    """Compare a calibration with the truth; mean and trend are removed from the true shifts, too."""
    found = report["calibration"]
    line = trend(np.asarray(distances, float), np.asarray(shifts, float))
    away = np.array(found["distances_um"]) / distances - 1
    return {
        "distance_error_percent": 100 * float(np.abs(away).max()),
        "shift_error_px": float(np.abs(np.array(found["shifts_um"]) - line.rest_um).max()) / pixel,
        "tilt": found["tilt"],
        "true_tilt": line.tilt.tolist(),
        "distances_um_se": found["distances_um_se"],
        "rounds": found["rounds"],
        "seconds": report["seconds"],
        "calibration_seconds": report["stages"][0]["seconds"],
        **report.get("truth", {}),
    }


def given_data(folder: Path | None) -> tuple[LenslessRecipe, LenslessData, Truth, np.ndarray]:
    """Return recipe, frames and truth, and nominal distances."""
    recipe, data, truth = published_data(folder) if folder else simulated_data()
    nominal = np.array(recipe.distances_um) / 1.005
    if folder:
        nominal = np.array(json.loads((folder / "params.json").read_text())["nominal_distances_um"], float)
    return recipe, data, truth, nominal


def nominal(folder: Path | None) -> list[dict[str, Any]]:
    """Calibrate from nominal distances without shifts."""
    recipe, data, truth, distances = given_data(folder)
    true_shifts = np.array(recipe.shifts_um if recipe.shifts_um is not None else np.zeros((len(distances), 2)))
    values = {"distances_um": tuple(distances), "shifts_um": None}
    rows = []
    runs: dict[str, dict[str, Any]] = {
        "nominal geometry": values,
        "calibrated": {**values, **CALIBRATE},
        "true geometry": {},
        # lower bound set by the noise, from the linearised model
        "bound": {"uncertainty": {"map": True}},
    }
    for name, changes in runs.items():
        report = run(recipe.updated(changes), data, truth)
        row = {"run": name, "seconds": report["seconds"], **report["truth"], "bands": report["truth_bands"]}
        if "calibration" in report:
            row |= deviations(report, recipe.distances_um, true_shifts, recipe.optics.pixel_size_um)
        if "uncertainty" in report:
            row["bands"] = report["uncertainty"]["bands"]
        rows.append(row)
    return rows


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the phase error in each octave, with the phase itself and the lower bound set by the noise."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        periods = [1 / band["high_per_um"] for band in row["bands"]]
        bound = row["run"] == "bound"
        errors = [band["phase_sigma_rad" if bound else "phase_rmse_rad"] for band in row["bands"]]
        axes.loglog(periods, errors, "k--" if bound else "o-", label=row["run"])
    axes.loglog(periods, [band["phase_rms_rad"] for band in rows[0]["bands"]], "k:", label="the phase itself")
    axes.set(xlabel="shortest period of the octave (µm)", ylabel="phase error (rad)")
    axes.legend()
    return figure


def blind(folder: Path | None, seeds: int) -> list[dict[str, Any]]:
    """Simulate frames from the truth with distances wrong by up to 3 % and shifts of up to 3 pixels, and calibrate."""
    recipe, data, truth, _ = given_data(folder)
    rows = []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        true = np.array(recipe.distances_um)
        shifts = random.uniform(-3, 3, (len(true), 2)) * recipe.optics.pixel_size_um
        if recipe.shifts_um is not None:
            shifts += np.array(recipe.shifts_um)
        model = MultiHeight(
            truth.amplitude.shape,
            Heights(
                recipe.optics,
                true.tolist(),
                shifts_um=[(dy, dx) for dy, dx in shifts.tolist()],
                intensity_scale=recipe.intensity_scale,
            ),
            dtype=torch.complex128,
        )
        field = torch.polar(*(torch.from_numpy(np.asarray(part, float)) for part in (truth.amplitude, truth.phase)))
        frames = model.intensities(field).numpy()
        scale = np.iinfo(data.frames.dtype).max
        recorded = LenslessData(np.round(np.clip(frames, 0, 1) * scale).astype(data.frames.dtype))
        wrong = true * (1 + random.uniform(-0.03, 0.03, len(true)))
        values = {"distances_um": tuple(wrong.tolist()), "shifts_um": None, **CALIBRATE}
        report = run(recipe.updated(values), recorded)
        rows.append({"run": f"seed {seed}", **deviations(report, true, shifts, recipe.optics.pixel_size_um)})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def errors(stacks: int, size: int, noise: float) -> list[dict[str, Any]]:
    """Calibrate noisy stacks of different specimens; count how often the truth is within 1.96 standard errors."""
    rows = []
    for seed in range(stacks):
        sample = simulate(
            LenslessSimulation(height_px=size, width_px=size, seed=seed, noise_sigma=noise, distances_um=DISTANCES_UM)
        )
        true = np.array(sample.distances_um)
        random = np.random.default_rng((seed, 7))
        wrong = true * (1 + 0.01 * random.standard_normal(len(true)))
        recipe = LenslessRecipe.parse(
            {
                "wavelength_um": sample.wavelength_um,
                "pixel_size_um": sample.pixel_size_um,
                "distances_um": tuple(wrong.tolist()),
                "intensity_scale": sample.intensity_scale,
                "gauss_newton": {"iterations": 1},
                **CALIBRATE,
            }
        )
        found = run(recipe, LenslessData(sample.frames))["calibration"]
        away, error = np.array(found["distances_um"]) - true, np.array(found["distances_um_se"])
        shift = np.array(found["shifts_um"])
        rows.append(
            {
                "run": f"stack {seed}",
                "away_um": away.tolist(),
                "se_um": error.tolist(),
                "relative_z": ((away - away.mean()) / error).tolist(),
                "within": (np.abs(away) < 1.96 * error).tolist(),
                "shifts_within": (np.abs(shift) < 1.96 * np.array(found["shifts_um_se"])).ravel().tolist(),
                "common_um": found["common_distance_um"],
                "common_um_se": found["common_distance_um_se"],
                "rounds": found["rounds"],
            }
        )
        print(
            f"stack {seed}: {np.mean(away):+.3f} µm common, {np.abs(away - away.mean()).max():.3f} between, "
            f"se {error.mean():.3f}, within {np.mean(rows[-1]['within']):.2f}, rounds {found['rounds']}",
            flush=True,
        )
    share = np.mean([row["within"] for row in rows])
    print(f"distances within 95 % interval: {100 * share:.1f} %")
    print(f"shifts within 95 % interval: {100 * np.mean([row['shifts_within'] for row in rows]):.1f} %")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("nominal", "blind", "errors"))
    parser.add_argument("--data", type=Path, help="folder with RawImg_*.png, params.json, GT_amp.png, GT_phs.png")
    parser.add_argument("--seeds", type=int, default=3, help="blind: number of seeds")
    parser.add_argument("--stacks", type=int, default=50, help="errors: number of stacks")
    parser.add_argument("--size", type=int, default=128, help="errors: pixels along each side")
    parser.add_argument("--noise", type=float, default=0.02, help="errors: standard deviation of the noise")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for lensless_calibration_*.json")
    arguments = parser.parse_args()
    print(versions())
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.what == "errors":
        rows = errors(arguments.stacks, arguments.size, arguments.noise)
    else:
        rows = nominal(arguments.data) if arguments.what == "nominal" else blind(arguments.data, arguments.seeds)
        for row in rows:
            print(json.dumps(row))
    if arguments.what == "nominal":
        draw(rows).savefig(arguments.output / "lensless_calibration_nominal.png", dpi=110)
    (arguments.output / f"lensless_calibration_{arguments.what}.json").write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
