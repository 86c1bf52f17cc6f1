"""Disorder invariance: one image in three arrangements (Fig. 2 and Proposition 2 of the paper).

    python benchmarks/disorder.py -o results                  # a generated image
    python benchmarks/disorder.py --image A.png -o results

The pixels of an image are kept in order, sorted by brightness, and shuffled. A coordinate network (PE+MLP) fits
the three very differently. A DINER does not depend on pixel positions: with equal initial keys it learns the same
network. It is trained in three ways:

- unique: equal values share a key, the default of the package if fewer than half of the values are
  distinct. Training is then identical to the last bit for all arrangements.
- equal keys: a key for each pixel, all equal at the start, as in Proposition 2. Sums run in a different order, and the
  differences in the last digits grow with the steps.
- random keys: a key for each pixel, within ±1e-4 at the start, as published.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import napari_diner as nd
import output
from napari_diner.tasks.fit.insight import arrangements, learned_inr, mapped_coordinates, spectrum
from napari_diner.tasks.fit.model import unpack
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.task import Frames

PAPER_DB = {"original": 31.03, "sorted": 31.08, "shuffled": 31.05}
WAYS: dict[str, dict[str, Any]] = {
    "unique": {},
    "equal keys": {"training": {"unique": False}, "diner": {"key_range": 0.0}},
    "random keys": {"training": {"unique": False}},
}


def main() -> None:
    parser = output.parser(__doc__, "disorder")
    parser.add_argument("--backbone", default="mlp", choices=("mlp", "siren", "finer"))
    parser.add_argument("--epochs", type=int, default=300, help="passes over all samples of each DINER")
    parser.add_argument("--network-epochs", type=int, default=60, help="passes of PE+MLP")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    name, data = next(iter(output.images(arguments).items()))
    common = {"seed": arguments.seed, "device": arguments.device}
    diner = FitRecipe.parse({"diner": {"backbone": arguments.backbone}, "epochs": arguments.epochs, **common})
    network = FitRecipe.parse(
        {"representation": "pe-mlp", "epochs": arguments.network_epochs, "training": {"batch_size": 8192}, **common}
    )
    shown: dict[str, dict[str, Any]] = {}
    first: dict[str, Any] = {}
    for arrangement, pixels in arrangements(np.asarray(data), arguments.seed).items():
        arranged = Frames(pixels, data.axes)
        row: dict[str, Any] = {"pixels": pixels, "psnr_db": {}, "seconds": {}, "difference": {}}
        for way, recipe in {
            "pe-mlp": network,
            **{way: diner.updated(changes) for way, changes in WAYS.items()},
        }.items():
            result = nd.fit(arranged, recipe=recipe)
            row["psnr_db"][way] = result.report["psnr_db"]
            row["seconds"][way] = result.report["seconds"]
            if way == "pe-mlp":
                row["network"] = result.reconstruction
                continue
            weights = {part: value for part, value in result.weights.items() if part.startswith("backbone")}
            reference = first.setdefault(way, weights)
            row["difference"][way] = max(float(np.abs(weights[part] - reference[part]).max()) for part in weights)
            if way == "unique":
                fitted, distinct = unpack(result), result.report["unique_values"]
                row["diner"] = result.reconstruction
                row["keys"] = mapped_coordinates(fitted, 20_000)
                row["inr"] = learned_inr(fitted).data
        shown[arrangement] = row
        print(arrangement, {way: round(psnr, 2) for way, psnr in row["psnr_db"].items()}, flush=True)

    rows = [
        [
            arrangement,
            f"{row['psnr_db']['pe-mlp']:.2f}",
            *(f"{row['psnr_db'][way]:.2f}" for way in WAYS),
            f"{PAPER_DB[arrangement]:.2f}",
            *(f"{row['difference'][way]:.1e}" for way in WAYS),
        ]
        for arrangement, row in shown.items()
    ]
    header = ["PSNR in dB", "PE+MLP", *(f"DINER, {way}" for way in WAYS), "paper (MLP)", *(f"Δθ {way}" for way in WAYS)]
    text = output.table(header, rows)
    text += f"\n\n{name}, {'×'.join(map(str, data.shape))}, backbone {arguments.backbone}, {arguments.epochs} epochs"
    text += "; " + (f"{distinct} distinct values" if distinct else "too many distinct values to share keys")
    text += "; those of the paper are for Baboon.\nΔθ: largest difference of a network parameter from the original."
    report = {
        "image": name,
        "backbone": arguments.backbone,
        "epochs": arguments.epochs,
        "unique_values": distinct,
        "arrangements": {
            arrangement: {part: row[part] for part in ("psnr_db", "seconds", "difference")}
            for arrangement, row in shown.items()
        },
        "paper_db": PAPER_DB,
    }
    output.write(arguments.output, "disorder", text, report, figure(shown))


def figure(shown: dict[str, dict[str, Any]]) -> Figure:
    """Draw Fig. 2, with one row per arrangement."""
    drawing = Figure(figsize=(19, 8.6), layout="constrained")
    axes = drawing.subplots(len(shown), 7)
    top = max(float(spectrum(row["pixels"]).max()) for row in shown.values())
    for line, (arrangement, row) in zip(axes, shown.items(), strict=True):
        scores = row["psnr_db"]
        line[0].set_ylabel(arrangement)
        for axis, image in zip(
            line[[0, 2, 4, 5]], (row["pixels"], row["network"], row["diner"], row["inr"]), strict=True
        ):
            axis.imshow(image, cmap="gray")
        for axis, image in zip(line[[1, 6]], (row["pixels"], row["inr"]), strict=True):
            axis.imshow(spectrum(image), cmap="magma", vmin=0, vmax=top)
        positions, colours = row["keys"]
        # like the learned INR: the first number of a key points downwards
        line[3].scatter(positions[:, 1], -positions[:, 0], s=1, c=np.broadcast_to(colours, (len(colours), 3)), lw=0)
        line[3].set(box_aspect=1, facecolor="0.85")
        line[2].set_xlabel(f"{scores['pe-mlp']:.2f} dB")
        line[4].set_xlabel(f"{scores['unique']:.2f} dB")
        for axis in line:
            axis.set(xticks=[], yticks=[])
    titles = ("image", "spectrum", "PE+MLP", "mapped coordinates", "DINER", "learned INR", "spectrum")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    return drawing


if __name__ == "__main__":
    main()
