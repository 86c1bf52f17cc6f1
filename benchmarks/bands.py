"""Spectrum of the learned INR: Table 1 and Fig. 4 of the paper.

    python benchmarks/bands.py -o results                       # a generated image
    python benchmarks/bands.py --image A.png B.png -o results   # the mean over images, as in the paper

The ratios are those of the amplitude spectrum in four rings of equal width up to the Nyquist frequency (`band_ratios`),
which the paper does not define. The learned INR is sampled on a mesh over the bounding box of the keys, with as many
points along each side as the image has pixels, because a finer mesh of the same function has lower frequencies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import napari_diner as nd
import output
from napari_diner.tasks.fit.insight import band_ratios, learned_inr, mapped_coordinates, spectrum
from napari_diner.tasks.fit.model import unpack

PAPER = {
    "original": (0.4426, 0.2484, 0.1753, 0.1337),
    "learned INR (mlp)": (0.6784, 0.1218, 0.0973, 0.1025),
    "learned INR (siren)": (0.6354, 0.1220, 0.1149, 0.1276),
}
BACKBONES = ("mlp", "siren", "finer")


def main() -> None:
    parser = output.parser(__doc__, "bands")
    parser.add_argument("--epochs", type=int, default=1000, help="passes over all samples")
    arguments = parser.parse_args()
    images = output.images(arguments)
    ratios: dict[str, list[list[float]]] = {}
    runs: list[dict[str, Any]] = []
    shown: dict[str, Any] = {}
    for name, data in images.items():
        ratios.setdefault("original", []).append(band_ratios(np.asarray(data), axes=data.axes).tolist())
        shown.setdefault("original", np.asarray(data))
        for backbone in BACKBONES:
            row = f"learned INR ({backbone})"
            result = nd.fit(data, diner={"backbone": backbone}, epochs=arguments.epochs, device=arguments.device)
            fitted, report = unpack(result), result.report
            inr = learned_inr(fitted, max(data.shape[:2]))
            keys, _ = mapped_coordinates(fitted)
            shares = band_ratios(inr.data, axes=inr.axes).tolist()
            ratios.setdefault(row, []).append(shares)
            shown.setdefault(row, inr.data)
            low, inner_low, inner_high, high = np.quantile(keys, [0, 0.01, 0.99, 1], axis=0)
            runs.append(
                {
                    "image": name,
                    "backbone": backbone,
                    "ratios": shares,
                    "psnr_db": report["psnr_db"],
                    "seconds": report["seconds"],
                    # share of the box that contains 98 % of the keys; the rest is due to outliers
                    "box_of_98_percent": ((inner_high - inner_low) / (high - low)).tolist(),
                }
            )
            print(f"{name}, {row}: {report['psnr_db']:.2f} dB in {report['seconds']:.1f} s", flush=True)
    means = {name: np.mean(values, axis=0) for name, values in ratios.items()}
    rows = []
    for name, mean in means.items():
        rows.append([name, *(f"{value:.4f}" for value in mean)])
        if name in PAPER:
            rows.append(["  paper, 30 images", *(f"{value:.4f}" for value in PAPER[name])])
    text = output.table(["", "0 to 1/4", "1/4 to 1/2", "1/2 to 3/4", "3/4 to 1 Nyquist"], rows)
    text += "\n\nMean over " + ", ".join(images) + f"; {arguments.epochs} epochs. Edge of the box with 98 % of "
    text += "the keys, relative to that with all: " + ", ".join(
        f"{run['image']} {run['backbone']} {np.mean(run['box_of_98_percent']):.2f}" for run in runs
    )
    report = {"means": {name: mean.tolist() for name, mean in means.items()}, "paper": PAPER, "runs": runs}
    output.write(arguments.output, "bands", text, report, figure(shown, means))


def figure(shown: dict[str, Any], means: dict[str, Any]) -> Figure:
    """Draw each image above its spectrum with the borders of the bands, and the band ratios."""
    drawing = Figure(figsize=(3 * len(shown), 8.2), layout="constrained")
    axes = drawing.subplots(3, len(shown), squeeze=False)
    for (name, image), column in zip(shown.items(), axes.T, strict=True):
        column[0].imshow(image, cmap="gray")
        column[0].set_title(name)
        column[1].imshow(spectrum(image), extent=(-1, 1, -1, 1), cmap="magma")
        turn = np.linspace(0, 2 * np.pi, 200)
        for radius in (0.25, 0.5, 0.75, 1):
            column[1].plot(radius * np.cos(turn), radius * np.sin(turn), "w", lw=0.6)
        column[2].bar(range(4), means[name], label="here", width=0.8)
        if name in PAPER:
            column[2].plot(range(4), PAPER[name], "k_", ms=18, label="paper")
        column[2].set(ylim=(0, 0.9), xticks=range(4), xlabel="band")
        column[2].legend(frameon=False)
        for axis in column[:2]:
            axis.set(xticks=[], yticks=[])
    axes[2, 0].set_ylabel("share of the amplitude spectrum")
    return drawing


if __name__ == "__main__":
    main()
