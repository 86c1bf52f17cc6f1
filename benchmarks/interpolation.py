"""Interpolation between the samples of a DINER: values against keys (Fig. 11 and Sec. 5.5 of the paper).

    python benchmarks/interpolation.py -o results                  # a generated image
    python benchmarks/interpolation.py --image A.png -o results

A DINER is fitted to every second pixel of an image. The omitted pixels are filled in by linear interpolation of the
network's values or of the keys, and compared with those of the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import napari_diner as nd
import output
from napari_diner.tasks.fit.insight import Interpolation, every_second, interpolation_comparison
from napari_diner.tasks.fit.model import unpack
from napari_diner.tasks.task import Frames

BACKBONES = ("siren", "mlp", "finer")
_SHOWN = 96


def main() -> None:
    parser = output.parser(__doc__, "interpolation")
    parser.add_argument("--epochs", type=int, default=500, help="passes over all samples")
    arguments = parser.parse_args()
    rows: list[list[Any]] = []
    runs: list[dict[str, Any]] = []
    shown: dict[str, Interpolation] = {}
    for name, data in output.images(arguments).items():
        image = np.asarray(data)
        thinned = Frames(every_second(image, data.axes), data.axes)
        for backbone in BACKBONES:
            result = nd.fit(thinned, diner={"backbone": backbone}, epochs=arguments.epochs, device=arguments.device)
            found, report = interpolation_comparison(unpack(result), image), result.report
            figures = {
                "kept_db": report["psnr_db"],
                "values_db": found.psnr_by_values_db,
                "keys_db": found.psnr_by_keys_db,
                "key_distance": found.key_distance,
                "pixel_distance": found.pixel_distance,
            }
            runs.append({"image": name, "backbone": backbone, "unique_values": report["unique_values"], **figures})
            rows.append([f"{name}, {backbone}", *(f"{value:.4g}" for value in figures.values())])
            print(*rows[-1], flush=True)
            if name == runs[0]["image"]:
                shown[backbone] = found
    header = ["PSNR in dB", "fitted pixels", "values", "keys", "distance of keys", "of pixels"]
    text = output.table(header, rows)
    text += "\n\nPSNR of the omitted pixels, and of the fitted ones. Median distances between neighbours,"
    text += "\nin diagonals of the keys' bounding box and of the image."
    output.write(arguments.output, "interpolation", text, {"epochs": arguments.epochs, "runs": runs}, figure(shown))


def figure(shown: dict[str, Interpolation]) -> Figure:
    """Draw a detail of the image, and of both interpolations for each backbone."""
    drawing = Figure(figsize=(9.5, 3.3 * len(shown)), layout="constrained")
    axes = drawing.subplots(len(shown), 3, squeeze=False)
    for (backbone, found), line in zip(shown.items(), axes, strict=True):
        height, width = found.truth.data.shape[:2]
        top, left = max(0, height - _SHOWN) // 4, max(0, width - _SHOWN) // 4
        parts = (
            ("image", found.truth),
            (f"values, {found.psnr_by_values_db:.2f} dB", found.by_values),
            (f"keys, {found.psnr_by_keys_db:.2f} dB", found.by_keys),
        )
        line[0].set_ylabel(backbone)
        for axis, (title, image) in zip(line, parts, strict=True):
            axis.imshow(image.data[top : top + _SHOWN, left : left + _SHOWN], cmap="gray")
            axis.set(title=title, xticks=[], yticks=[])
    return drawing


if __name__ == "__main__":
    main()
