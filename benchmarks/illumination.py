"""An object in an illumination that nobody knows: assumed even, known, from an empty stack, and solved for.

    python benchmarks/illumination.py -o results

A simulated specimen at three heights, in a vignetted and in a speckled illumination, at one lateral position or at
three. PSNR of object and illumination; the brightness and the mean phase of the illumination are those of the object.
Seconds are computing times.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.simulate.lensless.illumination import illumination
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.task import simulate
from napari_diner.tasks.lensless.truth import Truth, score
from napari_diner.tasks.result import Result
from output import finished, table, write

Light = npt.NDArray[np.complex128]
COLUMNS = (
    "illumination", "positions", "model", "amplitude dB", "phase dB", "P amplitude dB", "P phase dB", "unexplained",
    "seconds",
)  # fmt: skip


def images(result: Result) -> dict[str, npt.NDArray[np.generic]]:
    """Return the images of a result by name."""
    return {image.name: image.data for image in result.arrays}


def of_light(amplitude: npt.NDArray[Any], phase: npt.NDArray[Any], light: Light) -> tuple[float, float]:
    """Return the PSNR of amplitude and phase of an illumination, without its brightness and mean phase."""
    amplitude = amplitude / np.sqrt(np.mean(np.square(amplitude)))
    scores = score(amplitude, phase, Truth(np.abs(light), np.unwrap(np.unwrap(np.angle(light), axis=0), axis=1)))
    return scores["amplitude_psnr_db"], scores["phase_psnr_db"]


def rows_of(kind: str, positions: int, common: dict[str, Any], finest_um: float) -> list[list[object]]:
    """Return the rows of one recording."""
    sample = simulate(LenslessSimulation(**common, illumination=kind, lateral_positions=positions))  # type: ignore[arg-type]
    shape = sample.data.data.shape[1:]
    light = illumination(kind, (shape[0], shape[1]), 0)
    amplitude, phase = (image.data for image in sample.truth)
    # relative to the brightness that the simulation gives full scale
    known = {"illumination": np.abs(light), "illumination_phase": np.angle(light)}
    solve = {"solve": True, "finest_um": 0.0 if positions > 1 else finest_um}
    runs: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {"known": ({}, known), "assumed even": ({}, {})}
    if positions == 1:
        empty = simulate(LenslessSimulation(**common, illumination=kind, phase_range_rad=0, amplitude_min=1))  # type: ignore[arg-type]
        found = images(finished(LenslessJob(empty.recipe, LenslessData(empty.data.data))))  # type: ignore[arg-type]
        runs["from an empty stack"] = {}, {"illumination": found["amplitude"], "illumination_phase": found["phase"]}
    runs["solved"] = {"unknown_illumination": solve}, {}
    rows: list[list[object]] = []
    for name, (changes, fields) in runs.items():
        began = time.process_time()
        recipe = sample.recipe.updated(changes)
        job = LenslessJob(recipe, LenslessData(sample.data.data, **fields), Truth(amplitude, phase))  # type: ignore[arg-type]
        result = finished(job)
        truth, by_name = result.report["truth"], images(result)
        if name == "solved":
            fields = {"illumination": by_name["illumination_amplitude"]}
            fields |= {"illumination_phase": by_name["illumination_phase"]}
        even = name in ("known", "assumed even")
        of_P = ("-", "-") if even else of_light(fields["illumination"], fields["illumination_phase"], light)
        seconds = time.process_time() - began
        psnr = truth["amplitude_psnr_db"], truth["phase_psnr_db"]
        rows.append([kind, positions, name, *psnr, *of_P, result.report["unexplained"], seconds])
    return rows


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128, help="pixels of the field along each side")
    parser.add_argument("--noise", type=float, default=0.002, help="read noise, of full scale")
    parser.add_argument("--finest-um", type=float, default=40.0, help="what is smoother belongs to P, for one position")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the table")
    arguments = parser.parse_args()
    common = {
        "height_px": arguments.size,
        "width_px": arguments.size,
        "distances_um": (150.0, 210.0, 290.0),
        "noise_sigma": arguments.noise,
    }
    cases = [(kind, positions) for kind in ("vignetted", "speckled") for positions in (1, 3)]
    rows = [row for case in cases for row in rows_of(*case, common, arguments.finest_um)]
    write(
        arguments.output,
        "illumination",
        table(COLUMNS, rows),
        {"rows": rows, "settings": common | {"finest_um": arguments.finest_um}},
    )


if __name__ == "__main__":
    main()
