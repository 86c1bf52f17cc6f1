"""Predicted and actual time of runs.

    python benchmarks/times.py -o results [--only lensless] [--sizes small,medium]

The prediction is that of the checks before a run (``--check``): the longest time, from a trial of the first steps of
each stage. Then the same recipe runs to its end. A solver that converges stops earlier; the time until all of its
iterations is extrapolated in proportion to the iterations, stage by stage. The ratio is that of the prediction and this
time; "less than a second" is right for all times below one. Trial and run follow one another, so that other load on the
machine hardly changes the ratio.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari_diner as nd
from napari_diner.tasks.preflight import preflight
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from output import table, write

NAMES = ("small", "medium", "large")
SIZES = {"lensless": (128, 256, 512), "idt": (48, 64, 96), "fit": (128, 256, 512)}
SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "lensless": ("lensless", {"noise_sigma": 0.003}),
    "idt": ("idt", {"slices": 12, "frames": 12, "noise_sigma": 0.005}),
    "fit": ("image", {}),
}
SOLVERS: dict[str, dict[str, dict[str, Any]]] = {
    "lensless": {
        "gauss-newton": {},
        "alternating": {"solver": "alternating"},
        "diner": {"solver": "diner"},
    },
    "idt": {
        "tikhonov": {"solver": "tikhonov"},
        "voxels, born": {"model": "born"},
        "voxels, multislice": {"model": "multislice"},
    },
    "fit": {"diner": {}, "siren": {"representation": "siren", "epochs": 200}},
}
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def predicted_s(sentence: str) -> float:
    """Return the seconds in a sentence such as ``"up to about 2:04 min on this machine"``; 1 for less than a second."""
    if sentence.startswith("less than a second"):
        return 1.0
    match = re.search(r"about (?:(\d+):)?([\d.]+) (s|min|h)\b", sentence)
    if match is None:
        raise ValueError(sentence)
    more, amount, unit = match.groups()
    return float(amount) * _UNITS[unit] if more is None else (int(more) + float(amount) / 60) * _UNITS[unit]


def longest_s(stages: list[dict[str, Any]]) -> float:
    """Return the seconds of stages if each of them had taken all of its iterations."""
    return sum(each["seconds"] * max(each["most_iterations"], 1) / max(each["iterations"], 1) for each in stages)


def rows(names: list[str], only: str) -> Iterator[list[object]]:
    """Give a row for each case."""
    for name, solvers in SOLVERS.items():
        kind = task(name)
        for title, settings in solvers.items():
            for size_name, size in zip(NAMES, SIZES[name], strict=True):
                if only not in f"{name}: {title}" or size_name not in names:
                    continue
                sample, shape = SAMPLES[name]
                made = nd.sample(sample, height_px=size, width_px=size, **shape)
                recipe = made.recipe.updated({**settings, "device": "cpu"})
                frames = Frames(made.data.data, made.data.axes)
                lines = preflight(kind, recipe, frames)
                sentence = next(line.sentence for line in lines if line.aspect == "time")
                run = kind.start(recipe, frames)
                for _ in run:
                    pass
                report = run.result().report
                longest = longest_s(report["stages"])
                predicted = predicted_s(sentence)
                ratio = predicted / (max(longest, 1.0) if predicted == 1.0 else longest)
                row = [f"{name}: {title}", size, predicted, report["seconds"], longest, ratio]
                print(*row, flush=True)
                yield row


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for times.txt and times.json")
    parser.add_argument("--only", default="", help="part of the names of the cases to run")
    parser.add_argument("--sizes", default=",".join(NAMES), help="which of the sizes, separated by commas")
    options = parser.parse_args()
    found = list(rows(options.sizes.split(","), options.only))
    header = ["case", "size", "predicted (s)", "measured (s)", "all iterations (s)", "ratio"]
    write(options.output, "times", table(header, found), {"header": header, "rows": found})


if __name__ == "__main__":
    main()
