"""Numbers in each key of a DINER: quality, time and size with one, two and three, and the number chosen by default.

    python benchmarks/widths.py -o results                            # generated images
    python benchmarks/widths.py --image FILE FILE --seconds 60 -o results

The generated images: fur; a texture of 768×768 pixels in colour with gratings, checks and noise, which nearly all
differ; and 32 channels of 16 bits with four spectra and noise.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import napari_diner as nd
from napari_diner.tasks.fit.data import FitData, layout_of
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.fit.width import MOST, filled_boxes, width_for
from napari_diner.tasks.task import Frames
from output import table, write
from textures import fur

HEADER = ("image", "boxes", "default", "width", "dB", "epochs", "seconds", "bits per pixel")


def mixture(size: int, seed: int = 1) -> npt.NDArray[np.uint8]:
    """Return gratings, checks and rings with noise, one in each colour, (size, size, 3)."""
    y, x = np.mgrid[:size, :size] / size
    image = np.stack(
        [
            0.5 + 0.3 * np.sin(2 * np.pi * (60 * x + 13 * y + 4 * np.sin(6 * y))),
            0.375 + 0.25 * ((np.floor(24 * x) + np.floor(24 * y)) % 2) + 0.2 * np.sin(62 * np.pi * y),
            0.5 + 0.3 * np.cos(16 * np.pi * (20 * (x - 0.5) ** 2 + 17 * (y - 0.4) ** 2)),
        ],
        -1,
    )
    image += 0.06 * np.random.default_rng(seed).standard_normal(image.shape)
    return np.rint(255 * image.clip(0, 1)).astype(np.uint8)


def spectra(size: int, channels: int = 32, seed: int = 0) -> npt.NDArray[np.uint16]:
    """Return counts of four substances with different spectra, (channels, size, size)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    substances = np.stack([np.sin(9 * x) ** 2, np.cos(7 * y) ** 2, x * y, (x - y) ** 2])
    places = np.linspace(0, 1, channels)[:, None]
    curves = np.exp(-(((places - [0.2, 0.4, 0.6, 0.8]) / [0.1, 0.2, 0.15, 0.08]) ** 2))
    return random.poisson(4000 * np.tensordot(curves, substances, 1) + 50).astype(np.uint16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, nargs="*", default=[], help="TIFF or PNG files; default: generated")
    parser.add_argument("--size", type=int, default=768, help="size of the generated images")
    parser.add_argument("--seconds", type=float, default=60.0, help="time for each fit")
    parser.add_argument("--widths", type=int, nargs="*", default=[2, 3], help="numbers in each key; none: the default")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for widths.txt and .json")
    arguments = parser.parse_args()
    images = {path.stem: nd.read(path) for path in arguments.image} or {
        "fur": Frames(fur(arguments.size), "YXS"),
        "mixture": Frames(mixture(arguments.size), "YXS"),
        "spectra": Frames(spectra(arguments.size * 2 // 3), "CYX"),
    }
    rows: list[list[Any]] = []
    for name, image in images.items():
        array = np.asarray(image)
        layout, _ = layout_of(FitRecipe(), FitData(array, image.axes))
        boxes = filled_boxes(layout, array) if layout.outputs >= MOST else 0
        chosen = width_for(layout, array)
        for width in arguments.widths or [chosen]:
            recipe = FitRecipe(max_seconds=arguments.seconds, device=arguments.device, diner={"table_width": width})
            report = nd.fit(image, recipe=recipe).report
            figures = [round(report[key], 1) for key in ("psnr_db", "iterations", "seconds", "bits_per_pixel")]
            rows.append([name, boxes, chosen, width, *figures])
            print(*rows[-1], flush=True)
    report = {"rows": [dict(zip(HEADER, row, strict=True)) for row in rows]}
    write(arguments.output, "widths", table(HEADER, rows), report)


if __name__ == "__main__":
    main()
