"""A value between two samples of a DINER: interpolated values against interpolated keys (Fig. 11, Sec. 5.5).

    python benchmarks/interpolation.py -o results                  # a generated picture
    python benchmarks/interpolation.py --image A.png -o results

A DINER is fitted to every second pixel of a picture. The pixels left out are filled in by linear interpolation, of the
network's values or of the keys, and held against those of the picture.
"""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

import output
from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.insight import Interpolation, every_second, interpolation_comparison
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.fit.reconstruct import reconstruct

BACKBONES = ("siren", "mlp", "finer")
_SHOWN = 96


def main() -> None:
    parser = output.parser(__doc__, "interpolation")
    parser.add_argument("--epochs", type=int, default=500, help="passes over all samples")
    arguments = parser.parse_args()
    rows: list[list[Any]] = []
    runs: list[dict[str, Any]] = []
    shown: dict[str, Interpolation] = {}
    for name, data in output.pictures(arguments).items():
        thinned = FitData(every_second(data.data, data.axes), data.axes)
        for backbone in BACKBONES:
            recipe = FitRecipe.parse({"backbone": backbone, "epochs": arguments.epochs, "device": arguments.device})
            with reconstruct(recipe, thinned) as run:
                for _ in run:
                    pass
                found = interpolation_comparison(run.fitted(), data.data)
                report = run.result().report
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
    header = ["PSNR in dB", "kept pixels", "values", "keys", "distance of keys", "of pixels"]
    text = output.table(header, rows)
    text += (
        "\n\nPSNR of the pixels that were left out, and of those that were kept. Distances between neighbours, median,"
    )
    text += "\nin diagonals of the keys' bounding box and of the picture."
    output.write(arguments.output, "interpolation", text, {"epochs": arguments.epochs, "runs": runs}, figure(shown))


def figure(shown: dict[str, Interpolation]) -> Figure:
    """Draw a part of the picture, and what both ways make of it for each backbone."""
    drawing = Figure(figsize=(9.5, 3.3 * len(shown)), layout="constrained")
    axes = drawing.subplots(len(shown), 3, squeeze=False)
    for (backbone, found), line in zip(shown.items(), axes, strict=True):
        height, width = found.truth.data.shape[:2]
        top, left = max(0, height - _SHOWN) // 4, max(0, width - _SHOWN) // 4
        parts = (
            ("picture", found.truth),
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
