"""Cells of several radians: chords and Gauss-Newton steps under the multi-slice model.

    python benchmarks/idt_strong.py -o results                              # 1.5, 5 and 8 rad
    python benchmarks/idt_strong.py --phase 5 --size 64 --slices 24 -o results

The frames are simulated on a grid that is twice as fine along all axes, with steps of half the length, and averaged
over 2×2 pixels; the truth is averaged over 2×2×2 voxels. All settings are the defaults, except for the method.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.simulate.idt.cells import cells
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.job import IdtJob
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.idt.truth import TrueVolume
from napari_diner.tasks.run import Run
from output import table, write

SPACING_UM, PIXEL_UM, WAVELENGTH_UM, MEDIUM, NA, RING_NA, NOISE = 0.5, 0.1625, 0.515, 1.33, 0.65, 0.637, 0.005


def recorded(phase_rad: float, size: int, slices: int, frames: int, seed: int) -> tuple[IdtData, TrueVolume]:
    """Return frames from a finer grid, and the truth."""
    fine = VolumeGeometry((2 * slices, 2 * size, 2 * size), SPACING_UM / 2, WAVELENGTH_UM, MEDIUM, PIXEL_UM / 2, NA)
    phantom = cells(fine, peak_phase_rad=phase_rad, seed=seed)
    n_re, n_im = torch.from_numpy(phantom.n_re).double(), torch.from_numpy(phantom.n_im).double()
    steps = 2 * SSNPModel(fine, ring(RING_NA, frames)).steps_per_slice
    model = SSNPModel(fine, ring(RING_NA, frames), steps_per_slice=steps)
    with torch.no_grad():
        intensities = model.intensities(permittivity_contrast(n_re, n_im, MEDIUM).float()).numpy()
    intensities = intensities.reshape(frames, size, 2, size, 2).mean((2, 4))
    intensities += NOISE * np.random.default_rng((seed, 1)).standard_normal(intensities.shape)
    binned = [part.reshape(slices, 2, size, 2, size, 2).mean((1, 3, 5)).float().numpy() for part in (n_re, n_im)]
    return IdtData(intensities.astype(np.float32)), TrueVolume(*binned)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase", type=float, nargs="+", default=[1.5, 5.0, 8.0], help="peak phases in rad")
    parser.add_argument("--method", nargs="+", default=["chords", "gauss-newton", "auto"])
    parser.add_argument("--size", type=int, default=128, help="pixels along each axis")
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for idt_strong.txt and .json")
    arguments = parser.parse_args()
    rows, reports = [], []
    for phase in arguments.phase:
        data, truth = recorded(phase, arguments.size, arguments.slices, arguments.frames, arguments.seed)
        for method in arguments.method:
            recipe = IdtRecipe.parse(
                {
                    "wavelength_um": WAVELENGTH_UM, "pixel_size_um": PIXEL_UM, "na": NA, "medium_index": MEDIUM,
                    "slice_spacing_um": SPACING_UM, "slice_count": arguments.slices, "background": "ratio",
                    "ring": {"na": RING_NA}, "multislice": {"method": method}, "model": "multislice",
                }
            )  # fmt: skip
            start = time.perf_counter()
            with Run(IdtJob(IdtRecording(recipe, data, truth))) as run:
                for _ in run:
                    pass
                report = run.result().report
            seconds = time.perf_counter() - start
            scores = report["truth"]
            rows.append(
                [phase, method, scores["n_re_correlation"], scores["n_re_rmse"], report["unexplained_beyond_noise"],
                 report["peak_phase_rad"], seconds]
            )  # fmt: skip
            reports.append({"phase_rad": phase, "method": method, "seconds": seconds, "report": report})
            print(*rows[-1], sep="   ", flush=True)
    head = ["phase (rad)", "method", "correlation", "RMSE of n", "unexplained", "phase found (rad)", "seconds"]
    write(arguments.output, "idt_strong", table(head, rows), {"runs": reports})


if __name__ == "__main__":
    main()
