"""IDT of samples that continue beyond the frames: correlation with the truth for each mode of padding.

    python benchmarks/idt_edges.py -o results                     # beads, cells, and a cell alone
    python benchmarks/idt_edges.py --data FOLDER -o results       # and a recording: FOLDER/idt_algae

Simulated: the middle quarter of a periodic field. The frames of the part alone are reconstructed with a periodic
volume (none), with frames that are mirrored around the part (reflect), and with a surround that is solved for
(unknown); *whole* is the part of what all frames of the field give. Correlations of n with the truth are those of all
of the part, and of the half of it in the middle. A field that repeats is reconstructed with a surround that it does not
need as well, to see what that costs. Recorded: one frame in four is held out; unexplained is the share of its variation
that the volume from the others does not predict. Times are those of the processor.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import torch

from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.simulate.idt.cells import cells
from napari_diner.solvers.idt.least_squares import WeightedLeastSquares
from napari_diner.solvers.idt.weight_choice import TvSearch
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.job import IdtJob
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.result import Result
from output import finished, table, write

Array = npt.NDArray[np.float32]
OPTICS: dict[str, Any] = {
    "wavelength_um": 0.515, "pixel_size_um": 0.1625, "na": 0.65, "medium_index": 1.33, "ring": {"na": 0.637},
    "slice_spacing_um": 0.5, "background": "ratio",
}  # fmt: skip
FRAMES, PLANES, PEAK_RAD = 24, 16, {"born": 0.3, "multislice": 1.2}
SOLVERS: dict[str, dict[str, Any]] = {
    "closed form": {"solver": "tikhonov", "model": "born"},
    "voxels": {"solver": "voxels", "model": "born"},
    "voxels, SSNP": {"solver": "voxels", "model": "multislice", "multislice": {"iterations": 8}},
}


def geometry_of(size: int) -> VolumeGeometry:
    """Return the geometry of a square field."""
    return IdtRecipe.parse(OPTICS).geometry((PLANES, size, size))


def beads(size: int, seed: int) -> npt.NDArray[np.float64]:
    """Return the density of beads of 1 to 2.6 µm all over a periodic field, (Z, Y, X)."""
    random = np.random.default_rng(seed)
    z, y, x = np.mgrid[:PLANES, :size, :size].astype(float)
    density, pixel = np.zeros(z.shape), OPTICS["pixel_size_um"]
    for _ in range(round(60 * (size / 128) ** 2)):
        place, radius = random.uniform((2.5, 0, 0), (PLANES - 3.5, size, size)), random.uniform(0.5, 1.3)
        dy, dx = ((axis - at + size / 2) % size - size / 2 for axis, at in ((y, place[1]), (x, place[2])))
        distance = np.sqrt(((z - place[0]) * OPTICS["slice_spacing_um"]) ** 2 + (dy**2 + dx**2) * pixel**2)
        density = np.maximum(density, random.uniform(0.5, 1) / (1 + np.exp((distance - radius) / 0.08)))
    return density


def phantom(kind: str, size: int, peak_rad: float, seed: int) -> npt.NDArray[np.float64]:
    """Return the index of beads, of cells, or of a cell alone in the middle, with a peak phase, (Z, Y, X)."""
    geometry = geometry_of(size)
    if kind == "alone":
        beyond = size // 4
        cell = phantom("cells", size - 2 * beyond, peak_rad, 0)
        return np.pad(cell, ((0, 0), (beyond, beyond), (beyond, beyond)), constant_values=geometry.medium_index)
    if kind == "cells":
        return cells(geometry, peak_phase_rad=peak_rad, seed=seed).n_re.astype(np.float64)
    density = beads(size, seed)
    peak = density.sum(0).max() * geometry.slice_spacing_um * geometry.wavenumber
    return geometry.medium_index + density * peak_rad / peak


def recorded(n_re: npt.NDArray[np.float64], model: str, noise: float) -> Array:
    """Return the frames of a volume that repeats, I / I_background, (N, Y, X)."""
    kind = SSNPModel if model == "multislice" else BornModel
    simulator = kind(geometry_of(n_re.shape[-1]), ring(OPTICS["ring"]["na"], FRAMES))
    n = torch.from_numpy(n_re)
    with torch.no_grad():
        frames = simulator.intensities(permittivity_contrast(n, torch.zeros_like(n), OPTICS["medium_index"]).float())
    return (frames.numpy() + noise * np.random.default_rng(1).standard_normal(frames.shape)).astype(np.float32)


def run(frames: Array, mode: str, changes: dict[str, Any]) -> tuple[Result, float]:
    """Return the reconstruction of frames, and its processor time."""
    recipe = IdtRecipe.parse({**OPTICS, "slice_count": PLANES, **changes, "padding": {"mode": mode}})
    began = time.process_time()
    return finished(IdtJob(IdtRecording(recipe, IdtData(np.ascontiguousarray(frames))))), time.process_time() - began


def correlation(found: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Return the correlation of two volumes."""
    return float(np.corrcoef(found.ravel(), truth.ravel())[0, 1])


