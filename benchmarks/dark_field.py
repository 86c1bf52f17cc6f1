"""Dark-field frames: the index with and without them, by bands of frequencies.

    python benchmarks/dark_field.py -o results               # a volume and a thin sample, 48×48 pixels
    python benchmarks/dark_field.py --size 96 --slices 16 -o results

Cells with grains finer than bright field resolves are simulated by multiple scattering on a grid twice as fine along
all axes, under a ring of an NA of 0.637 within the objective's 0.65 and a ring of 0.9 outside. Bright field has the
shot noise of 0.5 % (40,000 photons); dark field is exposed 50 times as long, each frame with an unknown brightness
between a half and twice as much. A thin sample has one slice, as in Fourier ptychography. Errors are
``|F[n] − F[n_true]| / |F[n_true]|`` over the transverse frequencies of a band, in units of 1/λ: bright field records
none above 0.65 + 0.637 = 1.29, dark field none above 1.55.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.dark_field import DarkField
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.simulate.idt.cells import cells
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.job import IdtJob
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from output import finished, table, write

NA, MEDIUM, WAVELENGTH_UM, PIXEL_UM, SPACING_UM = 0.65, 1.33, 0.515, 0.1625, 0.5
RINGS = (0.637, 0.9)
PHOTONS, EXPOSURE, READ_NOISE = 40_000, 50, 2e-4
BANDS = ((0.02, 0.65), (0.65, 1.27), (1.3, 1.52))

Volume = npt.NDArray[np.float64]


def sample(slices: int, size: int, arguments: argparse.Namespace) -> Volume:
    """Return the index on a grid twice as fine, (2Z, 2Y, 2X)."""
    shape = (2 * slices, 2 * size, 2 * size)
    geometry = VolumeGeometry(shape, SPACING_UM / 2, WAVELENGTH_UM, MEDIUM, PIXEL_UM / 2, NA)
    phantom = cells(geometry, peak_phase_rad=arguments.phase, absorption=0.0, seed=arguments.seed)
    n_re = phantom.n_re.astype(np.float64)
    random = np.random.default_rng((arguments.seed, 1))
    grain = 0.5 * (n_re.max() - MEDIUM)
    inside = np.argwhere(n_re > MEDIUM + 0.1 * grain)
    for z, y, x in random.permutation(inside)[: 8 * size * slices // 10]:
        n_re[z : z + 2, y : y + 2, x : x + 2] += grain / 2
    return n_re


def record(n_re: Volume, seed: int) -> tuple[npt.NDArray[np.float32], Illumination]:
    """Return frames relative to the light in bright field, dark field in an unknown unit, and their directions."""
    illumination = Illumination(tuple(one for na in RINGS for one in ring(na, 12, offset_deg=15 * (na > NA)).frames))
    dark = list(illumination.dark_field(NA))
    geometry = VolumeGeometry(n_re.shape, SPACING_UM / 2, WAVELENGTH_UM, MEDIUM, PIXEL_UM / 2, NA)
    model = SSNPModel(geometry, illumination, dark_field=DarkField.of(dark, len(illumination)))
    index = torch.from_numpy(n_re)
    contrast = permittivity_contrast(index, torch.zeros_like(index), MEDIUM).float()
    # intensities have no frequencies above 2 NA/λ
    frames = model.intensities(contrast)[:, ::2, ::2].double().numpy()
    random = np.random.default_rng((seed, 2))
    exposure = np.ones((len(frames), 1, 1))
    exposure[dark] = EXPOSURE
    frames = random.poisson(frames.clip(0) * PHOTONS * exposure) / (PHOTONS * exposure)
    frames += READ_NOISE / exposure * random.standard_normal(frames.shape)
    frames[dark] *= 2 ** random.uniform(-1, 1, (len(dark), 1, 1))
    return frames.astype(np.float32), illumination


def errors(n_re: npt.NDArray[np.floating], truth: Volume) -> list[float]:
    """Return the relative error of an index in each band."""
    fy, fx = (np.fft.fftfreq(size, PIXEL_UM) for size in truth.shape[1:])
    na = WAVELENGTH_UM * np.hypot(fy[:, None], fx)
    wrong, right = np.fft.fft2(n_re - truth), np.fft.fft2(truth)
    bands = [(na >= low) & (na < high) for low, high in BANDS]
    return [float(np.linalg.norm(wrong[:, band]) / np.linalg.norm(right[:, band])) for band in bands]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=48, help="pixels along y and x")
    parser.add_argument("--slices", type=int, default=8, help="slices of the volume")
    parser.add_argument("--phase", type=float, default=0.5, help="peak phase in rad")
    parser.add_argument("--seed", type=int, default=0, help="of sample and noise")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for dark_field.txt and .json")
    arguments = parser.parse_args()
    rows: list[list[Any]] = []
    reports: list[dict[str, Any]] = []
    for name, slices in (("volume", arguments.slices), ("thin", 1)):
        fine = sample(slices, arguments.size, arguments)
        truth = fine.reshape(slices, 2, arguments.size, 2, arguments.size, 2).mean((1, 3, 5))
        frames, illumination = record(fine, arguments.seed)
        directions = [[source.na_y, source.na_x] for (source,) in illumination.frames]
        for use, words in (("leave_out", "bright field"), ("use", "and dark field")):
            recipe = IdtRecipe.parse(
                {
                    "wavelength_um": WAVELENGTH_UM, "pixel_size_um": PIXEL_UM, "na": NA, "medium_index": MEDIUM,
                    "slice_spacing_um": SPACING_UM, "slice_count": slices, "background": "ratio",
                    "illuminations": directions, "model": "multislice", "dark_field": use, "padding": {"mode": "none"},
                }
            )  # fmt: skip
            start = perf_counter()
            result = finished(IdtJob(IdtRecording(recipe, IdtData(frames))))
            seconds = perf_counter() - start
            of_bands = errors(result["n_re"].data, truth)
            entry = result.report.get("dark_field", {})
            unexplained = [entry.get(key, float("nan")) for key in ("unexplained_by_bright_field", "unexplained")]
            rows.append([f"{name}, {words}", *of_bands, *(100 * share for share in unexplained), seconds])
            reports.append({"sample": name, "dark_field": use, "errors": of_bands, "seconds": seconds, **entry})
            print(*rows[-1], flush=True)
    head = [f"error at {low:g} to {high:g}" for low, high in BANDS]
    text = table(["", *head, "dark unexplained by bright (%)", "by all (%)", "seconds"], rows)
    write(arguments.output, "dark_field", text, {**vars(arguments), "output": None, "runs": reports})


if __name__ == "__main__":
    main()
