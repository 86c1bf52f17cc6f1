"""Runs stopped at random moments and continued from their checkpoints, and damaged checkpoints.

Each task runs once without interruption. Then it runs again and again in a process of its own, which gets a signal
(SIGKILL, SIGINT and SIGTERM in turn) after a random part of that time, and is started anew with ``--resume``; a batch
of two items, with one process or two, and a watched folder continue without this option. Every second run of a task
is to replace an older result. The result is compared with the one of the run that nobody interrupted. At last,
checkpoints are cut off at random lengths or have single bits changed: none may be accepted.

A run counts as failed if the older result is neither intact nor replaced as a whole after the signal, if the exit code
is not one that is documented, or if it cannot be continued.

    python benchmarks/resume.py [--kills 30] [--damages 60] [--tasks lensless,idt,fit,batch,workers,watch]

Needs ``os.fork``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import yaml

from attempts import copy, end, launch, state

_EVERY_S = 0.05
"""Seconds between checkpoints."""
SIGNALS = {signal.SIGKILL: {0, -9}, signal.SIGINT: {0, 130}, signal.SIGTERM: {0, 130}}
"""Exit codes after each signal; 0 if the command was done already."""
RESUMED = ("lensless", "lensless series", "lensless tiles", "idt", "idt calibrated", "idt tiles", "fit", "fit series")
"""What continues with ``--resume``; others do so in any case."""


def commands(folder: Path) -> dict[str, list[str]]:
    """Return a command for each task, without its output, on a small sample that is made first."""
    for name, settings in {
        "lensless": ["--height-px", "64", "--width-px", "64"],
        "idt": ["--height-px", "32", "--width-px", "32", "--slices", "6", "--frames", "12"],
        "wide-lensless": ["--height-px", "64", "--width-px", "160"],
        "wide-idt": ["--height-px", "64", "--width-px", "160", "--slices", "4", "--frames", "8"],
        "image": ["--height-px", "64", "--width-px", "64"],
    }.items():
        said = folder / "said.txt"
        if in_process(["simulate", name.removeprefix("wide-"), "-o", str(folder / name), "-q", *settings], said) != 0:
            raise SystemExit(said.read_text())
    stages = ["--calibrate", "z", "--start", "alternating", "--solver", "diner", "--gradient.iterations", "60"]
    recipe = {name: str(folder / name / "recipe.yaml") for name in ("lensless", "idt", "wide-lensless", "wide-idt")}
    image, plan = str(folder / "image" / "image.tif"), folder / "plan.yaml"
    fit = {"task": "fit", "epochs": 150, "checkpoint_seconds": _EVERY_S}
    for name in "ab":
        shutil.copy(image, folder / f"{name}.tif")
    plan.write_text(yaml.safe_dump({"recipe": fit, "items": [f"{name}.tif" for name in "ab"]}))
    arrivals, recipe_of_arrivals = folder / "arrivals", folder / "fit.yaml"
    arrivals.mkdir()
    for name in "ab":
        shutil.copy(image, arrivals / f"{name}.tif")
    recipe_of_arrivals.write_text(yaml.safe_dump(fit))
    frames = tifffile.imread(folder / "lensless" / "stack.tif")
    tifffile.imwrite(folder / "series.tif", np.stack([frames, frames[..., ::-1]]), photometric="minisblack")
    video = np.stack([np.roll(tifffile.imread(image), shift, 1) for shift in (0, 2, 4)])
    tifffile.imwrite(folder / "video.tif", video, photometric="minisblack")
    every = ["--checkpoint-seconds", str(_EVERY_S)]
    in_series, in_tiles = ["--select", "T=all"], ["--set", "tiles={use: always, size_px: 96}"]
    lensless, idt = ["lensless", "--recipe", recipe["lensless"]], ["idt", "--recipe", recipe["idt"]]
    return {
        "lensless series": [*lensless, str(folder / "series.tif"), *in_series, "--axes", "TNYX", *stages, *every],
        "lensless tiles": [
            "lensless",
            "--recipe",
            recipe["wide-lensless"],
            *in_tiles,
            "--set",
            "uncertainty={map: true, samples: 2, cg_steps: 20}",
            *every,
        ],
        "idt tiles": ["idt", "--recipe", recipe["wide-idt"], *in_tiles, "--model", "born", *every],
        "idt calibrated": [
            *idt,
            "--set",
            "calibration={illuminations: refine}",
            "--solver",
            "diner",
            "--gradient.iterations",
            "60",
            *every,
        ],
        "fit series": ["fit", str(folder / "video.tif"), *in_series, "--axes", "TYXS", "--epochs", "100", *every],
        "lensless": ["lensless", "--recipe", recipe["lensless"], *stages, *every],
        "idt": ["idt", "--recipe", recipe["idt"], "--model", "multislice", *every],
        "fit": ["fit", image, "--epochs", "300", *every],
        "batch": ["batch", str(plan), "--workers", "1"],
        "workers": ["batch", str(plan), "--workers", "2"],
        "watch": ["watch", str(arrivals), "--recipe", str(recipe_of_arrivals), "--idle", "0.5"],
    }


def in_process(arguments: list[str], said: Path) -> int:
    """Run a command in a process of its own; return its exit code, negative for a signal."""
    return end(launch(arguments, said))


def checkpoints_of(out: Path) -> list[Path]:
    """Return the checkpoints of a run into a folder, or of the items of a batch."""
    from napari_diner.io.folder import checkpoint_path

    return [path for path in (checkpoint_path(out), *out.glob(".*.checkpoint")) if path.exists()]


def difference(out: Path, reference: Path) -> tuple[float, float]:
    """Return how many decibels a result is worse or better, and the largest difference of a pixel in its range."""
    decibels = largest = 0.0
    for path in reference.rglob("report.json"):
        again = out / path.relative_to(reference)
        ours, theirs = (json.loads(file.read_text())["measurement_psnr_db"] for file in (again, path))
        decibels = max(decibels, abs(ours - theirs))
    for path in reference.rglob("*.tif"):
        ours, theirs = (tifffile.imread(file).astype(float) for file in (out / path.relative_to(reference), path))
        largest = max(largest, float(np.abs(ours - theirs).max() / max(np.ptp(theirs), 1e-300)))
    return decibels, largest


def kills(name: str, command: list[str], place: Path, count: int, random: np.random.Generator) -> list[str]:
    """Stop and continue a command; return the row of the table."""
    reference, said = place / "reference", place / "said.txt"
    began = time.monotonic()
    if in_process([*command, "-o", str(reference)], said) != 0:
        raise SystemExit(said.read_text())
    seconds = time.monotonic() - began
    older, names = place / "older", set(state(reference))
    if name in RESUMED and in_process([*command, "-o", str(older), "--seed", "5"], said) != 0:
        raise SystemExit(said.read_text())
    worst, largest, from_checkpoint, failed = 0.0, 0.0, 0, 0
    for number in range(count):
        out, number_of_signal = place / f"{number}", [*SIGNALS][number % len(SIGNALS)]
        old = older if older.is_dir() and number // len(SIGNALS) % 2 else None
        if old is not None:
            copy(old, out)
        again = ["--overwrite"] if old is not None else []
        child = launch([*command, "-o", str(out), *again], said, _default_signals)
        time.sleep(random.uniform(0, seconds))
        os.kill(child, number_of_signal)
        code = end(child)
        problem = "" if code in SIGNALS[number_of_signal] else f"exit code {code}"
        kept = state(out) if out.exists() else {}
        if old is not None and kept != state(old) and set(kept) != names:
            problem = "the older result is damaged"
        from_checkpoint += bool(checkpoints_of(out))
        if name in RESUMED and code != 0:
            again = ["--resume", *(["--overwrite"] if out.exists() else [])]
        if not problem and (code != 0 or name not in RESUMED):
            answer = in_process([*command, "-o", str(out), *again], said)
            problem = "" if answer == 0 else f"exit code {answer} afterwards"
        if problem:
            print(f"{name} {number} {number_of_signal.name}: {problem}: {said.read_text()}", file=sys.stderr)
            failed += 1
            continue
        # it may have been killed just before it could remove its checkpoint
        for path in checkpoints_of(out):
            path.unlink()
        decibels, part = difference(out, reference)
        worst, largest = max(worst, decibels), max(largest, part)
        shutil.rmtree(out)
    return [f"{count}", f"{from_checkpoint}", f"{failed}", f"{worst:.3f} dB", f"{largest:.1e}", f"{seconds:.1f} s"]


def _default_signals() -> None:
    """Take Ctrl-C as a terminal sends it, also where this program runs in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def damages(command: list[str], place: Path, count: int, random: np.random.Generator) -> str:
    """Damage a checkpoint in many ways; return how many damaged ones were accepted."""
    from napari_diner.errors import InputError
    from napari_diner.tasks.checkpoint import Checkpoint

    out, said = place / "damaged", place / "said.txt"
    child = launch([*command, "-o", str(out)], said)
    while not checkpoints_of(out):
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    (path,) = checkpoints_of(out)
    whole = path.read_bytes()
    lengths = [0, 1, 7, 8, 9, len(whole) - 1, *random.integers(0, len(whole), count).tolist()]
    changed = [whole[:length] for length in lengths]
    for place_of_change in random.integers(0, len(whole), count).tolist():
        part = bytearray(whole)
        part[place_of_change] ^= 1 << int(random.integers(8))
        changed.append(bytes(part))
    accepted = 0
    for content in changed:
        path.write_bytes(content)
        try:
            Checkpoint(path)._read()
            accepted += 1
        except InputError:
            continue
    path.unlink()
    return f"{accepted} of {len(changed)}"


def main() -> None:
    """Print a table with a row for each task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--damages", type=int, default=60)
    parser.add_argument("--tasks", default=",".join((*RESUMED, "batch", "workers", "watch")))
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    random = np.random.default_rng(0)
    heads = ["stopped", "from a checkpoint", "failed", "PSNR differs by at most", "pixels by at most", "whole run"]
    print("| task | " + " | ".join([*heads, "damaged checkpoints accepted"]) + " |\n|" + "---|" * (len(heads) + 2))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tried = commands(folder)
        from napari_diner.cli.app import execute

        for name, command in tried.items():  # what is imported here need not be imported by each attempt
            if name not in (*RESUMED, "batch"):
                continue
            limit = [] if name == "batch" else ["--max-seconds", "0.1"]
            execute([*command, "-o", str(folder / f"{name}-imported"), "-q", *limit])
        for name in options.tasks.split(","):
            place = folder / f"{name}-runs"
            place.mkdir()
            row = kills(name, tried[name], place, options.kills, random)
            damaged = damages(tried[name], place, options.damages, random) if name in (*RESUMED, "batch") else ""
            print("| " + " | ".join([name, *row, damaged]) + " |", flush=True)


if __name__ == "__main__":
    main()
