"""Pixel super-resolution: bars finer than the sensor's pixels, for several noise levels and numbers of frames.

    python benchmarks/lensless_superresolution.py -o results

Absorbing and delaying bars with a period of one and a half sensor pixels are recorded by
randomly displaced frames. The score is the contrast of the reconstructed bars relative to the true ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.sensor import Sensor
from napari_diner.physics.optics import Optics
from napari_diner.preprocess.pixels import upsample
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from output import finished, table, write

Image = npt.NDArray[Any]
SIZE, BINNING, PERIOD = 48, 2, 3
PIXEL_UM, WAVELENGTH_UM = 2.2, 0.532
RUNS: dict[str, dict[str, Any]] = {
    "sensor pixels": {},
    "interpolated frames": {"preprocess": {"upsample": BINNING}},
    "super-resolution": {"super_resolution": BINNING},
    "super-resolution, total variation": {"super_resolution": BINNING, "prior": {"total_variation": "noise"}},
}
ABSORBING, DELAYING = slice(24, 40), slice(60, 76)


def bars() -> tuple[Image, Image]:
    """Return amplitude and phase of the specimen, (96, 96) each."""
    fine = SIZE * BINNING
    dark = np.arange(fine) % PERIOD == 0
    amplitude, phase = np.ones((fine, fine)), np.zeros((fine, fine))
    amplitude[20:44, 16:80] = np.where(dark, 0.4, 1.0)[16:80]
    phase[56:80, 16:80] = np.where(dark, 0.8, 0.0)[16:80]
    return amplitude, phase


def contrast(image: Image, rows: slice) -> float:
    """Return the strength of the period of the bars in their middle."""
    return float(np.abs(np.fft.fft(image[rows, 17:77].mean(0))[60 // PERIOD])) / 30


def recorded(frames: int, noise: float) -> tuple[Heights, Image]:
    """Return the recording geometry, and noisy frames of the specimen."""
    random = np.random.default_rng(0)
    shifts = random.uniform(-PIXEL_UM, PIXEL_UM, (frames, 2))
    distances = tuple(np.linspace(150.0, 400.0, frames).tolist())
    heights = Heights(
        Optics(PIXEL_UM / BINNING, WAVELENGTH_UM), distances, shifts_um=[(dy, dx) for dy, dx in shifts.tolist()]
    )
    field = torch.polar(*(torch.from_numpy(part) for part in bars()))
    model = MultiHeight((SIZE * BINNING,) * 2, heights, sensor=Sensor(BINNING), dtype=torch.complex128)
    intensities = model.intensities(field).numpy()
    noisy = intensities + noise * random.standard_normal(intensities.shape)
    return heights, np.clip(noisy, 0, None).astype(np.float32)


def reconstructed(heights: Heights, frames: Image, changes: dict[str, Any]) -> tuple[Image, Image, float]:
    """Return amplitude and phase on the fine grid, and the seconds taken."""
    values = {
        "wavelength_um": WAVELENGTH_UM,
        "pixel_size_um": PIXEL_UM,
        "distances_um": heights.distances_um,
        "shifts_um": heights.shifts_um,
    }
    result = finished(LenslessJob(LenslessRecipe.parse(values | changes), LenslessData(frames)))
    amplitude, phase = (result[name].data for name in ("amplitude", "phase"))
    factor = SIZE * BINNING // len(amplitude)
    return upsample(amplitude, factor), upsample(phase, factor), result.report["seconds"]


def main() -> None:
    """Run all settings, and write a table, a figure and a report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for lensless_superresolution.*")
    arguments = parser.parse_args()
    truth = bars()
    rows, pictures = [], {"truth": truth[0]}
    for frames, noise in ((16, 0.0), (16, 0.001), (16, 0.005), (8, 0.001)):
        heights, stack = recorded(frames, noise)
        for name, changes in RUNS.items():
            amplitude, phase, seconds = reconstructed(heights, stack, changes)
            error = float(np.sqrt(np.mean((amplitude - truth[0]) ** 2)))
            seen = [
                contrast(image, at) / contrast(true, at)
                for image, true, at in ((amplitude, truth[0], ABSORBING), (phase, truth[1], DELAYING))
            ]
            rows.append([frames, 100 * noise, name, *seen, error, seconds])
            if (frames, noise) == (16, 0.005):
                pictures[name] = amplitude
    header = ("frames", "noise (%)", "run", "absorbing bars", "delaying bars", "amplitude RMSE", "seconds")
    figure = Figure(figsize=(3 * len(pictures), 3.3), layout="constrained")
    for axes, (name, picture) in zip(figure.subplots(1, len(pictures)), pictures.items(), strict=True):
        axes.imshow(picture, cmap="gray", vmin=0.3, vmax=1.1)
        axes.set(title=name, xticks=[], yticks=[])
    write(arguments.output, "lensless_superresolution", table(header, rows), {"rows": rows}, figure)


if __name__ == "__main__":
    main()
