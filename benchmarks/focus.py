"""Autofocus: sharpness metrics on absorbing and transparent samples, and on recordings.

    python benchmarks/focus.py -o results                    # simulated samples
    python benchmarks/focus.py --data FOLDER ... -o results  # also folders with frames and params.json

The simulated stack has four heights with 2 % noise; the given distances are all 25 µm too long. For each metric: the
RMS error of the single frames, and the error of all frames
together. For recordings: the difference between each list of distances in params.json and the estimated ones, and
the measurement PSNR with that list.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from scipy import ndimage

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.preprocess.settings import Metric
from napari_diner.simulate.lensless.phantoms import specimen
from napari_diner.tasks.focus.job import FocusJob
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.lensless.data import LenslessData, assemble
from napari_diner.tasks.lensless.job import LenslessJob
from output import finished, table, write

METRICS: tuple[Metric, ...] = get_args(Metric)
WAVELENGTH_UM, PIXEL_UM, DISTANCES_UM = 0.532, 1.0, (400.0, 430.0, 470.0, 520.0)
TOO_LONG_UM, NOISE = 25.0, 0.02


def samples(size: int) -> dict[str, npt.NDArray[np.complex128]]:
    """Return complex fields behind samples, (Y, X), by name: absorbing and transparent bars and cells."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[:size, :size]
    cells, bars = np.zeros((size, size)), np.zeros((size, size))
    for _ in range(14):
        (cy, cx), (a, b), angle = random.uniform(30, size - 30, 2), random.uniform(6, 14, 2), random.uniform(0, np.pi)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        cells += np.sqrt(np.clip(1 - (u / a) ** 2 - (v / b) ** 2, 0, 1))
    for row in range(6):
        width, top = 2 + row, 30 + (size - 80) * row // 6
        for bar in range(3):
            bars[top : top + 20, 60 + 2 * width * bar : 60 + 2 * width * bar + width] = 1
        bars[top : top + width, size - 100 : size - 60] = 1
    cells, bars = ndimage.gaussian_filter(cells, 1.0), ndimage.gaussian_filter(bars, 0.8)
    mixed = specimen((size, size), phase_range_rad=2.0, amplitude_min=0.5, smoothing_px=1.5, seed=0)
    return {
        "absorbing bars": 1 - 0.8 * bars + 0j,
        "absorbing cells": 1 - 0.4 * cells / cells.max() + 0j,
        "bars, 0.5 rad": np.exp(0.5j * bars),
        "bars, 1.5 rad": np.exp(1.5j * bars),
        "cells, 0.3 rad": np.exp(0.3j * cells),
        "cells, 1 rad": np.exp(1j * cells),
        "cells, 3 rad": np.exp(3j * cells),
        "cells, absorbing and delaying": (1 - 0.2 * cells / cells.max()) * np.exp(1j * cells),
        "specimen, 2 rad": mixed.amplitude * np.exp(1j * mixed.phase),
    }


def recorded(field: npt.NDArray[np.complex128]) -> npt.NDArray[np.float32]:
    """Return noisy frames of a field, (N, Y, X)."""
    shape = (field.shape[0], field.shape[1])
    model = MultiHeight(shape, Heights(Optics(PIXEL_UM, WAVELENGTH_UM), DISTANCES_UM), dtype=torch.complex128)
    frames = model.intensities(torch.from_numpy(field)).numpy()
    noise = NOISE * np.random.default_rng(0).standard_normal(frames.shape)
    return np.maximum(frames + noise, 0).astype(np.float32)


def report_of(recipe: FocusRecipe, data: LenslessData) -> dict[str, Any]:
    """Return the report of a search."""
    return dict(finished(FocusJob(recipe, data)).report)


