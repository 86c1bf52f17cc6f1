"""Lensless solvers side by side, and DINER with the lattice against DINER as published.

    python benchmarks/lensless.py -o results            # simulated data
    python benchmarks/lensless.py --data FOLDER -o results   # a folder with frames, params.json and a truth
    python benchmarks/lensless.py --only "gauss-newton 15 s" -o results
    python benchmarks/lensless.py --size 2048 --heights 8 --only "gauss-newton 90 s" -o results

Runs are sequential. Times are computing times; scoring of the exact
network is not counted. The processor time of a run, of all threads together, includes its checks and its scoring.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import napari_diner  # noqa: F401  before torch, as for users: it sets how long idle threads spin

# isort: split
import numpy as np
import torch

from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData, assemble, prepare
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.truth import Truth, load_truth
from napari_diner.tasks.run import Run
from output import finished, versions
from plain_diner import PlainDiner

TARGET_DB = 48.0
RUNS: dict[str, dict[str, Any]] = {
    "gauss-newton 15 s": {"solver": "gauss-newton", "max_seconds": 15},
    "gauss-newton 60 s": {"solver": "gauss-newton", "max_seconds": 60, "gauss_newton": {"tolerance": 0}},
    "gauss-newton 90 s": {"solver": "gauss-newton", "max_seconds": 90},
    "alternating 15 s": {"solver": "alternating", "max_seconds": 15, "alternating": {"iterations": 100_000}},
    "alternating 60 s": {
        "solver": "alternating", "max_seconds": 60, "alternating": {"iterations": 100_000, "tolerance": 0},
    },
    "diner cold 60 s": {"solver": "diner", "start": "flat", "max_seconds": 60, "gradient": {"iterations": 100_000}},
    "diner from gauss-newton 60 s": {"solver": "diner", "start": "gauss-newton", "max_seconds": 60},
    "pixels 60 s": {
        "solver": "pixels", "start": "flat", "max_seconds": 60,
        "gradient": {"iterations": 100_000, "learning_rate": 0.01},
    },
}  # fmt: skip


def published_data(folder: Path) -> tuple[LenslessRecipe, LenslessData, Truth]:
    """Read frames, parameters and truth of the published synthetic data."""
    params = json.loads((folder / "params.json").read_text())
    pixel = params["pixel_size_um"]
    recipe = LenslessRecipe.parse(
        {
            "stack": str(folder / "RawImg_*.png"),
            "wavelength_um": params["wavelength_um"],
            "pixel_size_um": pixel,
            "distances_um": params["distances_um"],
            "intensity_scale": params["intensity_scale"],
            "shifts_um": [[dy * pixel, dx * pixel] for dy, dx in params["shifts_px"]],
        }
    )
    return recipe, assemble(recipe), load_truth(folder)


def simulated_data(size: int = 384, heights: int | None = None) -> tuple[LenslessRecipe, LenslessData, Truth]:
    """Simulate a noise-free 16-bit stack, of the usual distances or a number of them."""
    distances = {} if heights is None else {"distances_um": tuple(300.0 + 80.0 * number for number in range(heights))}
    sample = simulate(LenslessSimulation.model_validate({"height_px": size, "width_px": size, **distances}))
    recipe = LenslessRecipe.parse(
        {
            "wavelength_um": sample.wavelength_um,
            "pixel_size_um": sample.pixel_size_um,
            "distances_um": sample.distances_um,
            "intensity_scale": sample.intensity_scale,
        }
    )
    return recipe, LenslessData(sample.frames), Truth(sample.amplitude, sample.phase)


def solvers_side_by_side(
    recipe: LenslessRecipe, data: LenslessData, truth: Truth, names: Sequence[str], *, limited: bool = True
) -> list[dict[str, Any]]:
    """Run solvers, under their time limits or without."""
    rows = []
    for name in names:
        began = time.process_time()
        changes = RUNS[name] if limited else {**RUNS[name], "max_seconds": None}
        report = finished(LenslessJob(recipe.updated(changes), data, truth)).report
        processor_s = time.process_time() - began
        rows.append({"run": name, "processor_s": processor_s, **report})
        figures = (report["measurement_psnr_db"], *list(report["truth"].values())[:2], report["seconds"])
        print("{:30s} {:7.2f} {:7.2f} {:7.2f} dB  {:5.1f} s".format(name, *figures), report["iterations"], end="")
        print(f"  processor {processor_s:.1f} s", flush=True)
    return rows


def seconds_to_target(recipe: LenslessRecipe, data: LenslessData) -> dict[str, Any]:
    """Time DINER with the lattice and as published to the same measurement PSNR, from a cold start."""
    prepared = prepare(recipe, data)
    problem = ModelBuilder(None, torch.device("cpu")).problem(Setup.of(recipe, prepared.gains), prepared)
    recorded = problem.amplitudes**2

    torch.manual_seed(0)
    plain = PlainDiner(problem.model.transfers)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    plain_steps, began, plain_db = 0, time.perf_counter(), 0.0
    while plain_db < TARGET_DB and time.perf_counter() - began < 300:
        optimizer.zero_grad()
        loss = (plain() - recorded).square().mean()
        loss.backward()
        optimizer.step()
        plain_steps += 1
        plain_db = -10 * float(torch.log10(loss.detach()))
    plain_seconds = time.perf_counter() - began

    # annealed over a few seconds; the clock stops while the exact network is scored
    quick = recipe.updated(
        {
            "solver": "diner", "start": "flat", "max_seconds": plain_seconds / 10,
            "gradient": {"iterations": 100_000}, "diner": {"lattice_size": 64},
        }
    )  # fmt: skip
    ours_db, ours_seconds, ours_steps = 0.0, 0.0, 0
    with Run(LenslessJob(quick, data)) as run:
        for progress in run:
            if progress.iteration % 5 == 0:
                ours_db = run.result().report["measurement_psnr_db"]
                ours_seconds, ours_steps = progress.elapsed_s, progress.iteration
                if ours_db >= TARGET_DB:
                    break
    return {
        "target_db": TARGET_DB,
        "published": {"db": plain_db, "seconds": plain_seconds, "steps": plain_steps},
        "lattice": {"db": ours_db, "seconds": ours_seconds, "steps": ours_steps},
        "ratio": plain_seconds / ours_seconds,
        "ratio_per_step": (plain_seconds / plain_steps) / (ours_seconds / ours_steps),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with RawImg_*.png, params.json, GT_amp.png, GT_phs.png")
    parser.add_argument("--size", type=int, default=384, help="pixels across simulated frames")
    parser.add_argument("--heights", type=int, help="number of simulated frames, 80 µm apart; otherwise the usual ones")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), help="solvers to run, without the published DINER")
    parser.add_argument("--no-limit", action="store_true", help="let solvers end by themselves, as on a busy machine")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for lensless.json")
    arguments = parser.parse_args()
    recipe, data, truth = (
        published_data(arguments.data) if arguments.data else simulated_data(arguments.size, arguments.heights)
    )
    print(f"{np.shape(data.frames)} frames, {versions()}")
    print(f"{'':30s} {'measured':>7s} {'ampl.':>7s} {'phase':>7s}")
    report: dict[str, Any] = {}
    if arguments.only is None:
        report["speed"] = speed = seconds_to_target(recipe, data)
        published, lattice = (speed[name]["seconds"] for name in ("published", "lattice"))
        print(
            f"to {TARGET_DB:g} dB: published {published:.1f} s, lattice {lattice:.1f} s: "
            f"{speed['ratio']:.1f} times faster"
        )
        print(f"per step: {speed['ratio_per_step']:.1f} times faster")
    names, limited = arguments.only or list(RUNS), not arguments.no_limit
    report["solvers"] = solvers_side_by_side(recipe, data, truth, names, limited=limited)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "lensless.json").write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
