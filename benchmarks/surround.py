"""An unknown surround against assumed ones: convergence on recordings, and errors near the border of simulated parts.

    python benchmarks/surround.py -o results [--data FOLDER] [--data FOLDER] [--published FOLDER]

Simulated: the middle of a wider recording, with known truth; the phase PSNR of its border (outer 10 %) and its middle
for each mode of padding. Recorded: a folder holds frames, RawImg_*.png, and params.json. Gauss-Newton runs with
mirrored and with unknown surrounds of the same width, in turn, so that both get the same processor; the frame in the
middle is held out and predicted. Times are those of the processor. Published: a folder with a periodic recording
and its truth, where nothing may change.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.solvers.lensless.gauss_newton import GaussNewton
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.tasks.lensless.data import LenslessData, assemble, prepare
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.prior import middle_frame, priors_of
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.truth import Truth, load_truth, phase_error
from napari_diner.tasks.report import psnr_db
from output import finished, table, write

Image = npt.NDArray[np.float32]
# a solver has converged when an iteration lowers the loss by less than this
SETTLED = 1e-3


@dataclass
class Course:
    """A run of Gauss-Newton, and what it has come to after each iteration."""

    solver: GaussNewton
    held: PhaseProblem
    cpu_s: float = 0.0
    trace: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Processor seconds, loss, misfit of the frames used and of the one held out."""
    ended: bool = False

    def iterations(self) -> Iterator[None]:
        """Iterate, and record each iteration."""
        began = time.process_time()
        for step in self.solver.steps():
            if step.within < 1 or (self.trace and step.loss == self.trace[-1][1]):
                continue
            self.cpu_s += time.process_time() - began
            field, problem = self.solver.result(), self.solver.problem
            self.trace.append((self.cpu_s, step.loss, problem.evaluate(field).misfit, self.held.evaluate(field).misfit))
            yield
            began = time.process_time()
        self.ended = True

    @property
    def settled(self) -> int | None:
        """The first iteration that lowered the loss by less than `SETTLED`, or after which the solver ended."""
        for number, (before, after) in enumerate(zip(self.trace, self.trace[1:], strict=False), start=2):
            if after[1] > (1 - SETTLED) * before[1]:
                return number
        return len(self.trace) if self.ended else None

    def row(self) -> list[Any]:
        """Return what is shown of a run."""
        trace, settled = np.array(self.trace), self.settled
        near = int(np.argmax(trace[:, 2] <= 1.01 * trace[-1, 2]))
        return [
            settled or f"> {len(trace)}", f"{trace[settled - 1, 0]:.0f}" if settled else f"> {trace[-1, 0]:.0f}",
            f"{near + 1} / {len(trace)}", f"{trace[near, 0]:.0f} / {trace[-1, 0]:.0f}",
            *(f"{np.sqrt(value):.5f}" for value in trace[-1, 2:]),
        ]  # fmt: skip


def course(recipe: LenslessRecipe, data: LenslessData) -> Course:
    """Return a run on all frames but the middle one."""
    prepared = prepare(recipe, data)
    setup = Setup.of(recipe, prepared.gains)
    whole = ModelBuilder(None, torch.device("cpu")).problem(setup, prepared)
    held = torch.zeros(whole.amplitudes.shape, dtype=torch.bool)
    held[middle_frame(setup.heights.distances_um)] = True
    rest, alone = (PhaseProblem(whole.model, whole.amplitudes, mask) for mask in (~held, held))
    rest = rest.with_priors(priors_of(recipe, rest, None))
    settings = recipe.gauss_newton.model_copy(update={"iterations": 1000})
    return Course(GaussNewton(rest, rest.flat_field(), settings), alone)


def recording(folder: Path, crop: int, seconds: float) -> dict[str, Any]:
    """Run with mirrored and with unknown surrounds, in turn."""
    params = json.loads((folder / "params.json").read_text())
    distances = next(params[name] for name in ("distances_um", "distances_um_computed") if name in params)
    values: dict[str, Any] = {
        "stack": str(folder / "RawImg_*.png"), "wavelength_um": params["wavelength_um"],
        "pixel_size_um": params["pixel_size_um"], "distances_um": distances, "equalise_gains": True,
    }  # fmt: skip
    recipe = LenslessRecipe.parse(values)
    data = assemble(recipe)
    size = np.array(data.frames.shape[1:])
    if crop < size.min():
        top, left = (size - crop) // 2
        recipe = recipe.updated({"preprocess": {"crop_px": [int(top), int(left), crop, crop]}})
    width = Setup.of(recipe.updated({"padding": {"mode": "unknown"}}))
    width_um = width.padding_px * width.pixel_size_um
    courses = {
        mode: course(recipe.updated({"padding": {"mode": mode, "width_um": width_um}}), data)
        for mode in ("reflect", "unknown")
    }
    running = {mode: one.iterations() for mode, one in courses.items()}
    while running:
        mode = min(running, key=lambda name: courses[name].cpu_s)
        if next(running[mode], "end") == "end" or courses[mode].cpu_s > seconds:
            del running[mode]
    print(folder.name, {mode: one.row() for mode, one in courses.items()}, flush=True)
    fields = {mode: one.solver.problem.model.padding.view(one.solver.result()) for mode, one in courses.items()}
    return {"name": folder.name, "courses": courses, "fields": fields, "width_px": width.padding_px}


