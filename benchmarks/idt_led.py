"""Recordings of cells under LEDs: point sources assumed, and sources of their size.

    python benchmarks/idt_led.py -o results [--size 64]

The frames are sums of multi-slice intensities over 61 evenly spread points of each source, which is no quadrature that
the reconstruction uses. Directions are those of the middles. Errors are those of the index against the truth, relative
to that of an empty volume, and correlations of the same volumes.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import napari_diner as nd
import output
from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.illumination import Illumination, Source
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.simulate.idt.recording import simulate
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.registry import task_of
from napari_diner.tasks.task import Frames

_POINTS = 61


def recorded(settings: IdtSimulation, recipe: IdtRecipe, source_na: float) -> np.ndarray:
    """Return frames under sources of some size, (N, Y, X)."""
    place = np.arange(_POINTS) + 0.5
    radius, turn = source_na * np.sqrt(place / _POINTS), np.pi * (1 + 5**0.5) * place
    offsets = list(zip((radius * np.sin(turn)).tolist(), (radius * np.cos(turn)).tolist(), strict=True))
    middles = recipe.illumination(settings.frames)
    points = Illumination(
        tuple(
            tuple(
                point
                for source in frame
                for y, x in offsets
                if (point := Source(source.na_y + y, source.na_x + x)).na <= settings.na
            )
            for frame in middles.frames
        )
    )
    phantom = simulate(settings).phantom
    contrast = permittivity_contrast(
        torch.from_numpy(phantom.n_re), torch.from_numpy(phantom.n_im), settings.medium_index
    )
    geometry = recipe.geometry((settings.slices, settings.height_px, settings.width_px))
    with torch.no_grad():
        frames = SSNPModel(geometry, points).intensities(contrast.float()).numpy()
    noise = np.random.default_rng(1).standard_normal(frames.shape)
    return np.asarray(frames + settings.noise_sigma * noise, np.float32)


def main() -> None:
    """Print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="rows and columns")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for idt_led.txt and .json")
    arguments = parser.parse_args()
    rows = []
    for source_na, noise in ((0.03, 0.0), (0.03, 0.005), (0.06, 0.0), (0.06, 0.005)):
        settings = IdtSimulation(
            height_px=arguments.size, width_px=arguments.size, frames=16, noise_sigma=noise, peak_phase_rad=0.3
        )
        made = nd.sample("idt", **settings.model_dump())
        recipe = made.recipe
        assert isinstance(recipe, IdtRecipe)
        frames = Frames(recorded(settings, recipe, source_na), "NYX", made.data.scale_um)
        truth = made.truth[0].data.astype(np.float64) - settings.medium_index
        for name, size in (("points", 0.0), ("their size", source_na)):
            began = time.perf_counter()
            result = output.finished(task_of(recipe).start(recipe.updated({"source_na": size}), frames).job)
            seconds = time.perf_counter() - began
            found = result["n_re"].data.astype(np.float64) - settings.medium_index
            error = float(np.linalg.norm(found - truth) / np.linalg.norm(truth))
            correlation = float(np.corrcoef(found.ravel(), truth.ravel())[0, 1])
            unexplained = float(str(result.report["unexplained"]))
            rows.append((f"{source_na:g}, noise {noise:g}, {name}", error, correlation, unexplained, seconds))
    text = output.table(("source NA", "error", "correlation", "unexplained", "seconds"), rows)
    print(text)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "idt_led.txt").write_text(text + "\n")
    (arguments.output / "idt_led.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
