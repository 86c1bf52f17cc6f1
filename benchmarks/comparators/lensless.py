"""Lensless recordings, and the solvers to compare on them for the same time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from comparators.dnf import register_dnf
from comparators.physennet import register_physennet
from napari_diner.io.texts import read_json
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import Truth, load_truth
from napari_diner.tasks.run import Run

_COLD = {"start": "flat", "gradient": {"iterations": 10_000_000, "patience": None}}
OTHERS, COLD = ("PhysenNet", "DNF"), "DINER, cold start"
RUNS: dict[str, dict[str, Any]] = {
    "PhysenNet": {"solver": "physennet", **_COLD},
    "DNF": {"solver": "dnf", **_COLD},
    COLD: {"solver": "diner", **_COLD},
    "DINER": {"solver": "diner"},
    "Gauss-Newton, no network": {},
}


@dataclass(frozen=True)
class Recording:
    """A recording of a known object."""

    recipe: LenslessRecipe
    data: LenslessData
    truth: Truth


def simulated(size: int, **settings: Any) -> Recording:
    """Return frames of the package's simulated specimen."""
    sample = simulate(LenslessSimulation(height_px=size, width_px=size, **settings))
    recipe = LenslessRecipe.parse(
        {
            "wavelength_um": sample.wavelength_um,
            "pixel_size_um": sample.pixel_size_um,
            "distances_um": sample.distances_um,
            "intensity_scale": sample.intensity_scale,
        }
    )
    return Recording(recipe, LenslessData(sample.frames), Truth(sample.amplitude, sample.phase))


def published(folder: Path, size: int) -> Recording:
    """Return frames of the published object, reduced to a size, at the published distances, in 8 bits.

    Frames of a reduced object are computed from it, as neighbouring pixels of recorded ones cannot be averaged without
    changing the fringes.
    """
    params, whole = read_json(folder / "params.json"), load_truth(folder)
    factor = max(whole.amplitude.shape[0] // size, 1)
    rows, columns = (part // factor for part in whole.amplitude.shape)
    amplitude, phase = (
        image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor).mean((1, 3))
        for image in (whole.amplitude, whole.phase)
    )
    optics = Optics(params["pixel_size_um"], params["wavelength_um"])
    model = MultiHeight((rows, columns), Heights(optics, params["distances_um"]), dtype=torch.complex128)
    field = torch.polar(torch.from_numpy(amplitude), torch.from_numpy(phase))
    intensities = np.stack([image.numpy() for image in model.intensities(field)])
    scale = float(intensities.max())
    recipe = LenslessRecipe.parse(
        {
            "wavelength_um": params["wavelength_um"],
            "pixel_size_um": params["pixel_size_um"],
            "distances_um": params["distances_um"],
            "intensity_scale": scale,
        }
    )
    frames = np.rint(intensities / scale * 255).astype(np.uint8)
    return Recording(recipe, LenslessData(frames), Truth(amplitude, phase))


def compared(recording: Recording, seconds: float, width: float = 1.0) -> list[dict[str, Any]]:
    """Return a row for each solver; `width` scales the networks of the others."""
    frames = torch.from_numpy(recording.data.frames.astype(np.float32))
    full_scale = float(np.iinfo(recording.data.frames.dtype).max)
    intensities = frames / full_scale * recording.recipe.intensity_scale
    register_physennet(intensities[0], max(round(32 * width), 1))
    register_dnf(float(intensities.mean()), max(round(256 * width), 2))
    rows = []
    for name, changes in RUNS.items():
        recipe = recording.recipe.updated({"max_seconds": seconds, **changes})
        began = time.process_time()
        curve: list[tuple[float, float]] = []
        with Run(LenslessJob(recipe, recording.data, recording.truth)) as run:
            for progress in run:
                if "loss" in progress.losses:
                    curve.append((progress.elapsed_s, progress.losses["loss"]))
            report = run.result().report
        rows.append({"method": name, "cpu_s": time.process_time() - began, "curve": curve, **report})
    return rows