def part(size: int, wide: int, seed: int, noise: float) -> tuple[LenslessRecipe, LenslessData, Truth]:
    """Simulate a recording of which the sensor sees the middle."""
    sample = simulate(LenslessSimulation(height_px=wide, width_px=wide, noise_sigma=noise, seed=seed))
    inside = slice((wide - size) // 2, (wide + size) // 2)
    recipe = LenslessRecipe.parse({
        "wavelength_um": sample.wavelength_um, "pixel_size_um": sample.pixel_size_um,
        "distances_um": sample.distances_um, "intensity_scale": sample.intensity_scale,
    })  # fmt: skip
    frames = np.ascontiguousarray(sample.frames[:, inside, inside])
    return recipe, LenslessData(frames), Truth(sample.amplitude[inside, inside], sample.phase[inside, inside])


def published(folder: Path) -> tuple[LenslessRecipe, LenslessData, Truth]:
    """Return a published recording."""
    params = json.loads((folder / "params.json").read_text())
    recipe = LenslessRecipe.parse({
        "stack": str(folder / "RawImg_*.png"),
        **{name: params[name] for name in ("wavelength_um", "pixel_size_um", "distances_um", "intensity_scale")},
        "shifts_um": [[params["pixel_size_um"] * shift for shift in pair] for pair in params["shifts_px"]],
    })  # fmt: skip
    return recipe, assemble(recipe), load_truth(folder)


def scored(recipe: LenslessRecipe, data: LenslessData, truth: Truth, mode: str) -> list[Any]:
    """Reconstruct with a mode of padding; return PSNR at the border and inside, and the effort."""
    began = time.process_time()
    result = finished(LenslessJob(recipe.updated({"padding": {"mode": mode}}), data, truth))
    seconds = time.process_time() - began
    border = np.ones(truth.phase.shape, bool)
    border[tuple(slice(round(0.1 * size), size - round(0.1 * size)) for size in border.shape)] = False
    errors = (
        (phase_error(result["phase"].data, truth.phase), float(np.ptp(truth.phase))),
        (result["amplitude"].data - truth.amplitude, float(truth.amplitude.max())),
    )
    values = [psnr_db(error[where], peak) for error, peak in errors for where in (border, ~border)]
    chosen = result.report.get("surround", {}).get("object_px", list(truth.phase.shape))
    row = [mode, "×".join(map(str, chosen)), *(f"{value:.1f}" for value in values), result.report["iterations"]]
    row.append(f"{seconds:.0f}")
    print(row, flush=True)
    return row


def drawn(recordings: list[dict[str, Any]]) -> Figure:
    """Draw amplitudes and phases, mirrored and unknown, and their convergence."""
    figure = Figure(figsize=(25, 5 * max(len(recordings), 1)), layout="constrained")
    if not recordings:
        return figure
    for axes, one in zip(figure.subplots(len(recordings), 5, squeeze=False), recordings, strict=True):
        for place, (mode, found) in enumerate(one["fields"].items()):
            turned: Tensor = found * torch.exp(-1j * found.sum().angle())
            shown = (("amplitude", turned.abs().numpy()), ("phase", turned.angle().numpy()))
            for row, (name, image) in enumerate(shown):
                axis = axes[place + 2 * row]
                limits = np.quantile(image, (0.005, 0.995))
                axis.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1])
                axis.set(title=f"{one['name']}: {name}, {mode}", xticks=[], yticks=[])
            trace = np.array(one["courses"][mode].trace)
            axes[4].semilogy(trace[:, 0], np.sqrt(trace[:, 2]), f"C{place}", label=f"{mode}, used")
            axes[4].semilogy(trace[:, 0], np.sqrt(trace[:, 3]), f"C{place}:", label=f"{mode}, held out")
        axes[4].set(xlabel="processor time (s)", ylabel="RMS error of the amplitudes")
        axes[4].legend()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder of a recording; can be repeated")
    parser.add_argument("--published", type=Path, help="folder of a periodic recording with its truth")
    parser.add_argument("--crop", type=int, default=10_000, help="largest size of a recording, cropped at its centre")
    parser.add_argument("--seconds", type=float, default=120.0, help="processor time of each run on a recording")
    parser.add_argument("--size", type=int, default=160, help="pixels of the simulated part; of three times as many")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for surround.txt, .png and .json")
    arguments = parser.parse_args()
    head = [
        "mode",
        "object",
        "phase, border",
        "phase, inside",
        "amplitude, border",
        "amplitude, inside",
        "iterations",
        "s",
    ]
    texts, values = [], {}
    for noise in (0.005, 0.02):
        sample = part(arguments.size, 3 * arguments.size, 1, noise)
        rows = [scored(*sample, mode) for mode in ("none", "reflect", "replicate", "unknown", "auto")]
        texts.append(f"simulated part, noise {noise:g}: PSNR (dB)\n{table(head, rows)}")
        values[f"noise {noise:g}"] = rows
    if arguments.published is not None:
        sample = published(arguments.published)
        rows = [scored(*sample, mode) for mode in ("none", "auto", "unknown")]
        texts.append(f"{arguments.published.name}: PSNR (dB)\n{table(head, rows)}")
        values[arguments.published.name] = rows
    recordings = [recording(folder, arguments.crop, arguments.seconds) for folder in arguments.data]
    columns = [
        "surround", "settled after", "s", "within 1 % after", "s", "RMS error, used", "held out",
    ]  # fmt: skip
    for one in recordings:
        rows = [[mode, *run.row()] for mode, run in one["courses"].items()]
        texts.append(f"{one['name']}, surround of {one['width_px']} pixels\n{table(columns, rows)}")
        values[one["name"]] = {mode: run.trace for mode, run in one["courses"].items()}
    write(arguments.output, "surround", "\n\n".join(texts), values, drawn(recordings))


if __name__ == "__main__":
    main()
