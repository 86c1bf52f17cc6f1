"""Wide fields of diffraction tomography in tiles: time, memory, error, and visibility of the tile borders.

    python benchmarks/idt_tiles.py -o results                              # 24 frames of 2048×2048 pixels, 40 slices
    python benchmarks/idt_tiles.py -o results --size 320 --slices 12 --tile 192 --whole --solver voxels    # smaller

Cells are simulated with noise, and reconstructed in a separate process, which gives the peak memory. From each line to
the next, the error of the index must not change more across the borders of tiles than elsewhere. With --whole, the
field is also computed as a whole. Samples and results that already exist in the folder are reused.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from matplotlib.figure import Figure

from output import table, write

LIGHT = ("--noise-sigma", "0.005", "--model", "born")


def command(*words: str) -> None:
    """Run napari-diner in a separate process."""
    start = "from napari_diner.cli import main; main()"
    subprocess.run([sys.executable, "-c", start, *words, "--quiet", "--overwrite"], check=True)


def simulated(folder: Path, size: int, slices: int) -> Path:
    """Return the folder of a simulated recording; simulate it if it does not exist."""
    sample = folder / f"cells-{slices}-{size}"
    if not (sample / "recipe.yaml").is_file():
        sides = ("--height-px", str(size), "--width-px", str(size), "--slices", str(slices))
        command("simulate", "idt", "-o", str(sample), *sides, *LIGHT)
    return sample


def reconstructed(sample: Path, into: Path, *settings: str) -> dict[str, Any]:
    """Return the report of a reconstruction with an unknown surround; reconstruct if there is none."""
    if not (into / "report.json").is_file():
        options = [word for setting in ("padding.mode=unknown", *settings) for word in ("--set", setting)]
        # without the true volume, which takes memory that no user of a recording needs
        command("run", str(sample / "recipe.yaml"), "-o", str(into), *options)
    report: dict[str, Any] = json.loads((into / "report.json").read_text())
    return report


def changes(error: np.ndarray, axis: int) -> np.ndarray:
    """Return the RMS change of an error (Z, Y, X) from each line to the next along an axis."""
    others = tuple(other for other in range(3) if other != axis)
    squares = np.square(np.diff(error, axis=axis), dtype=np.float64)
    return np.sqrt(squares.mean(axis=others))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--solver", default="tikhonov")
    parser.add_argument("--whole", action="store_true", help="also compute the field as a whole")
    arguments = parser.parse_args()
    sample = simulated(arguments.output, arguments.size, arguments.slices)
    truth = tifffile.imread(sample / "n_re.tif")
    ways = {"tiles": (f"tiles.size_px={arguments.tile}", "tiles.use=always")}
    if arguments.whole:
        ways["whole"] = ("tiles.use=never",)
    rows, figure = [], Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    for name, settings in ways.items():
        into = arguments.output / f"{name}-{arguments.solver}-{arguments.slices}-{arguments.size}"
        report = reconstructed(sample, into, f"solver={arguments.solver}", *settings)
        found = tifffile.imread(into / "n_re.tif")
        correlation = float(np.corrcoef(found.ravel(), truth.ravel())[0, 1])
        error = found - truth
        steps, at_seams = [], []
        for axis, key in ((1, "seams_y"), (2, "seams_x")):
            along = changes(error, axis)
            steps.append(along)
            for seam in report.get("tiles", {}).get(key, []):
                at_seams.append(along[seam - 2 : seam + 2].mean())
        every = np.concatenate(steps)
        rows.append([
            name, report.get("tiles", {}).get("count", 1), report["seconds"], report["peak_memory_mb"] / 1e3,
            report["planned_memory_mb"] / 1e3, correlation, float(np.sqrt(np.mean(error**2))), float(every.mean()),
            float(every.std()), float(np.mean(at_seams)) if at_seams else "",
        ])  # fmt: skip
        axes.plot(steps[0], lw=0.6, label=name)
        for seam in report.get("tiles", {}).get("seams_y", []):
            axes.axvline(seam, color="0.7", lw=0.6, zorder=0)
    axes.set(
        xlabel="row", ylabel="change of the error of n", title="From each row to the next; lines: borders of tiles"
    )
    axes.legend()
    header = [
        "field", "tiles", "seconds", "peak GB", "planned GB", "correlation", "RMSE", "change", "spread", "at borders",
    ]  # fmt: skip
    name = f"idt_tiles_{arguments.solver}_{arguments.size}"
    write(arguments.output, name, table(header, rows), {"header": header, "rows": rows}, figure)


if __name__ == "__main__":
    main()
