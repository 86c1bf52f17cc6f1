"""A video, and the representations to compare on it for the same time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

import napari_diner as nd
from comparators.nerv import NeRV, fit_nerv
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.report import psnr_db
from napari_diner.tasks.task import Frames

RUNS: dict[str, dict[str, Any]] = {
    "SIREN, 4×64": {"representation": "siren", "network": {"hidden_layers": 4}},
    "hash grid": {"representation": "hash-grid"},
    "DINER, 4×64": {"diner": {"backbone": "siren", "hidden_layers": 4}},
    "DINER, 2×64": {"diner": {"backbone": "siren"}},
}


def panned(frames: int, size: int) -> Frames:
    """Return the package's generated video, 9:16, `size` rows."""
    video = nd.sample("video", frames=frames, height_px=size, width_px=size * 16 // 9)
    return Frames(video.data.data, "TYXS")


def compared(video: Frames, seconds: float, narrowest: int = 24, stem: int = 512) -> list[dict[str, Any]]:
    """Return a row for each representation; the widths are those of NeRV."""
    values = torch.from_numpy(np.asarray(video.array, np.float32) / 255).movedim(-1, 1)
    torch.manual_seed(0)
    began, busy = time.perf_counter(), time.process_time()
    model = NeRV(tuple(values.shape[2:]), values.shape[1], narrowest, stem)
    predicted, steps = fit_nerv(values, seconds, model)
    error = torch.round(predicted * 255) / 255 - values
    rows: list[dict[str, Any]] = [
        {
            "method": "NeRV",
            "parameters": sum(part.numel() for part in model.parameters()),
            "iterations": steps // len(values),
            "seconds": time.perf_counter() - began,
            "cpu_s": time.process_time() - busy,
            "psnr_db": psnr_db(error.numpy(), 1.0),
        }
    ]
    for name, changes in RUNS.items():
        busy = time.process_time()
        recipe = FitRecipe(max_seconds=seconds).updated(changes)
        report = nd.fit(video, recipe=recipe).report
        rows.append({"method": name, "cpu_s": time.process_time() - busy, **report})
    return rows
