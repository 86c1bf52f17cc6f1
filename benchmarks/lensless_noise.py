"""Priors and noise weighting on noisy recordings, with the error by octaves.

    python benchmarks/lensless_noise.py --data FOLDER -o results

FOLDER holds frames, params.json and a truth; without it, data are simulated. Gaussian noise (seed 0) is added to the
intensities: a fraction of full scale, and the same fraction of their mean. Times are computing times.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lensless import published_data, simulated_data
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import Truth, phase_error
from output import finished, table, write

RUNS: dict[str, dict[str, Any]] = {
    "even weights": {"noise": {"weighting": "even"}},
    "estimated weights": {},
    "even weights, total variation": {"noise": {"weighting": "even"}, "prior": {"total_variation": "noise"}},
    "estimated weights, total variation": {"prior": {"total_variation": "noise"}},
    "estimated weights, total variation held out": {"prior": {"total_variation": "held_out"}},
}


def noisy(data: LenslessData, part: float, of: str) -> LenslessData:
    """Add Gaussian noise to a recording; the frames become non-negative floating-point numbers."""
    clean = data.frames / np.iinfo(data.frames.dtype).max
    sigma = part * (1.0 if of == "full scale" else clean.mean())
    frames = clean + sigma * np.random.default_rng(0).standard_normal(clean.shape)
    return dataclasses.replace(data, frames=np.clip(frames, 0, None).astype(np.float32))


def octaves(image: np.ndarray) -> list[float]:
    """Return the square root of the power in each octave of spatial frequency, from the finest to the coarsest."""
    power = np.abs(np.fft.fft2(image)) ** 2 / image.size**2
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size) for size in image.shape), indexing="ij"))
    edges = [1.0, *(0.25 / 2**place for place in range(7)), 0.0]
    return [float(power[(radius > low) & (radius <= high)].sum() ** 0.5) for high, low in itertools.pairwise(edges)]


def run(recipe: LenslessRecipe, data: LenslessData, truth: Truth) -> dict[str, Any]:
    """Reconstruct, and return scores and the phase error in each octave."""
    result = finished(LenslessJob(recipe, data, truth))
    error = phase_error(result["phase"].data, truth.phase)
    return {"seconds": result.report["seconds"], **result.report["truth"], "octaves_rad": octaves(error)}


def draw(rows: list[dict[str, Any]], truth: Truth) -> Figure:
    """Draw the phase error in each octave, with the phase itself."""
    kinds = list(dict.fromkeys(row["noise"] for row in rows))
    figure = Figure(figsize=(5 * len(kinds), 4), layout="constrained")
    for place, (axes, kind) in enumerate(zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True)):
        periods = [2.0 * 2**octave for octave in range(8)]
        axes.loglog(periods, octaves(truth.phase - truth.phase.mean()), "k:", label="the phase itself")
        for row in rows:
            if row["noise"] == kind:
                axes.loglog(periods, row["octaves_rad"], "o-", label=row["run"])
        axes.set(title=kind, xlabel="shortest period of the octave (pixels)")
        if place == 0:
            axes.set_ylabel("phase error (rad)")
            figure.legend(loc="outside lower center", ncols=3)
    return figure


def main() -> None:
    """Run all settings, and write a table, a figure and a report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of frames, params.json and truth")
    parser.add_argument("--part", type=float, default=0.02, help="standard deviation of the noise")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    arguments = parser.parse_args()
    recipe, data, truth = published_data(arguments.data) if arguments.data else simulated_data()
    rows = []
    for of in ("full scale", "the mean"):
        recording = noisy(data, arguments.part, of)
        for name, changes in RUNS.items():
            noise = f"{100 * arguments.part:g} % of {of}"
            rows.append({"noise": noise, "run": name, **run(recipe.updated(changes), recording, truth)})
            print(f"{noise}, {name}: {rows[-1]['phase_psnr_db']:.2f} dB", flush=True)
    header = ("noise", "run", "phase dB", "amplitude dB", "seconds")
    keys = ("noise", "run", "phase_psnr_db", "amplitude_psnr_db", "seconds")
    text = table(header, [[row[key] for key in keys] for row in rows])
    write(arguments.output, "lensless_noise", text, {"rows": rows}, draw(rows, truth))


if __name__ == "__main__":
    main()
