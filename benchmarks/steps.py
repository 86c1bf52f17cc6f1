"""Seconds of one step of a DINER fit, published and ours, by the way in which the lattice is read.

    python benchmarks/steps.py -o results                              # generated data
    python benchmarks/steps.py --only noisy --backbones siren -o results
    python benchmarks/steps.py --cpu-time -o results                   # on a busy machine

Each fit has the settings that it has by default. Its ways take steps in turn, in one process, so that whatever else
the machine does concerns all alike; the shortest of their steps counts. The published way evaluates the network for
every sample. Ours interpolate from a lattice: by torch's `grid_sample`, with compiled loops for interpolation and its
gradient, and with a compiled loop that also takes the step of Adam with the keys.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import napari_diner  # noqa: F401  before torch, as for users: it sets how long idle threads spin

# isort: split
import numpy as np
import numpy.typing as npt
import torch

from napari_diner.representations import interpolation
from napari_diner.representations.unknown import Values
from napari_diner.solvers.adam import AdamDescent
from napari_diner.solvers.settings import AdamSettings
from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.job import FitJob
from napari_diner.tasks.fit.recipe import FitRecipe
from output import table, versions, write
from plain_diner import plain_fit
from textures import fur
from widths import mixture

WARM_UP, STEPS, PLAIN_STEPS = 10, 25, 3
WAYS = ("grid_sample", "compiled loops", "compiled step")
HEADER = ("data", "backbone", "keys", "lattice", "published", *WAYS, "ratio")


def noisy(size: int) -> npt.NDArray[np.uint16]:
    """Return counts of 16 bits with shot noise, (size, size), of which few are equal."""
    light = 60_000 * (fur(size, grey=True) / 255) + 2_000
    return np.random.default_rng(0).poisson(light).clip(0, 65_535).astype(np.uint16)


def video(frames: int, size: int) -> npt.NDArray[np.uint8]:
    """Return a pan over fur, (frames, size, size, 3)."""
    texture = fur(size + 8 * frames)
    return np.stack([texture[4 * frame :, 7 * frame :][:size, :size] for frame in range(frames)])


DATA: dict[str, tuple[Callable[[], npt.NDArray[Any]], str, bool]] = {
    "photograph": (lambda: fur(1200), "YXS", False),
    "photograph, unique colours": (lambda: fur(1200), "YXS", True),
    "noisy, 16 bits": (lambda: noisy(1024), "YX", False),
    "video": (lambda: video(16, 256), "TYXS", False),
    "texture": (lambda: mixture(768), "YXS", False),
}
"""Array, axes, and whether equal values share a key."""


def descent(image: npt.NDArray[Any], axes: str, unique: bool, backbone: str) -> AdamDescent:
    """Return the training of a fit, without searches for keys."""
    recipe = FitRecipe.parse({"diner": {"backbone": backbone}, "training": {"unique": unique}, "device": "cpu"})
    state = FitJob(recipe, FitData(image, axes)).begin()
    settings = AdamSettings(iterations=1_000_000, patience=None)
    return AdamDescent(state.problem, Values(state.representation), settings, polish=False)


@contextlib.contextmanager
def limited_to(way: str) -> Iterator[None]:
    """Leave to torch what a way does not have compiled."""
    with contextlib.ExitStack() as patches:
        for name, absent, instead in (("kernels_for", WAYS[:1], None), ("can_step", WAYS[:2], False)):
            if way in absent:
                patches.enter_context(mock.patch.object(interpolation, name, return_value=instead))
        yield


def seconds_of_steps(solvers: dict[str, AdamDescent], clock: Callable[[], float]) -> dict[str, list[float]]:
    """Return the seconds of steps that solvers take in turn."""
    runs = {way: solver.steps() for way, solver in solvers.items()}
    seconds: dict[str, list[float]] = {way: [] for way in solvers}
    for number in range(WARM_UP + STEPS):
        for way, steps in runs.items():
            with limited_to(way):
                began = clock()
                next(steps)
                if number >= WARM_UP:
                    seconds[way].append(clock() - began)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(DATA), help="data whose name contains one of these")
    parser.add_argument("--backbones", nargs="+", default=["mlp", "siren"], help="mlp, siren, finer")
    parser.add_argument("--cpu-time", action="store_true", help="count processor time instead, of all threads together")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for steps.txt and .json")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rows: list[list[Any]] = []
    for name, (make, axes, unique) in DATA.items():
        if not any(part in name for part in arguments.only):
            continue
        image = make()
        for backbone in arguments.backbones:
            solvers = {way: descent(image, axes, unique, backbone) for way in WAYS}
            (diner,) = solvers[WAYS[0]].unknown.parts
            settings, keys = diner.settings, len(diner.hash_table)
            samples = torch.rand(image.size // diner.outputs, diner.outputs)
            with mock.patch("time.perf_counter", clock):
                plain = min(plain_fit(samples, 1, kind=backbone)[1] for _ in range(PLAIN_STEPS))
            seconds = {way: min(times) for way, times in seconds_of_steps(solvers, clock).items()}
            lattice = f"{settings.lattice_size}^{settings.table_width}"
            rows.append([name, backbone, keys, lattice, plain, *seconds.values(), plain / seconds[WAYS[-1]]])
            print(table(HEADER, rows), flush=True)
    kind = "processor time" if arguments.cpu_time else "time"
    head = f"{versions()}, seconds of {kind}"
    report = {"head": head, "rows": [dict(zip(HEADER, row, strict=True)) for row in rows]}
    write(arguments.output, "steps", "\n".join([head, "", table(HEADER, rows)]), report)


if __name__ == "__main__":
    main()
