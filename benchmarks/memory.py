"""Planned and actual memory of runs.

    python benchmarks/memory.py -o results                      # every task, solver and representation, at three sizes
    python benchmarks/memory.py -o results --only lensless      # cases whose name contains a word
    python benchmarks/memory.py -o results --sizes medium       # one of the three sizes

Each case is a command in a process of its own on simulated data, with a few iterations, as the peak does not grow with
their number. The peak is that of the whole process, interpreter and libraries included, as its operating system
counts it; the plan is the one in its report. Results that exist in the folder are not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("small", "medium", "large")
# the process that starts the others has to stay small: a child's peak includes its parent's size as it is started
SIZES = {"lensless": (256, 512, 1024), "idt": (64, 128, 192), "image": (256, 512, 1024), "volume": (64, 128, 192)}
SAMPLES = {
    "lensless": ("lensless", "--distances-um", "300,380,460,540,620,700"),
    "idt": ("idt", "--slices", "16", "--frames", "16", "--model", "born", "--peak-phase-rad", "0.3"),
    "image": ("image", "--no-colours", "--bits", "16"),
    "volume": ("volume", "--slices", "16"),
}
LIMIT = ("--set", "max_seconds=120")
QUICK = {
    "lensless": ("gauss_newton.warm_up=1", "gauss_newton.iterations=1", "gauss_newton.cg_steps=2",
                 "alternating.iterations=2", "gradient.iterations=11", "uncertainty.samples=1",
                 "uncertainty.cg_steps=10", "calibration.rounds=1", "calibration.cg_steps=2"),
    "idt": ("iterations=2", "gradient.iterations=12", "multislice.iterations=1", "multislice.newton_iterations=1",
            "calibration.iterations=1"),
    # the last ten epochs of small images do without the lattice
    "image": ("epochs=12",),
    "volume": ("epochs=12",),
}  # fmt: skip
REPRESENTATIONS = ("diner", "siren", "pe-mlp", "hash-grid", "decaf", "pixels")
COLD = {name: (f"solver={name}", "start=flat") for name in REPRESENTATIONS}
BORN, WEIGHT = "model=born", "regularization.tv=1e-4"
EMPTY = {name: (f"solver={name}", BORN, WEIGHT, "start=empty") for name in REPRESENTATIONS}
FITTED = {name: (f"representation={name}",) for name in REPRESENTATIONS}

# what is run on each sample: settings by the name of the case
RUNS: dict[str, dict[str, tuple[str, ...]]] = {
    "lensless": {
        "gauss-newton": (),
        "alternating": ("solver=alternating",),
        **COLD,
        "diner, warm": ("solver=diner",),
        "diner, exact": (*COLD["diner"], "diner.evaluation=exact"),
        "lattice of 1024": (*COLD["diner"], "diner.lattice_size=1024"),
        "256 features": (*COLD["siren"], "network.hidden_features=256"),
        "unknown surround": ("padding.mode=unknown",),
        "total variation": ("prior.total_variation=held_out",),
        "weighted": ("noise.weighting=robust",),
        "uncertainty": ("uncertainty.map=true",),
        "calibration": ("calibration.z=true",),
        "registration": ("registration=shift",),
        "tiles": ("tiles.use=always", "tiles.size_px=256"),
        "super-resolution": ("super_resolution=2",),
    },
    "idt": {
        "tikhonov": ("solver=tikhonov",),
        "voxels": (BORN, WEIGHT),
        "choice of the weights": (BORN,),
        "multiple scattering": ("model=multislice", WEIGHT),
        "strong scattering": ("model=multislice", WEIGHT, "multislice.method=gauss-newton"),
        **EMPTY,
        "diner, warm": ("solver=diner", BORN, WEIGHT),
        "diner, multiple scattering": ("solver=diner", "model=multislice", WEIGHT, "start=empty"),
        "calibration": ("solver=tikhonov", "calibration.illuminations=refine"),
        "calibration of the pupil": (BORN, WEIGHT, "calibration.pupil=true"),
    },
    "image": {
        **FITTED,
        "no shared keys": ("training.unique=false",),
        "bit-exact": ("bit_exact=true",),
        "diner, exact": ("diner.evaluation=exact",),
        "lattice of 1024": ("diner.lattice_size=1024",),
        "256 features": ("representation=siren", "network.hidden_features=256"),
    },
    "volume": FITTED,
}


@dataclass(frozen=True)
class Case:
    """A command on a sample of some size."""

    name: str
    sample: str
    size: int
    words: tuple[str, ...]


def cases() -> Iterator[Case]:
    """Give all cases; ``{sample}`` stands for the folder of their sample."""
    for sample, runs in RUNS.items():
        for name, changes in runs.items():
            for size in SIZES[sample]:
                settings = [word for change in (*QUICK[sample], *changes) for word in ("--set", change)]
                yield Case(f"{sample}: {name}", sample, size, ("run", "{sample}/recipe.yaml", *settings, *LIMIT))
    search = ("--near-um", "200", "--far-um", "800", "--wavelength-um", "0.532", *LIMIT)
    for size in SIZES["lensless"]:
        yield Case("focus", "lensless", size, ("focus", "{sample}/stack.tif", *search))
    for sample, task in (("lensless", "lensless"), ("idt", "idt"), ("image", "fit")):
        for size in SIZES[sample]:
            words = ("compare", task, "--recipe", "{sample}/recipe.yaml", "--seconds", "1")
            yield Case(f"compare {task}", sample, size, words)


def command(*words: str, threads: int) -> tuple[int, float]:
    """Run napari-diner in a process; return its exit status and peak memory in MB."""
    start = "from napari_diner.cli import main; main()"
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen([sys.executable, "-c", start, *words], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def sample(folder: Path, name: str, size: int, threads: int) -> Path:
    """Return the folder of a sample; simulate it if it does not exist."""
    place = folder / f"{name}-{size}"
    if not (place / "recipe.yaml").is_file():
        words = ("simulate", *SAMPLES[name], "--height-px", str(size), "--width-px", str(size), "-o", str(place))
        status, _ = command(*words, "--quiet", threads=threads)
        if status:
            raise SystemExit(f"the sample {name} of {size} pixels failed")
    return place


def measured(folder: Path, case: Case, threads: int) -> dict[str, object]:
    """Run a case; return its plan and its peak in MB."""
    place = sample(folder / "samples", case.sample, case.size, threads)
    out = folder / "runs" / f"{re.sub('[^a-z0-9]+', '-', case.name)}-{case.size}"
    words = [word.format(sample=place) for word in case.words]
    status, peak = command(*words, "-o", str(out), "--quiet", "--overwrite", threads=threads)
    report = json.loads((out / "report.json").read_text()) if status == 0 else {}
    entry = {"name": case.name, "size": case.size, "status": status, "peak_mb": peak}
    return {**entry, "planned_mb": report.get("planned_memory_mb"), "reported_mb": report.get("peak_memory_mb")}


def table(entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table: for each case its peaks in MB, small to large, and the ratios of plan and peak."""
    rows: dict[str, list[str]] = {}
    for case in cases():
        entry = entries.get(f"{case.name} {case.size}")
        planned, peak = (entry["planned_mb"] or float("nan"), entry["peak_mb"]) if entry else (0.0, 0.0)
        rows.setdefault(case.name, []).append(f"{peak:.0f} ({planned / peak:.2f})" if entry else "")
    lines = [f"| {name} | {' | '.join(row)} |" for name, row in rows.items() if any(row)]
    return [f"| case | {' | '.join(NAMES)} |", "|---|--:|--:|--:|", *lines]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for memory.json, memory.txt")
    parser.add_argument("--only", default="", help="part of the names of the cases to run")
    parser.add_argument("--sizes", default=",".join(NAMES), help="which of the sizes, separated by commas")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process")
    arguments = parser.parse_args()
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "memory.json"
    entries = json.loads(file.read_text()) if file.is_file() else {}
    for case in cases():
        key = f"{case.name} {case.size}"
        size = NAMES[SIZES[case.sample].index(case.size)]
        if arguments.only in case.name and size in arguments.sizes.split(",") and key not in entries:
            entries[key] = measured(folder, case, arguments.threads)
            file.write_text(json.dumps(entries, indent=1))
    lines = table(entries)
    (folder / "memory.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