def part(sample: str, solver: str, noise: float, size: int) -> list[list[Any]]:
    """Reconstruct the middle of a field in all ways; return a row for each."""
    changes = SOLVERS[solver]
    truth = phantom(sample, 2 * size, PEAK_RAD[changes["model"]], 1)
    frames = recorded(truth, changes["model"], noise)
    inside = np.s_[..., size // 2 : size // 2 + size, size // 2 : size // 2 + size]
    middle = np.s_[..., size // 4 : size - size // 4, size // 4 : size - size // 4]
    beyond = size // 2
    mirrored = np.pad(frames[inside], ((0, 0), (beyond, beyond), (beyond, beyond)), mode="symmetric")
    rows = []
    for name, stack, mode, seen in (
        ("none", frames[inside], "none", np.s_[...]),
        ("reflect", mirrored, "none", inside),
        ("unknown", frames[inside], "unknown", np.s_[...]),
        ("whole", frames, "none", inside),
    ):
        result, seconds = run(stack, mode, changes)
        volume, unexplained = result["n_re"].data[seen], result.report["unexplained"]
        found = [correlation(volume, truth[inside]), correlation(volume[middle], truth[inside][middle])]
        rows.append([sample, noise, solver, name, *(f"{value:.3f}" for value in found), unexplained, f"{seconds:.1f}"])
        print(rows[-1], flush=True)
    return rows


def repeating(solver: str, size: int) -> list[list[Any]]:
    """Reconstruct a periodic field, with a surround that it does not need and without."""
    changes = SOLVERS[solver]
    truth = phantom("cells", size, PEAK_RAD[changes["model"]], 0)
    frames, rows = recorded(truth, changes["model"], 0.005), []
    for mode in ("none", "auto", "unknown"):
        result, seconds = run(frames, mode, changes)
        chosen = "unknown" if "surround" in result.report else "none"
        found = correlation(result["n_re"].data, truth)
        rows.append([solver, mode, chosen, f"{found:.3f}", result.report["unexplained"], f"{seconds:.1f}"])
        print(rows[-1], flush=True)
    return rows


def recording(folder: Path, crop: int) -> list[list[Any]]:
    """Predict held-out frames of the middle of recorded algae by volumes from the others."""
    facts = json.loads((folder / "params.json").read_text())
    directions = np.array(facts["illumination_NA_calibrated"])[:, ::-1]
    chosen = np.flatnonzero(np.hypot(*directions.T) <= facts["objective_NA"])[::2]
    stacks = [
        tifffile.imread(folder / f"algae_{name}.tif") for name in ("raw_89x400x400_u16", "background_89x50x50_f32")
    ]
    frames = stacks[0][chosen] / np.kron(stacks[1][chosen], np.ones((1, 8, 8), np.float32))
    inside = slice((frames.shape[1] - crop) // 2, (frames.shape[1] + crop) // 2)
    recipe = IdtRecipe.parse({
        "wavelength_um": facts["wavelength_um"], "pixel_size_um": facts["pixel_um"], "na": facts["objective_NA"],
        "medium_index": facts["n0"], "slice_spacing_um": 8.0, "slice_count": 14, "first_slice_um": -20.0,
        "background": "ratio", "illuminations": directions[chosen].tolist(),
    })  # fmt: skip
    data, rows = IdtData(np.ascontiguousarray(frames[:, inside, inside], np.float32)), []
    for mode in ("none", "unknown"):
        began = time.process_time()
        problem = IdtJob(IdtRecording(recipe.updated({"padding": {"mode": mode}}), data)).begin().problem
        search = TvSearch(problem, problem.data.new_zeros(2, *problem.model.shape))
        held = list(search.left_out)
        closed = WeightedLeastSquares(replace(problem, frames=search.shown))
        for solver in (closed, search):
            for _ in solver.steps():
                pass
        variance = float(problem.data[held].square().mean())
        left = float(problem.residual(closed.result().volume, held).square().mean())
        choice = search.result()
        rows.append([mode, "×".join(map(str, problem.model.shape)), left / variance])
        rows[-1] += [] if choice is None else [min(choice.errors) ** 2 / variance]
        rows[-1].append(f"{time.process_time() - began:.0f}")
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", nargs="*", choices=("beads", "cells", "alone"), default=["beads", "cells", "alone"])
    parser.add_argument("--solver", nargs="*", choices=list(SOLVERS), default=list(SOLVERS))
    parser.add_argument("--noise", nargs="*", type=float, default=[0.005, 0.03], help="of the empty field's brightness")
    parser.add_argument("--size", type=int, default=64, help="pixels of the part; of twice as many")
    parser.add_argument("--data", type=Path, help="folder with idt_algae")
    parser.add_argument("--crop", type=int, default=96, help="pixels of the part of the recording")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for idt_edges.txt and .json")
    arguments = parser.parse_args()
    texts, values = [], {}
    if arguments.data is not None:
        rows = recording(arguments.data / "idt_algae", arguments.crop)
        head = ["padding", "volume", "unexplained, closed form", "voxels", "s"]
        texts.append(f"recorded algae: share of held-out frames\n{table(head, rows)}")
        values["algae"] = rows
    rows = [
        row
        for sample in arguments.sample
        for noise in arguments.noise
        for solver in arguments.solver
        for row in part(sample, solver, noise, arguments.size)
    ]
    head = ["sample", "noise", "solver", "padding", "correlation", "in the middle", "unexplained", "s"]
    texts.append(f"a part of {arguments.size}² pixels\n{table(head, rows)}")
    values["part"] = rows
    rows = [row for solver in arguments.solver for row in repeating(solver, arguments.size)]
    head = ["solver", "padding", "chosen", "correlation", "unexplained", "s"]
    texts.append(f"a periodic field\n{table(head, rows)}")
    values["repeating"] = rows
    write(arguments.output, "idt_edges", "\n\n".join(texts), values)


if __name__ == "__main__":
    main()
