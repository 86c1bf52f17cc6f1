"""Seconds that each task takes on a device, a graphics card for example, with its memory and its copy bandwidth.

    python benchmarks/accelerator.py --data FOLDER -o results                  # the sizes of the documentation
    python benchmarks/accelerator.py --parts image lensless --device cpu -o results

FOLDER is one with RawImg_*.png, params.json, GT_amp.png and GT_phs.png for the lensless part, which is simulated
without it. Parts: image (1200×1200 colours, 3000 epochs), video (30×1080×1920 colours, 500 epochs), lensless (Gauss-
Newton until the phase has 38 dB, and a DINER step), idt (256³ voxels under the multi-slice model). Each part runs
once with a few steps to load and compile what it needs; times of that first use are given apart.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import napari_diner as nd
from idt import OPTICS, phantom, recorded
from lensless import published_data, simulated_data
from napari_diner.device import choose_device, describe, peak_memory_mb
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.task import IdtTask
from napari_diner.tasks.job import Job
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.run import Run
from napari_diner.tasks.task import Frames
from output import finished, table, write
from textures import fur

TARGET_PHASE_DB = 38.0
HEADER = ("part", "seconds", "of which steps", "first use", "figure", "peak MB")
Row = tuple[str, float, float, float, str, float]


def synchronised(device: torch.device) -> float:
    """Return the time once the device has done all of its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def copy_gb_per_s(device: torch.device) -> float:
    """Return the bandwidth of a large copy, reads and writes counted."""
    source = torch.rand(2**28 if device.type == "cuda" else 2**26, device=device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(7):
        began = synchronised(device)
        target.copy_(source)
        seconds.append(synchronised(device) - began)
    return 2 * source.nbytes / float(np.median(seconds)) / 1e9


def timed(job: LenslessJob, device: torch.device) -> tuple[float, dict[str, Any]]:
    """Return the seconds of a job with its result, and its report."""
    began = synchronised(device)
    report = dict(finished(job).report)
    return synchronised(device) - began, report


def timed_fit(name: str, data: Frames, recipe: FitRecipe, device: torch.device) -> Row:
    """Fit data twice: the first plane with a few epochs, for what happens only once, and all of them as asked."""
    began = synchronised(device)
    plane = Frames(np.asarray(data)[:1], data.axes) if data.axes.startswith("T") else data
    nd.fit(plane, recipe=recipe.updated({"epochs": 10}))
    first = synchronised(device) - began
    began = synchronised(device)
    report = nd.fit(data, recipe=recipe).report
    seconds = synchronised(device) - began
    steps = report["seconds_per_epoch"] * report["iterations"]
    return name, seconds, steps, first, f"{report['psnr_db']:.2f} dB", peak_memory_mb(device)


def image_rows(arguments: argparse.Namespace, device: torch.device) -> list[Row]:
    """Fit one image, with a key for each pixel and with one for each colour."""
    image = nd.read(arguments.image) if arguments.image else Frames(fur(arguments.image_size), "YXS")
    base = FitRecipe(epochs=arguments.epochs, device=arguments.device)
    rows = []
    for name, training in (
        ("image, a key for each pixel", {"unique": False}),
        ("image, a key for each colour", {}),
        ("image, a key for each pixel, no searches", {"unique": False, "searches": 0, "key_steps": 0}),
    ):
        rows.append(timed_fit(name, image, base.updated({"training": training}), device))
    return rows


def video_rows(arguments: argparse.Namespace, device: torch.device) -> list[Row]:
    """Fit a video with a key for each pixel."""
    frames, height, width = arguments.video
    texture = fur(400)
    rows, columns = (length + 8 * frames - min(length, len(texture)) for length in (height, width))
    window = np.pad(texture, ((0, max(rows, 0)), (0, max(columns, 0)), (0, 0)), "symmetric")
    moved = [window[4 * number :][:height, 7 * number :][:, :width] for number in range(frames)]
    recipe = FitRecipe(epochs=500, device=arguments.device, training={"unique": False})
    return [timed_fit("video, a key for each pixel", Frames(np.stack(moved), "TYXS"), recipe, device)]


def seconds_to_phase(job: Job[Any]) -> tuple[float, float, int]:
    """Return the computing time until the phase has the PSNR asked, what was reached, and the iterations."""
    reached, last = 0.0, 0
    with Run(job) as run:
        for progress in run:
            if progress.iteration == last:
                continue
            last = progress.iteration
            reached = run.result().report["truth"]["phase_psnr_db"]
            if reached >= TARGET_PHASE_DB:
                break
    return progress.elapsed_s, reached, last


def lensless_rows(arguments: argparse.Namespace, device: torch.device) -> list[Row]:
    """Solve by Gauss-Newton until the phase is right, and time steps of DINER."""
    recipe, data, truth = published_data(arguments.data) if arguments.data else simulated_data()
    recipe = recipe.updated({"device": arguments.device})
    first, _ = timed(LenslessJob(recipe.updated({"gauss_newton": {"iterations": 2}}), data, truth), device)
    whole, report = timed(LenslessJob(recipe, data, truth), device)
    figures = f"phase {report['truth']['phase_psnr_db']:.2f} dB in {report['iterations']}"
    rows: list[Row] = [("lensless, Gauss-Newton", whole, report["seconds"], first, figures, peak_memory_mb(device))]
    seconds, reached, iterations = seconds_to_phase(LenslessJob(recipe, data, truth))
    rows.append(("lensless, until the phase is right", seconds, seconds, 0.0, f"{reached:.2f} dB in {iterations}", 0.0))
    steps = recipe.updated({"solver": "diner", "start": "flat", "gradient": {"iterations": 1000, "patience": None}})
    first, _ = timed(LenslessJob(steps.updated({"gradient": {"iterations": 20}}), data, truth), device)
    whole, report = timed(LenslessJob(steps, data, truth), device)
    step = 1e3 * report["seconds"] / report["iterations"]
    rows.append(
        ("lensless, 1000 steps of DINER", whole, report["seconds"], first, f"{step:.2f} ms", peak_memory_mb(device))
    )
    return rows


def idt_rows(arguments: argparse.Namespace, device: torch.device) -> list[Row]:
    """Reconstruct a cell under the multi-slice model."""
    size = arguments.idt_size
    settings = argparse.Namespace(slices=size, size=size, spacing=0.25, frames=24, seed=0)
    truth = phantom(settings, 2.0)
    frames: NDArray[np.float32] = recorded(truth, "multislice", settings, device)
    recipe = IdtRecipe.parse(
        {**OPTICS, "slice_count": size, "slice_spacing_um": 0.25, "background": "ratio", "model": "multislice",
         "device": arguments.device}
    )  # fmt: skip
    began = synchronised(device)
    with IdtTask().start(recipe, Frames(frames), truth=truth) as work:
        for _ in work:
            pass
        report = work.result().report
    whole = synchronised(device) - began
    figures = f"correlation {report['truth']['n_re_correlation']:.4f}"
    return [(f"idt, {size}³ multi-slice", whole, report["seconds"], 0.0, figures, peak_memory_mb(device))]


PARTS = {"image": image_rows, "video": video_rows, "lensless": lensless_rows, "idt": idt_rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--data", type=Path, help="folder with a recorded stack and its truth")
    parser.add_argument("--image", help="TIFF or PNG file; an image is generated without it")
    parser.add_argument("--image-size", type=int, default=1200, help="size of the generated image")
    parser.add_argument("--epochs", type=int, default=3000, help="epochs of the image")
    parser.add_argument("--video", type=int, nargs=3, default=[30, 1080, 1920], help="frames, rows and columns")
    parser.add_argument("--idt-size", type=int, default=256, help="voxels along each axis")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for accelerator.txt and .json")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    head = f"{describe(device)}, torch {torch.__version__}, copies {copy_gb_per_s(device):.0f} GB/s"
    print(head, flush=True)
    rows: list[Row] = []
    for part in arguments.parts:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        rows += PARTS[part](arguments, device)
        print(table(HEADER, rows), flush=True)
        report = {"device": head, "rows": [dict(zip(HEADER, row, strict=True)) for row in rows]}
        write(arguments.output, "accelerator", "\n".join([head, "", table(HEADER, rows)]), report)


if __name__ == "__main__":
    main()
