"""The methods that the paper compares with, written from their papers, beside DINER, for the same time each.

    python -m benchmarks.comparators -o results                              # simulated data, 20 s for each method
    python -m benchmarks.comparators --data FOLDER --seconds 60 -o results   # and the published object

Lensless imaging (Figs. 8 and 9 of the paper): PhysenNet and DNF; all methods have the package's forward model, loss and
Adam. Video (Table 3): NeRV, with its own loss and training, SIREN and a hash grid. FOLDER holds GT_amp.png, GT_phs.png
and params.json of the published synthetic recording. Runs are sequential, on one thread; a method that has converged
stops earlier. Processor seconds show how much of the time the machine gave to each.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from comparators import lensless, video
from output import table, write

Rows = list[dict[str, Any]]


def seconds_to(curve: list[tuple[float, float]], loss: float) -> float | None:
    """Return the seconds after which a run had a loss, or None if it never had it."""
    return next((seconds for seconds, reached in curve if reached <= loss), None)


def lensless_table(rows: Rows) -> str:
    cold = next(row["curve"] for row in rows if row["method"] == lensless.COLD)
    cells = []
    for row in rows:
        quality = row["measurement_psnr_db"], row["truth"]["amplitude_psnr_db"], row["truth"]["phase_psnr_db"]
        best = min(loss for _, loss in row["curve"])
        reached = seconds_to(cold, best) if row["method"] in lensless.OTHERS else None
        times = row["iterations"], row["seconds"], row["cpu_s"], "" if reached is None else reached
        cells.append([row["method"], row["parameters"], *quality, *times])
    header = ["", "parameters", "measured dB", "amplitude dB", "phase dB", "steps", "seconds", "cpu", "DINER, cold"]
    return table(header, cells)


def video_table(rows: Rows) -> str:
    columns = ("method", "parameters", "psnr_db", "iterations", "seconds", "cpu_s")
    cells = [[row[column] for column in columns] for row in rows]
    return table(["", "parameters", "PSNR dB", "epochs", "seconds", "cpu"], cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="time for each method")
    parser.add_argument("--size", type=int, default=128, help="rows of the recordings and of the video in pixels")
    parser.add_argument("--frames", type=int, default=12, help="frames of the video")
    parser.add_argument("--parts", nargs="+", choices=("lensless", "video"), default=("lensless", "video"))
    parser.add_argument("--data", type=Path, help="folder with the published synthetic recording")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for comparators.txt and .json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load, parts = os.getloadavg(), []
    report: dict[str, Rows] = {}
    recordings: dict[str, lensless.Recording] = {}
    if "lensless" in arguments.parts:
        recordings["simulated"] = lensless.simulated(arguments.size)
        recordings["simulated, 1 % read noise"] = lensless.simulated(arguments.size, noise_sigma=0.01)
        if arguments.data is not None:
            recordings["published object"] = lensless.published(arguments.data, arguments.size)
    for name, recording in recordings.items():
        report[name] = lensless.compared(recording, arguments.seconds)
        size = "×".join(str(part) for part in recording.data.frames.shape)
        title = f"Lensless, {name}, {size}; DINER, cold: its seconds to the same loss"
        parts.append(f"{title}\n{lensless_table(report[name])}")
    if "video" in arguments.parts:
        frames = video.panned(arguments.frames, arguments.size)
        report["video"] = video.compared(frames, arguments.seconds)
        parts.append(f"Video, {'×'.join(str(part) for part in frames.shape)}\n{video_table(report['video'])}")
    settings = {"seconds": arguments.seconds, "load": [*load, *os.getloadavg()], "rows": report}
    write(arguments.output, "comparators", "\n\n".join(parts), settings)


if __name__ == "__main__":
    main()
