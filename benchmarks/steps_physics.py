"""Seconds of one step of a DINER behind a physical model, published and ours: lensless and IDT.

    python benchmarks/steps_physics.py -o results
    python benchmarks/steps_physics.py --data FOLDER --only lensless -o results    # published synthetic frames
    python benchmarks/steps_physics.py --idt-size 256 --idt-slices 40 -o results   # 6 GB of memory
    python benchmarks/steps_physics.py --cpu-time -o results                       # on a busy machine

The published way evaluates a SIREN for every pixel or voxel, and differentiates through the physics. For lensless these
are transforms of PyTorch, for IDT the model of the package, as there is no other. Both ways take steps in turn, in
one process; the shortest of their steps counts. The last column is the part of our step that evaluates and
differentiates the physics alone, below which no representation can bring it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari_diner  # noqa: F401  before torch, as for users: it sets how long idle threads spin

# isort: split
import torch
from torch import Tensor

from idt import OPTICS, phantom, recorded
from lensless import published_data, simulated_data
from napari_diner.solvers.adam import AdamDescent
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.solver import Budget
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.task import IdtTask
from napari_diner.tasks.job import Job
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.task import Frames
from output import table, versions, write
from plain_diner import PlainDiner, PlainTable

WARM_UP, STEPS, PLAIN_EVERY = 5, 20, 8
HEADER = ("task", "samples", "published", "ours", "ratio", "physics alone")
Step = Callable[[], object]


def descent(job: Job[Any]) -> AdamDescent:
    """Return the training of a job's DINER from a cold start."""
    state = job.begin()
    for stage in job.stages():
        solver = stage.solver(state, Budget())
        if isinstance(solver, AdamDescent):
            return solver
        if stage.name == "noise estimate":  # it needs a reconstruction
            continue
        if solver is not None:
            list(solver.steps())
            state = stage.absorb(state, solver.result())
    raise SystemExit("the recipe has no DINER")


def trained(model: torch.nn.Module, loss_of: Callable[[], Tensor]) -> Step:
    """Return a step of Adam as published."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()

    return step


def lensless(arguments: argparse.Namespace) -> tuple[int, Step, AdamDescent, Step]:
    """Return pixels, a published step, our training, and the physics of a step."""
    recipe, data, _ = published_data(arguments.data) if arguments.data else simulated_data()
    solver = descent(LenslessJob(recipe.updated({"solver": "diner", "start": "flat", "device": "cpu"}), data))
    problem = solver.problem
    assert isinstance(problem, PhaseProblem)
    torch.manual_seed(0)
    plain, measured = PlainDiner(problem.model.transfers), problem.amplitudes**2  # type: ignore[attr-defined]
    field = problem.flat_field()
    pixels = field.numel()
    return (
        pixels,
        trained(plain, lambda: (plain() - measured).square().mean()),
        solver,
        lambda: problem.evaluate(field),
    )


def idt(arguments: argparse.Namespace) -> tuple[int, Step, AdamDescent, Step]:
    """Return voxels, a published step, our training, and the physics of a step."""
    arguments.size, arguments.slices = arguments.idt_size, arguments.idt_slices
    arguments.frames, arguments.spacing, arguments.seed = 24, 0.5, 0
    truth = phantom(arguments, 0.3)
    recipe = IdtRecipe.parse(
        {
            **OPTICS, "slice_spacing_um": arguments.spacing, "slice_count": arguments.slices, "background": "ratio",
            "solver": "diner", "start": "empty", "device": "cpu",
        }
    )  # fmt: skip
    frames = recorded(truth, "born", arguments)
    solver = descent(IdtTask().job(recipe, IdtTask().assemble(recipe, Frames(frames))))
    problem, shape = solver.problem, truth.n_re.shape
    assert isinstance(problem, VolumeProblem)
    torch.manual_seed(0)
    plain = PlainTable(truth.n_re.size, 2, width=3)
    contrast = torch.zeros(2, *shape)
    return (
        truth.n_re.size,
        trained(plain, lambda: problem.misfit(1e-3 * plain().T.reshape(2, *shape))),
        solver,
        lambda: problem.evaluate(contrast),
    )


TASKS = {"lensless": lensless, "idt": idt}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--data", type=Path, help="folder of lensless frames with params.json, as for lensless.py")
    parser.add_argument("--idt-size", type=int, default=128, help="rows and columns of the volume")
    parser.add_argument("--idt-slices", type=int, default=24, help="slices of the volume")
    parser.add_argument("--cpu-time", action="store_true", help="count processor time instead, of all threads together")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for steps_physics.txt and .json")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rows: list[list[Any]] = []
    for name in arguments.only:
        samples, plain, solver, physics = TASKS[name](arguments)
        steps = solver.steps()
        ways: dict[str, Step] = {"published": plain, "ours": lambda steps=steps: next(steps), "physics": physics}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(WARM_UP + STEPS):
            for way, step in ways.items():
                if way == "published" and number % PLAIN_EVERY:
                    continue
                began = clock()
                step()
                if number >= WARM_UP:
                    seconds[way].append(clock() - began)
        least = {way: min(times) for way, times in seconds.items()}
        ratio = least["published"] / least["ours"]
        rows.append([name, samples, least["published"], least["ours"], ratio, least["physics"]])
        print(table(HEADER, rows), flush=True)
    kind = "processor time" if arguments.cpu_time else "time"
    head = f"{versions()}, seconds of {kind}"
    report = {"head": head, "rows": [dict(zip(HEADER, row, strict=True)) for row in rows]}
    write(arguments.output, "steps_physics", "\n".join([head, "", table(HEADER, rows)]), report)


if __name__ == "__main__":
    main()
