"""The exact network of a DINER beside its lattice at the end of a run, on images, videos, lensless and IDT stacks.

    python benchmarks/exactness.py -o results

A run takes its steps on the lattice, and its result comes from the network. The misfit that the run minimises is given
for both, in dB below one, in the units of the solver: its differences are those of the PSNR. The result of a fit has
keys that were placed by the network afterwards.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import torch

import napari_diner as nd
from napari_diner.representations.diner import Diner
from napari_diner.solvers.adam import AdamDescent
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.solver import Budget
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from output import table, write

CASES: dict[str, tuple[str, str, dict[str, int], dict[str, Any]]] = {
    "image, 256×256": ("fit", "image", {"height_px": 256, "width_px": 256}, {"epochs": 500}),
    "image, 640×640": ("fit", "image", {"height_px": 640, "width_px": 640}, {"epochs": 300}),
    "video, 16×96×96": ("fit", "video", {"height_px": 96, "width_px": 96, "frames": 16}, {"epochs": 300}),
    "lensless, 128×128": ("lensless", "lensless", {"height_px": 128, "width_px": 128}, {"solver": "diner"}),
    "lensless, 256×256, from a flat field": (
        "lensless", "lensless", {"height_px": 256, "width_px": 256}, {"solver": "diner", "start": "flat"},
    ),
    "IDT, 64×64×12": ("idt", "idt", {"height_px": 64, "width_px": 64, "slices": 12, "frames": 12}, {"solver": "diner"}),
}  # fmt: skip
HEADER = ("run", "steps", "lattice (dB)", "network (dB)", "result (dB)", "result less lattice (dB)")


def levels_of(name: str, sample: str, size: dict[str, int], settings: dict[str, Any]) -> list[float]:
    """Return the steps of the training, and the misfits in dB by the lattice, by the network, and of the result."""
    made, kind = nd.sample(sample, **size), task(name)
    if name == "fit":
        recipe = kind.recipe_type.parse({**settings, "device": "cpu"})
    else:
        recipe = made.recipe.updated({**settings, "device": "cpu"})
    job = kind.start(recipe, Frames(made.data.data, made.data.axes)).job
    state, found = job.begin(), []
    for stage in job.stages():
        solver = stage.solver(state, Budget())
        if solver is None:
            continue
        count = sum(1 for _ in solver.steps())
        result = solver.result()
        if isinstance(solver, AdamDescent):
            unknown, problem = solver.unknown, solver.problem
            unknown.restore(result.parameters)
            with torch.no_grad():
                found = [count, misfit(problem, unknown()), misfit(problem, unknown.exact())]
        state = stage.absorb(state, result)
        if isinstance(result, Diner):
            with torch.no_grad():
                found.append(misfit(problem, result.exact()))
    return [*found, found[-1]][:4]


def misfit(problem: Any, values: torch.Tensor) -> float:
    """Return what a run minimises, without priors, for values or an object, in dB below one."""
    if isinstance(problem, ValueProblem):
        square = (values.reshape(problem.targets.shape) - problem.targets).square()
        mean = square.mean() if problem.weights is None else (square * problem.weights).mean() / problem.weights.mean()
    else:
        mean = problem.misfit(values)
    return -10 * math.log10(float(mean))


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for exactness.txt and .json")
    parser.add_argument("--only", default="", help="part of the names of the runs")
    arguments = parser.parse_args()
    rows: list[list[object]] = []
    for title, case in CASES.items():
        if arguments.only not in title:
            continue
        count, lattice, network, result = levels_of(*case)
        rows.append([title, round(count), lattice, network, result, result - lattice])
        print(*rows[-1], flush=True)
    write(arguments.output, "exactness", table(HEADER, rows), {"header": HEADER, "rows": rows})


if __name__ == "__main__":
    main()
