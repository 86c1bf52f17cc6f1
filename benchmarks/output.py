"""Shared helpers of the benchmarks: runs, test images, tables and output files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

import napari_diner as nd
from napari_diner.tasks.job import Job
from napari_diner.tasks.result import Result
from napari_diner.tasks.run import Run
from napari_diner.tasks.task import Frames
from textures import fur


def parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all fit benchmarks share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, nargs="*", default=[], help="TIFF or PNG file; default: generated")
    parser.add_argument("--size", type=int, default=256, help="size of the generated image in pixels")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("-o", "--output", type=Path, required=True, help=f"folder for {name}.txt, .png and .json")
    return parser


def versions() -> str:
    """Return threads and versions in words."""
    return f"{torch.get_num_threads()} threads, napari-diner {nd.__version__}, torch {torch.__version__}"


def images(arguments: argparse.Namespace) -> dict[str, Frames]:
    """Return the requested images by name, (Y, X) or (Y, X, colours) each."""
    if not arguments.image:
        return {"fur": Frames(fur(arguments.size), "YXS")}
    read = {path.stem: nd.read(path) for path in arguments.image}
    for name, data in read.items():
        if data.axes not in ("YX", "YXS"):
            raise SystemExit(f"{name} has axes {data.axes}; choose images with the axes YX or YXS")
    return read


def finished(job: Job[Any]) -> Result:
    """Return the result of a job."""
    with Run(job) as run:
        for _ in run:
            pass
        return run.result()


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Format rows of text and numbers in columns."""
    texts = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(header))]
    lines = [
        "  ".join(text.ljust(width) if place == 0 else text.rjust(width)
                  for place, (text, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in texts
    ]  # fmt: skip
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def write(folder: Path, name: str, text: str, report: dict[str, Any], figure: Figure | None = None) -> None:
    """Print the table, and write it with the report and a figure, if there is one, to a folder."""
    print(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(text + "\n")
    report = {"torch": torch.__version__, "threads": torch.get_num_threads(), **report}
    (folder / f"{name}.json").write_text(json.dumps(report, indent=2))
    if figure is not None:
        figure.savefig(folder / f"{name}.png", dpi=110)
