"""Whether the same recipe gives the same files again, and by how much the number of threads changes them.

Each recipe runs three times in a process of its own: twice with one thread, and once with two. Files of the first two
results are compared byte for byte, and reports but for what is measured: times and memory. Arrays of the third result
are compared with those of the first one: the greatest difference, as a part of the range of the array.

    python benchmarks/repeat.py -o results [--size 64] [--threads 2] [--only idt]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from memory import command
from output import table, write

SAMPLES = {
    "lensless": ("--distances-um", "300,380,460,540"),
    "idt": ("--slices", "8", "--frames", "12", "--model", "born", "--peak-phase-rad", "0.3"),
    "image": (),
}
RUNS = {
    "lensless": {
        "gauss-newton": (
            "gauss_newton.iterations=1",
            "gauss_newton.warm_up=1",
            "gauss_newton.cg_steps=5",
        ),
        "alternating": ("solver=alternating", "alternating.iterations=20"),
        "diner": ("solver=diner", "gradient.iterations=20"),
        "siren": ("solver=siren", "gradient.iterations=20"),
        "uncertainty": (
            "uncertainty.map=true",
            "uncertainty.samples=2",
            "uncertainty.cg_steps=10",
            "gauss_newton.iterations=1",
            "gauss_newton.warm_up=1",
            "gauss_newton.cg_steps=5",
        ),
        "calibration": (
            "calibration.z=true",
            "calibration.rounds=2",
            "gauss_newton.iterations=1",
            "gauss_newton.warm_up=1",
            "gauss_newton.cg_steps=5",
        ),
    },
    "idt": {
        "tikhonov": ("solver=tikhonov",),
        "voxels": ("iterations=10", "regularization.tv=1e-4"),
        "diner": ("solver=diner", "gradient.iterations=20"),
    },
    "image": {
        name: (f"representation={name}", "epochs=20") for name in ("diner", "siren", "pe-mlp", "hash-grid", "pixels")
    },
}
MEASURED = ("seconds", "memory", "_mb", "per_epoch", "versions", "written")
"""Parts of the keys of a report that stand for what is measured."""


def settled(report: object) -> object:
    """Return a report without what is measured."""
    if isinstance(report, dict):
        return {key: settled(value) for key, value in report.items() if not any(part in key for part in MEASURED)}
    return [settled(value) for value in report] if isinstance(report, list) else report


def unequal(one: Path, other: Path) -> Iterator[str]:
    """Yield the names of files that are not the same in two folders."""
    names = sorted({path.name for place in (one, other) for path in place.iterdir()})
    for name in names:
        if not ((one / name).is_file() and (other / name).is_file()):
            yield name
        elif name == "report.json":
            values = [json.loads((place / name).read_text()) for place in (one, other)]
            if settled(values[0]) != settled(values[1]):
                yield name
        elif (one / name).read_bytes() != (other / name).read_bytes():
            yield name


def differences(one: Path, other: Path) -> Iterator[tuple[str, float]]:
    """Yield the greatest difference of each array of two results, as a part of its range."""
    # what a residual is made of is compared already
    for path in sorted({*one.glob("*.tif")} - {one / "residual.tif"}):
        first, second = (tifffile.imread(place).astype(np.float64) for place in (path, other / path.name))
        yield path.stem, float(np.abs(first - second).max() / (np.ptp(first) or 1.0))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for repeat.txt and repeat.json")
    parser.add_argument("--size", type=int, default=64, help="pixels of the samples in each direction")
    parser.add_argument("--threads", type=int, default=2, help="threads of the third run")
    parser.add_argument("--only", default="", help="part of the names of the cases to run")
    arguments = parser.parse_args()
    folder: Path = arguments.output
    # threads that wait for each other on a busy machine give way
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
    rows, report = [], {}
    for sample, runs in RUNS.items():
        source = folder / "samples" / sample
        size = ("--height-px", str(arguments.size), "--width-px", str(arguments.size))
        if not source.is_dir():
            command("simulate", sample, *SAMPLES[sample], *size, "-o", str(source), "-q", threads=1)
        for name, changes in runs.items():
            if arguments.only not in f"{sample}: {name}":
                continue
            settings = [word for change in changes for word in ("--set", change)]
            places = [folder / "runs" / f"{sample}-{name}-{number}" for number in range(3)]
            for place, threads in zip(places, (1, 1, arguments.threads), strict=True):
                words = ("run", str(source / "recipe.yaml"), *settings, "-o", str(place), "-q", "--overwrite")
                status, _ = command(*words, threads=threads)
                if status:
                    raise SystemExit(f"{sample}: {name} failed")
            files = len(list(places[0].iterdir()))
            others = list(unequal(*places[:2]))
            parts = dict(differences(places[0], places[2]))
            report[f"{sample}: {name}"] = {"files": files, "unequal": others, "differences": parts}
            rows.append([f"{sample}: {name}", files, ", ".join(others) or "none", max(parts.values(), default=0.0)])
    header = ["case", "files", "not the same again", f"1 and {arguments.threads} threads differ by"]
    write(folder, "repeat", table(header, rows), report)


if __name__ == "__main__":
    main()
