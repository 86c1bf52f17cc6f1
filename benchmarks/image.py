"""Image fits: all representations side by side (Fig. 1 and Table 2 of the paper), and the speed-ups of DINER.

    python benchmarks/image.py -o results                    # a generated image of 600×600
    python benchmarks/image.py --image FILE -o results       # an image of your own

Measures the duration of an epoch of DINER as published and of ours, the PSNR that each representation reaches in
the same time, and the time for an exact copy. Runs are sequential. A graphics card is used if torch finds one;
--device cpu prevents that.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_diner as nd
import output
from napari_diner.device import choose_device, describe
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.saving import to_json
from napari_diner.tasks.task import Frames
from plain_diner import plain_fit

PAPER_EPOCHS = 3000
PAPER_SECONDS = {"mlp": 58.5, "siren": 80.5}
"""Table 2: seconds for 3000 epochs of 1200×1200 pixels on an A100."""


def load_image(path: str | None) -> Frames:
    """Return the image from a file, or a generated one."""
    if path is None:
        return Frames(nd.sample("image", height_px=600, width_px=600).data.data, "YXS")
    return nd.read(path)


def seconds_of_an_epoch(data: Frames, device: str) -> list[dict[str, Any]]:
    """Time epochs of DINER: as published, with the lattice, and with the lattice and unique values."""
    image = np.asarray(data)
    values = torch.from_numpy(image.reshape(-1, image.shape[-1] if data.axes.endswith("S") else 1) / np.float32(255))
    rows = []
    for kind in ("mlp", "siren"):
        plain = plain_fit(values.to(choose_device(device)), 4, kind=kind)[1]
        rows.append({"backbone": kind, "way": "published: full batch", "seconds": plain, "ratio": 1.0})
        base = {"diner": {"backbone": kind}, "device": device, "training": {"searches": 0, "key_steps": 0}}
        for way, epochs, changes in (
            (
                "exact, in batches that fit the cache",
                4,
                {"diner": {"evaluation": "exact"}, "training": {"unique": False}},
            ),
            ("lattice 64", 30, {"diner": {"lattice_size": 64}, "training": {"unique": False}}),
            ("lattice 96", 30, {"diner": {"lattice_size": 96}, "training": {"unique": False}}),
            ("lattice 96, unique values", 200, {"diner": {"lattice_size": 96}}),
            ("lattice 64, unique values", 200, {"diner": {"lattice_size": 64}}),
        ):
            recipe = FitRecipe.parse({**base, "epochs": epochs}).updated(changes)
            seconds = nd.fit(data, recipe=recipe).report["seconds_per_epoch"]
            rows.append({"backbone": kind, "way": way, "seconds": seconds, "ratio": plain / seconds})
    return rows


def table_of_epochs(rows: list[dict[str, Any]]) -> str:
    """Format the times as text."""
    lines = [f"{'backbone':9s} {'way':36s} {'s/epoch':>9s} {'speed-up':>13s} {'3000 epochs':>12s}"]
    for row in rows:
        line = f"{row['backbone']:9s} {row['way']:36s} {row['seconds']:9.4f} {row['ratio']:13.1f}"
        lines.append(f"{line} {row['seconds'] * PAPER_EPOCHS:10.1f} s")
    paper = ", ".join(f"{seconds} s ({kind})" for kind, seconds in PAPER_SECONDS.items())
    return "\n".join([*lines, f"paper, 1200×1200 on an A100, 3000 epochs: {paper}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", help="TIFF or PNG file; an image is generated without it")
    parser.add_argument("--seconds", type=float, default=120.0, help="time for each representation")
    parser.add_argument("--representations", help="names separated by commas; default: all")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for image.json, .txt and .png")
    arguments = parser.parse_args()
    data = load_image(arguments.image)
    device = choose_device(arguments.device)
    arguments.output.mkdir(parents=True, exist_ok=True)
    head = f"{data.shape} {data.array.dtype}, {describe(device)}, torch {torch.__version__}"
    print(head, flush=True)

    epochs = seconds_of_an_epoch(data, arguments.device)
    texts = [head, table_of_epochs(epochs)]
    print(texts[-1], flush=True)

    exact = dict(nd.fit(data, bit_exact=True, device=arguments.device).report)
    source = exact["source_bits_per_pixel"]
    texts.append(
        f"bit-exact: {exact['identical']:.6%} of the values equal after {exact['seconds']:.1f} s, "
        f"{exact['bits_per_pixel']:.1f} bits per pixel" + (f" (source file: {source:.1f})" if source else "")
    )
    print(texts[-1], flush=True)

    names = arguments.representations.split(",") if arguments.representations else ()
    comparison = nd.fit.compare(data, contenders=names, seconds=arguments.seconds, device=arguments.device)
    texts.append("\n".join([output.table(*comparison.rows()), *comparison.notes()]))
    print(texts[-1])
    comparison.save_figure(arguments.output / "image.png")
    (arguments.output / "image.txt").write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    report = {"epochs": epochs, "bit_exact": exact, "comparison": comparison.report}
    (arguments.output / "image.json").write_text(to_json(report), encoding="utf-8")


if __name__ == "__main__":
    main()
