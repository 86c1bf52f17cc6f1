"""Saturated pixels treated as exact, masked, and treated as bounds: errors for clipped recordings of known samples.

    python benchmarks/saturation.py -o results                 # lensless and IDT, 256×256 pixels and cells of 64×64×16
    python benchmarks/saturation.py --size 512 --task lensless --solvers gauss-newton -o results

The lensless samples have 8 heights and are free of noise in 16 bits; the brightest 2, 5 and 10 % of their pixels are
clipped. Of cells the brightest pixels of frames with noise are clipped. Runs are sequential.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.simulate.idt.cells import cells
from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.task import IdtTask
from napari_diner.tasks.idt.truth import TrueVolume
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import Truth
from napari_diner.tasks.task import Frames
from output import finished, table, write

DISTANCES_UM = tuple(300.0 + 80.0 * number for number in range(8))
SAMPLES = {"weak": 0.8, "strong": 2 * np.pi}
SHARES = (0.02, 0.05, 0.1)
# other solvers than Gauss-Newton, and changes of their settings
OTHERS: dict[str, dict[str, Any]] = {
    "alternating": {"alternating": {"iterations": 1500}},
    "diner": {"start": "alternating", "gradient": {"iterations": 100}},
}
SOLVERS = ("gauss-newton", *OTHERS)
# of what is not clipped, for comparison
WHOLE = ("believe",)
LENSLESS = ("sample", "clipped", "solver", "saturated", "phase (dB)", "amplitude (dB)", "iterations", "seconds")
OPTICS: dict[str, Any] = {
    "wavelength_um": 0.515, "pixel_size_um": 0.1625, "na": 0.65, "medium_index": 1.33, "ring": {"na": 0.637},
}  # fmt: skip
IDT = ("cell", "model", "clipped", "solver", "saturated", "RMSE of n", "correlation", "seconds")
IDT_FRAMES, IDT_SLICES, IDT_SIZE, IDT_NOISE = 24, 16, 64, 0.002


def clipped(frames: npt.NDArray[np.floating], share: float, largest: int) -> tuple[npt.NDArray[np.uint16], float]:
    """Return frames whose brightest pixels are clipped at the largest value, and the intensity that it stands for."""
    level = float(np.quantile(frames, 1 - share))
    return np.round(np.minimum(frames / level, 1) * largest).astype(np.uint16), level


def lensless_row(sample: LenslessSample, share: float, changes: dict[str, Any]) -> list[Any]:
    """Reconstruct a clipped recording; return clipped share, figures."""
    frames, level = clipped(sample.frames / 65535, share, 65535)
    recipe = LenslessRecipe.parse(
        {
            "wavelength_um": sample.wavelength_um,
            "pixel_size_um": sample.pixel_size_um,
            "distances_um": sample.distances_um,
            "intensity_scale": sample.intensity_scale * level,
            **changes,
        }
    )
    report = finished(LenslessJob(recipe, LenslessData(frames), Truth(sample.amplitude, sample.phase))).report
    truth = report["truth"]
    return [truth["phase_psnr_db"], truth["amplitude_psnr_db"], report["iterations"], report["seconds"]]


def lensless(size: int, samples: list[str], shares: list[float], solvers: list[str]) -> list[list[Any]]:
    """Return the rows of all lensless runs with these clipped shares and solvers."""
    rows = []
    for name in samples:
        sample = simulate(
            LenslessSimulation(height_px=size, width_px=size, phase_range_rad=SAMPLES[name], distances_um=DISTANCES_UM)
        )
        for share in shares:
            chosen = solvers if share == SHARES[0] else solvers[:1]
            for solver, way in product(chosen, ("believe", "mask", "at_least") if share else WHOLE):
                changes = {"solver": solver, "preprocess": {"saturated": way}, **OTHERS.get(solver, {})}
                rows.append([name, f"{share:.0%}", solver, way, *lensless_row(sample, share, changes)])
                print(table(LENSLESS, rows[-1:]).splitlines()[-1], flush=True)
    return rows


def idt(shares: tuple[float, ...]) -> list[list[Any]]:
    """Return the rows of all runs of diffraction tomography."""
    rows = []
    geometry = VolumeGeometry(
        (IDT_SLICES, IDT_SIZE, IDT_SIZE), 0.5, OPTICS["wavelength_um"], OPTICS["medium_index"],
        OPTICS["pixel_size_um"], OPTICS["na"],
    )  # fmt: skip
    for name, phase, kind in (("weak", 0.3, BornModel), ("strong", 1.5, SSNPModel)):
        found = cells(geometry, peak_phase_rad=phase, seed=0)
        truth = TrueVolume(found.n_re, found.n_im)
        n_re, n_im = (torch.from_numpy(np.asarray(part, np.float64)) for part in (truth.n_re, truth.n_im))
        with torch.no_grad():
            model = kind(geometry, ring(OPTICS["ring"]["na"], IDT_FRAMES))
            frames = model.intensities(permittivity_contrast(n_re, n_im, OPTICS["medium_index"]).float()).numpy()
        frames = np.maximum(frames + IDT_NOISE * np.random.default_rng(0).standard_normal(frames.shape), 0)
        for share in (0.0, *shares):
            recorded, level = clipped(frames, share, 4095)
            for solver in ("tikhonov", "voxels", "diner") if share == shares[0] else ("tikhonov", "voxels"):
                for way in ("believe", "at_least") if share else WHOLE:
                    recipe = IdtRecipe.parse(
                        {
                            **OPTICS, "slice_spacing_um": 0.5, "slice_count": IDT_SLICES, "solver": solver,
                            "background": "ratio", "saturated": way,
                        }
                    )  # fmt: skip
                    values = np.float32(level) * (recorded / np.float32(4095))
                    with IdtTask().start(recipe, Frames(values), truth=truth) as work:
                        for _ in work:
                            pass
                        report = work.result().report
                    score = report["truth"]
                    figures = [score["n_re_rmse"], score["n_re_correlation"], report["seconds"]]
                    rows.append([name, report["model"], f"{share:.0%}", solver, way, *figures])
                    print(table(IDT, rows[-1:]).splitlines()[-1], flush=True)
    return rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["both", "lensless", "idt"], default="both")
    parser.add_argument("--size", type=int, default=256, help="size of the lensless frames in pixels")
    parser.add_argument("--samples", nargs="*", choices=list(SAMPLES), default=list(SAMPLES))
    parser.add_argument(
        "--shares", nargs="*", type=float, default=[0.0, *SHARES], help="clipped parts of lensless frames"
    )
    parser.add_argument(
        "--solvers",
        nargs="*",
        choices=list(SOLVERS),
        default=list(SOLVERS),
        help="of lensless frames; all but the first only for 2 %%",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for saturation.txt and .json")
    arguments = parser.parse_args()
    parts = {}
    if arguments.task != "idt":
        parts["lensless"] = (LENSLESS, lensless(arguments.size, arguments.samples, arguments.shares, arguments.solvers))
    if arguments.task != "lensless":
        parts["idt"] = (IDT, idt(SHARES))
    text = "\n\n".join(table(header, rows) for header, rows in parts.values())
    write(arguments.output, "saturation", text, {name: rows for name, (_, rows) in parts.items()})


if __name__ == "__main__":
    main()
