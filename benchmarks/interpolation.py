"""Interpolation between the samples of a DINER: values against keys (Fig. 11 and Sec. 5.5 of the paper).

    python benchmarks/interpolation.py -o results                  # a generated image
    python benchmarks/interpolation.py --image A.png -o results

A DINER is fitted to every second pixel of an image. The omitted pixels are filled in by linear interpolation of the
network's values or of the keys, and compared with those of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from scipy import ndimage
from torch import Tensor

import napari_diner as nd
import output
from napari_diner.io.arrays import NamedArray
from napari_diner.representations.diner import CHUNK, Diner
from napari_diner.tasks.fit.layout import Array
from napari_diner.tasks.fit.model import Fitted, unpack
from napari_diner.tasks.report import psnr_db
from napari_diner.tasks.task import Frames

BACKBONES = ("siren", "mlp", "finer")
_SHOWN = 96


@dataclass(frozen=True)
class Interpolation:
    """Comparison of two ways to interpolate between the samples of a DINER."""

    truth: NamedArray
    """The true image."""
    by_values: NamedArray
    """The network's values at the neighbours, interpolated."""
    by_keys: NamedArray
    """The network's values at the neighbours' interpolated keys."""
    psnr_by_values_db: float
    """PSNR of `by_values` for the pixels that the DINER was not fitted to."""
    psnr_by_keys_db: float
    """The same for `by_keys`."""
    key_distance: float
    """Median distance between the keys of neighbouring samples along X, in diagonals of the keys' bounding box."""
    pixel_distance: float
    """The distance between those samples themselves, in diagonals of the image."""


def every_second(data: Array, axes: str) -> Array:
    """Return every second pixel along Y and X, to which a DINER is fitted for `interpolation_comparison`."""
    return np.ascontiguousarray(data[tuple(slice(None, None, 2 if axis in "YX" else None) for axis in axes)])


def interpolation_comparison(fitted: Fitted, data: Array) -> Interpolation:
    """Fill in left-out pixels by interpolated values and by interpolated keys (Fig. 11, Sec. 5.5).

    Both interpolations are linear, along Y and X. The paper recommends the first, as keys of neighbouring pixels can be
    anywhere in the space of the keys, with any other value between them.

    Parameters
    ----------
    fitted
        A DINER that was fitted to `every_second` pixel of the data.
    data
        All of them.
    """
    diner, layout = fitted.representation, fitted.layout
    assert isinstance(diner, Diner)
    # there is no pixel to interpolate to beyond the last one that was kept
    inner = tuple(slice(0, 2 * size - 1 if axis in "YX" else size)
                  for axis, size in zip(layout.axes, layout.shape, strict=True))  # fmt: skip
    truth = data[inner]
    keys = diner.hash_table.detach()
    if fitted.index is not None:
        keys = keys[torch.from_numpy(fitted.index.astype(np.int64).ravel()).to(keys.device)]
    grid = keys.reshape(*layout.sample_shape, -1)
    fine = doubled(grid.cpu().numpy(), layout.sample_axes)
    between = torch.from_numpy(fine.reshape(-1, fine.shape[-1])).to(keys.device)
    outputs = evaluated(diner, between).cpu().numpy().reshape(*fine.shape[:-1], layout.outputs)
    by_keys = layout.from_samples(layout.to_values(outputs))
    at_samples = evaluated(diner, keys).cpu().numpy().reshape(*layout.sample_shape, layout.outputs)
    by_values = layout.from_samples(layout.to_values(doubled(at_samples, layout.sample_axes)))

    left_out = np.ones(truth.shape, dtype=bool)
    left_out[tuple(slice(None, None, 2 if axis in "YX" else None) for axis in layout.axes)] = False
    value_score, key_score = (
        psnr_db((found.astype(np.float64) - truth)[left_out], layout.peak) for found in (by_values, by_keys)
    )
    scale = tuple(
        spacing / 2 if axis in "YX" else spacing for axis, spacing in zip(layout.axes, layout.scale_um, strict=True)
    )
    x = layout.sample_axes.index("X")
    diagonal = float((keys.amax(0) - keys.amin(0)).norm())
    steps = grid.diff(dim=x).norm(dim=-1)
    pixels = np.hypot(*[size - 1 for axis, size in zip(layout.axes, truth.shape, strict=True) if axis in "YX"])
    return Interpolation(
        NamedArray("left-out pixels and the others", truth, layout.axes, scale),
        NamedArray("interpolated values", by_values, layout.axes, scale),
        NamedArray("interpolated keys", by_keys, layout.axes, scale),
        value_score,
        key_score,
        key_distance=float(steps.median()) / (diagonal or 1.0) if steps.numel() else 0.0,
        pixel_distance=2 / float(pixels or 1.0),
    )


def doubled(values: npt.NDArray[np.float32], axes: str) -> npt.NDArray[np.float32]:
    """Return values, (*samples, n), with one interpolated between every two along Y and X."""
    for place, axis in enumerate(axes):
        size = values.shape[place]
        if axis in "YX" and size > 1:
            zoom = [(2 * size - 1) / size if other == place else 1 for other in range(values.ndim)]
            values = ndimage.zoom(values, zoom, order=1)
    return values


@torch.no_grad()
def evaluated(diner: Diner, keys: Tensor) -> Tensor:
    """Return the network's values at keys, (n, outputs)."""
    return torch.cat([diner.backbone(part) for part in keys.split(CHUNK)])


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
