"""Time for a series of recordings, with and without starting from the previous one.

A specimen changes and is recorded again and again: in lensless recordings, two layers of it move apart, by ``--speed``
pixels each from one recording to the next; a volume turns slowly into another one; objects of a video move. Each
recording is reconstructed by itself, and following the one before (``select: T=all``). Two pairs of figures are given
for all but the first recording:

- the processor seconds until the result has the same PSNR against the truth: that which the run by itself has in the
  end, less 0.2 dB. This is what a start is worth, whenever a solver chooses to stop;
- the seconds of the whole runs with their default settings, and the PSNR at their ends, on average and of the last
  recording, which has the errors that add up along the series.

    python benchmarks/series.py [--task lensless idt fit] [--only diner] [--times 20] [--size 96]
                                [--change 0.01] [--speed 1]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.ndimage import shift

import napari_diner as nd
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.simulate.fit.images import simulate_video
from napari_diner.simulate.fit.settings import VideoSimulation
from napari_diner.solvers.solver import Budget
from napari_diner.tasks.job import Job, Stage
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

DISTANCES_UM = (300.0, 380.0, 460.0, 540.0, 620.0, 700.0)
SOLVERS: dict[str, dict[str, dict[str, Any]]] = {
    "lensless": {
        "gauss-newton": {},
        "alternating": {"solver": "alternating"},
        "diner": {"solver": "diner", "gradient": {"iterations": 300}},
    },
    "idt": {
        "voxels, born": {"model": "born"},
        "voxels, multislice": {"model": "multislice"},
        "diner, born": {"solver": "diner", "model": "born"},
    },
    "fit": {
        "diner-siren": {"epochs": 300},
        "siren": {"representation": "siren", "epochs": 300},
    },
}
_ALLOWED_DB = 0.2


@dataclass(frozen=True)
class Recorded:
    """A series with its truth."""

    frames: np.ndarray
    """(T, N, Y, X), or (T, Y, X)."""
    truth: np.ndarray
    """What the last image of a preview shows, (T, …)."""
    recipe: dict[str, Any]
    """Settings."""


@dataclass
class Course:
    """The progress of one reconstruction."""

    seconds: list[float]
    psnr_db: list[float]

    def reaches(self, psnr_db: float) -> float:
        """Return the seconds until a PSNR is reached; those of the whole run if it never is."""
        reached = [second for second, value in zip(self.seconds, self.psnr_db, strict=True) if value >= psnr_db]
        return reached[0] if reached else self.seconds[-1]


def recordings(times: int, size: int, change: float, speed_px: float) -> Recorded:
    """Return a lensless series with shot noise: the middle of two layers that move across each other."""
    wide, edge = 2 * size, size // 2
    first, second = (
        {array.name: array.data for array in nd.sample("lensless", height_px=wide, width_px=wide, seed=seed).truth}
        for seed in (0, 1)
    )
    model = MultiHeight((wide, wide), Heights(Optics(wavelength_um=0.532, pixel_size_um=1.12), list(DISTANCES_UM)))
    random = np.random.default_rng(0)
    frames, phases = [], []
    for number in range(times):
        moved = speed_px * number
        amplitude, phase = (
            shift(first[name], (moved, 0), order=1, mode="grid-wrap")
            + shift(second[name], (0, -moved), order=1, mode="grid-wrap")
            for name in ("amplitude", "phase")
        )
        field = torch.from_numpy((amplitude / 2 * np.exp(1j * phase)).astype(np.complex64))
        intensity = model.fields(field).abs().square().numpy()[:, edge:-edge, edge:-edge]
        frames.append(random.poisson(5000 * intensity).astype(np.float32))
        phases.append(phase[edge:-edge, edge:-edge])
    recipe = {"wavelength_um": 0.532, "pixel_size_um": 1.12, "distances_um": DISTANCES_UM}
    return Recorded(np.stack(frames), np.stack(phases), recipe)


def tomograms(times: int, size: int, change: float, speed_px: float) -> Recorded:
    """Return a series of diffraction tomography, of volumes that are blended as their recordings are."""
    first, second = (
        nd.sample("idt", height_px=size, width_px=size, slices=12, frames=12, seed=seed) for seed in (0, 1)
    )
    parts = [change * number for number in range(times)]
    frames = [(1 - part) * first.data.data + part * second.data.data for part in parts]
    truth = [(1 - part) * first.truth[0].data + part * second.truth[0].data for part in parts]
    recipe = first.recipe.model_dump(exclude_unset=True, exclude={"stack", "task"})
    return Recorded(np.stack(frames).astype(np.float32), np.stack(truth), recipe)


def video(times: int, size: int, change: float, speed_px: float) -> Recorded:
    """Return a video in colours of objects that move."""
    frames = simulate_video(VideoSimulation(height_px=size, width_px=size, frames=times))
    return Recorded(frames, frames, {})


MADE: dict[str, Callable[[int, int, float, float], Recorded]] = {"lensless": recordings, "idt": tomograms, "fit": video}


def psnr_db(image: np.ndarray, truth: np.ndarray, *, free_mean: bool) -> float:
    """Return the PSNR for a peak of the range of the truth; a phase is free of its mean."""
    errors = image.astype(np.float64) - truth
    if free_mean:
        errors = np.angle(np.exp(1j * errors))
        errors -= errors.mean()
    return float(20 * np.log10(np.ptp(truth) / max(np.sqrt(np.mean(errors**2)), 1e-9)))


def course(
    job: Job[Any], state: Any, stages: Sequence[Stage[Any]], truth: np.ndarray, began: float
) -> tuple[Any, Course]:
    """Run stages and note the PSNR after each iteration; the clock stands still meanwhile."""
    seconds, values, apart = [], [], 0.0

    def look(shown: Any, name: str | None = None) -> None:
        nonlocal apart
        stopped = time.process_time()
        arrays = job.preview(shown)
        if arrays:
            seconds.append(stopped - began - apart)
            values.append(psnr_db(arrays[-1].data, truth, free_mean=arrays[-1].name == "phase"))
        apart += time.process_time() - stopped

    for stage in stages:
        solver = stage.solver(state, Budget())
        if solver is None:
            continue
        for step in solver.steps():
            if step.within in (0.0, 1.0):
                look((stage.show or stage.absorb)(state, solver.current()))
        state = stage.absorb(state, solver.result())
        look(state)
    return state, Course(seconds, values)


def compare(name: str, settings: dict[str, Any], series: Recorded) -> str:
    """Return a row of the table for a solver."""
    kind = task(name)
    recipe = kind.recipe_type.parse({**series.recipe, **settings})
    axes = "YXS" if name == "fit" else "NYX"
    alone, following, previous = [], [], None
    job: Job[Any] | None = None
    for number, frames in enumerate(series.frames):
        data = kind.assemble(recipe, Frames(frames, axes))
        began = time.process_time()
        single = kind.job(recipe, data)
        state, progress = course(single, single.begin(), single.stages(), series.truth[number], began)
        if job is None:
            job, recipe = single, single.recipe
            previous = state
            continue
        alone.append(progress)
        began = time.process_time()
        job = kind.job(recipe, data)
        previous, progress = course(job, job.follow(previous), job.later_stages(), series.truth[number], began)
        following.append(progress)
    targets = [each.psnr_db[-1] - _ALLOWED_DB for each in alone]
    until = [sum(each.reaches(t) for each, t in zip(runs, targets, strict=True)) for runs in (alone, following)]
    whole = [sum(each.seconds[-1] for each in runs) for runs in (alone, following)]
    ends = [f"{np.mean([each.psnr_db[-1] for each in runs]):.2f} dB" for runs in (alone, following)]
    last = [f"{runs[-1].psnr_db[-1]:.2f} dB" for runs in (alone, following)]
    missed = sum(max(each.psnr_db) < t for each, t in zip(following, targets, strict=True))
    title = next(title for title, each in SOLVERS[name].items() if each is settings)
    pairs = [f"{one:.2f} s | {other:.2f} s | {1 - other / one:.0%}" for one, other in (until, whole)]
    return f"| {name}, {title} | {pairs[0]} | {missed} | {pairs[1]} | {' | '.join((*ends, *last))} |"


def main() -> None:
    """Print a table with a row for each solver."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="+", choices=list(SOLVERS), default=list(SOLVERS))
    parser.add_argument("--only", default="", help="part of the names of the solvers to run")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--change", type=float, default=0.01)
    parser.add_argument("--speed", type=float, default=1.0)
    options = parser.parse_args()
    print(
        "| solver | to equal PSNR: alone | following | saved | missed | whole run: alone | following | saved "
        "| PSNR: alone | following | the last: alone | following |\n" + "|---" * 12 + "|"
    )
    for name in options.task:
        series = MADE[name](options.times, options.size, options.change, options.speed)
        for settings in (settings for title, settings in SOLVERS[name].items() if options.only in title):
            print(compare(name, settings, series), flush=True)


if __name__ == "__main__":
    main()
