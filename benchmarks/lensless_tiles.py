"""Wide lensless fields in tiles: time, memory, and visibility of the tile borders.

    python benchmarks/lensless_tiles.py -o results                # 8 frames of 4096×4096 pixels, simulated
    python benchmarks/lensless_tiles.py -o results --size 2560 --compare 2048 3072    # smaller

A specimen is simulated with noise and reconstructed in a separate process, which gives the peak memory.
The change of the phase error between neighbouring rows or columns must not be larger across tile borders than
elsewhere. With --compare, the time of a gradient over all frames is measured for the whole field and for
tiles. Samples and results that already exist in the folder are reused.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import torch
from matplotlib.figure import Figure

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.tiles import TiledMultiHeight, fastest_window_px
from napari_diner.physics.optics import Optics
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.tasks.lensless.truth import phase_error
from output import table, write

Image = npt.NDArray[Any]
DISTANCES_UM = (400.0, 460.0, 530.0, 610.0, 700.0, 800.0, 900.0, 1000.0)
SENSOR = ("--pixel-size-um", "1.67", "--wavelength-um", "0.6328", "--noise-sigma", "0.01")


def command(*words: str) -> None:
    """Run napari-diner in a separate process."""
    start = "from napari_diner.cli import main; main()"
    subprocess.run([sys.executable, "-c", start, *words, "--quiet", "--overwrite"], check=True)


def simulated(folder: Path, size: int) -> Path:
    """Return the folder of a simulated recording; simulate it if it does not exist."""
    sample = folder / f"sample-{size}"
    if not (sample / "recipe.yaml").is_file():
        distances = ",".join(map(str, DISTANCES_UM))
        sides = ("--height-px", str(size), "--width-px", str(size))
        command("simulate", "lensless", "-o", str(sample), "--distances-um", distances, *sides, *SENSOR)
    return sample


def reconstructed(sample: Path, into: Path, *options: str) -> dict[str, Any]:
    """Return the report of a reconstruction; reconstruct if there is none."""
    if not (into / "report.json").is_file():
        command("run", str(sample / "recipe.yaml"), "-o", str(into), "--truth", str(sample), *options)
    report: dict[str, Any] = json.loads((into / "report.json").read_text())
    return report


def gradients(size: int) -> list[Any]:
    """Time a gradient over all frames for the whole field and for tiles."""
    heights = Heights(Optics(1.67, 0.6328), DISTANCES_UM)
    chosen = fastest_window_px(heights, (size, size))
    window = chosen or 1152
    seconds = []
    for model in (MultiHeight((size, size), heights), TiledMultiHeight((size, size), heights, window)):
        problem = PhaseProblem(model, torch.rand(len(DISTANCES_UM), size, size) + 0.5)
        field = torch.polar(torch.rand(size, size) + 0.5, torch.rand(size, size))
        problem.evaluate(field)
        began = time.perf_counter()
        problem.evaluate(field)
        seconds.append(time.perf_counter() - began)
        del problem, field
    return [size, *seconds, window, "yes" if chosen else "no"]


def changes(error: Image, axis: int) -> Image:
    """Return the RMS change from each row (axis 0) or column (axis 1) to the next."""
    rms: Image = np.sqrt(np.mean(np.square(np.diff(error, axis=axis)), axis=1 - axis))
    return rms


def seams(error: Image, edges: dict[str, Any]) -> tuple[list[list[Any]], list[Image]]:
    """Compare changes across tile borders with those elsewhere; return rows of a table, and the curves."""
    rows, curves = [], []
    for axis, name in enumerate(("rows", "columns")):
        curve = changes(error, axis)
        at = np.array(edges[name][1:-1], int) - 1
        elsewhere = np.delete(curve, at)
        rows.append([name, len(at), float(curve[at].mean()), float(curve[at].max()),
                     float(elsewhere.mean()), float(elsewhere.std()), float(elsewhere.max())])  # fmt: skip
        curves.append(curve)
    return rows, curves


def draw(error: Image, curves: list[Image], edges: dict[str, Any]) -> Figure:
    """Draw the phase error, and its change from line to line with the tile borders."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    picture, plot = figure.subplots(1, 2, width_ratios=(1, 2))
    stride = max(1, len(error) // 1024)
    limit = 3 * float(error.std())
    shown = picture.imshow(error[::stride, ::stride], cmap="RdBu", vmin=-limit, vmax=limit)
    picture.set(title="phase error (rad)", xticks=[], yticks=[])
    figure.colorbar(shown, ax=picture, shrink=0.8)
    for curve, name in zip(curves, ("rows", "columns"), strict=True):
        at = np.array(edges[name][1:-1], int) - 1
        (line,) = plot.plot(curve, lw=0.6, label=f"between {name}")
        style = {"mfc": line.get_color(), "mec": "black", "zorder": 3}
        plot.plot(at, curve[at], "o", ms=7, label=f"tile borders ({name})", ls="none", **style)
    low, high = min(curve.min() for curve in curves), max(curve.max() for curve in curves)
    plot.set(xlabel="pixel", ylabel="change of the phase error (rad, RMS)", ylim=(1.5 * low - 0.5 * high, None))
    plot.legend(loc="lower right")
    return figure


def main() -> None:
    """Simulate, reconstruct, compare tile borders with other lines, and write a table, a figure and a report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096, help="pixels along each side")
    parser.add_argument("--seconds", type=float, default=3600, help="time limit of the reconstruction")
    parser.add_argument("--compare", type=int, nargs="*", default=[], help="field sizes for timing gradients")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for lensless_tiles.*, samples, results"
    )
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    sample = simulated(arguments.output, arguments.size)
    found = arguments.output / f"result-{arguments.size}"
    report = reconstructed(sample, found, "--max-seconds", str(arguments.seconds))
    error = phase_error(tifffile.imread(found / "phase.tif"), tifffile.imread(sample / "phase.tif"))
    if "tiles" not in report:
        raise SystemExit(f"A field of {arguments.size} pixels is not computed in tiles; choose a wider one")
    edges = report["tiles"]
    rows, curves = seams(error, edges)
    scores = report["truth"]
    text = (
        f"{len(DISTANCES_UM)} frames of {arguments.size}×{arguments.size}: {report['seconds']:.0f} s, "
        f"{report['iterations']} iterations, peak {report['peak_memory_mb'] / 1000:.2f} GB, windows of "
        f"{edges['window_px']}, amplitude {scores['amplitude_psnr_db']:.2f} dB, "
        f"phase {scores['phase_psnr_db']:.2f} dB\n\n"
    )
    header = ("across", "borders", "mean (rad)", "largest", "elsewhere", "± sd", "largest elsewhere")
    text += table(header, rows)
    compared = [gradients(size) for size in arguments.compare]
    if compared:
        text += "\n\n" + table(("size", "whole field (s)", "tiles (s)", "window", "tiled by default"), compared)
    write(
        arguments.output,
        "lensless_tiles",
        text,
        {"report": report, "seams": rows, "compared": compared},
        draw(error, curves, edges),
    )


if __name__ == "__main__":
    main()