def errors_on_samples(size: int) -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """Return the rows of the table, and all figures of it."""
    rows, figures = [], []
    for name, field in samples(size).items():
        data = LenslessData(recorded(field))
        row: list[Any] = [name]
        for metric in METRICS:
            recipe = FocusRecipe.parse(
                {
                    "wavelength_um": WAVELENGTH_UM, "pixel_size_um": PIXEL_UM, "metric": metric,
                    "distances_um": [z + TOO_LONG_UM for z in DISTANCES_UM], "search_range": 0.2,
                }
            )  # fmt: skip
            report = report_of(recipe, data)
            single = float(np.sqrt(np.mean((np.array(report["sharpest_um"]) - DISTANCES_UM) ** 2)))
            joint = report["offset_um"] + TOO_LONG_UM
            row.append(f"{single:.1f} / {joint:+.1f}")
            figures.append(
                {
                    "sample": name, "metric": metric, "single_rmse_um": single, "joint_error_um": joint,
                    "joint_se_um": report["offset_um_se"],
                }
            )  # fmt: skip
        rows.append(row)
        print(*row, sep="   ", flush=True)
    return rows, figures


def recording(folder: Path, crop: int) -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """Compare each list of distances of a recording with the estimated ones, for several metrics."""
    params = json.loads((folder / "params.json").read_text())
    lists = {name: params[name] for name in params if name.startswith("distances_um")}
    base: dict[str, Any] = {
        "stack": str(folder / "*.png"), "wavelength_um": params["wavelength_um"],
        "pixel_size_um": params["pixel_size_um"],
    }  # fmt: skip
    size = np.array(assemble(FocusRecipe.parse(base)).frames.shape[1:])
    if crop < size.min():
        top, left = (size - crop) // 2
        base["preprocess"] = {"crop_px": [int(top), int(left), crop, crop]}
    rows, figures = [], []
    for name, distances in lists.items():
        recipe = FocusRecipe.parse({**base, "distances_um": distances})
        data = assemble(recipe)
        solved = recipe.lensless(tuple(distances)).updated(
            {"solver": "alternating", "equalise_gains": True, "padding": {"mode": "reflect", "width_um": 60},
             "alternating": {"iterations": 100}}
        )  # fmt: skip
        explained = finished(LenslessJob(solved, data)).report["measurement_psnr_db"]
        for metric in ("sparse_gradient", "tamura_gradient", "tamura_amplitude"):
            found = report_of(recipe.updated({"metric": metric}), data)
            away = np.array(found["sharpest_um"]) - distances
            rows.append(
                [
                    f"{folder.name} {name.removeprefix('distances_um_')}", metric, float(away.mean()),
                    float(np.sqrt(np.mean(away**2))), f"{found['offset_um']:+.1f} ± {found['offset_um_se']:.1f}",
                    explained,
                ]
            )  # fmt: skip
            figures.append({"folder": folder.name, "list": name, "measured_db": explained, **found})
            print(*rows[-1], *(f"{z:.1f}" for z in found["sharpest_um"]), sep="   ", flush=True)
    return rows, figures


def drawn(figures: list[dict[str, Any]]) -> Figure:
    """Draw the errors of all frames together and of single frames."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(one["sample"] for one in figures))
    for place, metric in enumerate(METRICS):
        own = [one for one in figures if one["metric"] == metric]
        at = np.arange(len(names)) + 0.11 * (place - 3)
        axes.plot(at, [one["single_rmse_um"] for one in own], "o", mfc="none", color=f"C{place}")
        axes.plot(at, [abs(one["joint_error_um"]) for one in own], "o", color=f"C{place}", label=metric)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set(ylabel="error (µm)", yscale="symlog", title="open: single frames; filled: all frames together")
    axes.legend(fontsize="small")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders with frames and params.json")
    parser.add_argument("--size", type=int, default=256, help="pixels of the simulated frames along each axis")
    parser.add_argument("--crop", type=int, default=512, help="largest size of a recording, cropped about its centre")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for focus.txt, .png and .json")
    arguments = parser.parse_args()
    rows, figures = errors_on_samples(arguments.size)
    text = "error in µm: single frames / all together\n" + table(["sample", *METRICS], rows)
    report: dict[str, Any] = {"depth_of_field_um": 4 * PIXEL_UM**2 / WAVELENGTH_UM, "simulated": figures}
    if arguments.data:
        found = [recording(folder, arguments.crop) for folder in arguments.data]
        head = ["distances", "metric", "mean (µm)", "RMS (µm)", "all together (µm)", "measurement PSNR (dB)"]
        text += "\n\nestimated minus given\n" + table(head, [row for rows, _ in found for row in rows])
        report["recordings"] = [one for _, ones in found for one in ones]
    write(arguments.output, "focus", text, report, drawn(figures))


if __name__ == "__main__":
    main()
