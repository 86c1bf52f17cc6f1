"""Holograms in the light of an LED, reconstructed with a coherent model, and with size and spectrum in the model.

    python benchmarks/led.py -o results

The recording is a plain sum of tilted waves: at least 61 points of the source, at 9 wavelengths or more (see
`napari_diner.simulate.lensless.source`). For comparison, the same specimen in laser light. Seconds are computing times.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.task import simulate
from napari_diner.tasks.lensless.truth import Truth
from napari_diner.tasks.sample import SampleData
from output import finished, table, write

AS_LASER = {"source_size_um": None, "bandwidth_nm": None}
MODELS: dict[str, dict[str, Any]] = {
    "coherent model": AS_LASER,
    "size and bandwidth given": {},
    "size estimated": {"source_size_um": None, "calibration": {"source": True}},
}


def run(name: str, sample: SampleData, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one reconstruction."""
    amplitude, phase = (image.data for image in sample.truth)
    recipe = sample.recipe.updated(changes)
    began = time.process_time()
    job = LenslessJob(recipe, LenslessData(sample.data.data), Truth(amplitude, phase))  # type: ignore[arg-type]
    report = finished(job).report
    state = job.begin()
    evaluations = time.process_time()
    for _ in range(5):
        state.problem.evaluate(state.field)
    calibrated = report.get("calibration", {})
    return {
        "run": name,
        "phase_psnr_db": report["truth"]["phase_psnr_db"],
        "amplitude_psnr_db": report["truth"]["amplitude_psnr_db"],
        "unexplained": report["unexplained"],
        "source_size_um": calibrated.get("source_size_um", recipe.source_size_um),  # type: ignore[attr-defined]
        "source_size_um_se": calibrated.get("source_size_um_se"),
        "wavelengths": len(state.setup.heights.lines),
        "iterations": report["iterations"],
        "seconds": evaluations - began,
        "milliseconds_of_an_evaluation": 200 * (time.process_time() - evaluations),
        "peak_memory_mb": report["peak_memory_mb"],
    }


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="pixels of the field along each side")
    parser.add_argument("--source-um", type=float, default=50.0, help="diameter of the source")
    parser.add_argument("--distance-um", type=float, default=10_000.0, help="focal length of the lens in front of it")
    parser.add_argument("--bandwidth-nm", type=float, default=20.0, help="width of its spectrum at half its height")
    parser.add_argument("--noise", type=float, nargs="*", default=[0.0, 0.001, 0.005], help="read noise, of full scale")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for led.txt and led.json")
    arguments = parser.parse_args()
    size = {"height_px": arguments.size, "width_px": arguments.size}
    led = {
        "source_size_um": arguments.source_um,
        "source_distance_um": arguments.distance_um,
        "bandwidth_nm": arguments.bandwidth_nm,
    }
    rows: list[dict[str, Any]] = []
    for noise in arguments.noise:
        laser, lamp = (simulate(LenslessSimulation(**size, **light, noise_sigma=noise)) for light in ({}, led))
        rows.append({"noise": noise, **run("laser, coherent model", laser, {})})
        rows += [{"noise": noise, **run(f"LED, {name}", lamp, changes)} for name, changes in MODELS.items()]
    gains = np.array([row["phase_psnr_db"] for row in rows]).reshape(len(arguments.noise), -1)
    lines = [[*(("-" if value is None else value) for value in row.values())] for row in rows]
    text = table([name.replace("_", " ") for name in rows[0]], lines)
    given, estimated = gains[:, 2] - gains[:, 1], gains[:, 3] - gains[:, 1]
    text += f"\nphase, dB above the coherent model: size given {given}, estimated {estimated}"
    write(arguments.output, "led", text, {"rows": rows, "settings": {**size, **led}})


if __name__ == "__main__":
    main()
