"""Pictures of fits: contenders side by side, and what a DINER has learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_diner.tasks.comparison import Comparison, bare_axes
from napari_diner.tasks.fit.layout import Array
from napari_diner.tasks.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CROP_PX = 96


def draw_comparison(comparison: Comparison, figure: Figure) -> None:
    """Draw the PSNR of each representation against time, and the part of the image where they differ most."""
    names = comparison.competing or list(comparison.results)
    columns = len(names) + 1
    figure.set_size_inches(max(2.4 * columns, 7), 7)
    grid = figure.add_gridspec(2, columns, height_ratios=[1.3, 1])
    plot = figure.add_subplot(grid[0, :])
    comparison.draw_curves(plot)
    plot.set(ylabel="PSNR (dB), as trained")
    axes_of = comparison.results[names[0]]["reconstruction"].axes
    reference = _plane(np.asarray(comparison.data.data), axes_of)
    planes = {name: _plane(comparison.results[name].reconstruction, axes_of) for name in names}
    crop = _hardest(reference, planes[min(names, key=lambda name: comparison.scores(name)["psnr_db"])])
    low, high = (float(np.percentile(reference, part)) for part in (0.5, 99.5))
    for column, (name, plane) in enumerate({"data": reference, **planes}.items()):
        axes = bare_axes(figure, grid[1, column])
        axes.imshow(plane[crop], cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest")
        title = name if name == "data" else f"{name}\n{comparison.scores(name)['psnr_db']:.1f} dB"
        axes.set_title(title, fontsize=9)


def draw_learned(result: Result, folder: Path) -> Sequence[str]:
    """Draw what a DINER has learned into a folder; return the names of the pictures.

    ``learned-inr.png`` is the function of the network behind the table, which is smooth for any image (Fig. 2f of
    the paper); ``mapped-coordinates.png`` shows the key of each pixel in the plane of that function, in the pixel's
    colour (Fig. 2d).
    """
    from matplotlib.figure import Figure

    from napari_diner.tasks.fit.insight import learned_inr, mapped_coordinates
    from napari_diner.tasks.fit.model import unpack

    fitted = unpack(result)

    def picture(title: str) -> tuple[Figure, Axes]:
        figure = Figure(figsize=(5, 5), layout="constrained")
        axes = figure.add_subplot()
        axes.set(title=title, xlabel="second number of the key", ylabel="first number of the key")
        return figure, axes

    figure, axes = picture("learned INR")
    axes.imshow(learned_inr(fitted).data, cmap="gray", origin="lower")
    axes.set(xticks=[], yticks=[])
    figure.savefig(folder / "learned-inr.png", dpi=110)
    keys, colours = mapped_coordinates(fitted)
    figure, axes = picture("mapped coordinates")
    # the first number of a key counts along Y, as in the picture of the learned INR
    axes.scatter(keys[:, 1], keys[:, 0], 2, colours, linewidths=0)
    figure.savefig(folder / "mapped-coordinates.png", dpi=110)
    return ["learned-inr.png", "mapped-coordinates.png"]


def _plane(data: Array, axes: str) -> Array:
    """Return the middle plane of data as a picture: (Y, X), or (Y, X, 3) in colours of 8 bits."""
    for axis in axes:
        if axis not in "YXS":
            place = axes.index(axis)
            data = np.take(data, data.shape[place] // 2, place)
            axes = axes.replace(axis, "")
    if axes.endswith("S") and (data.shape[-1] not in (3, 4) or data.dtype != np.uint8):
        grey: Array = data.mean(-1)
        return grey
    return data[..., :3] if axes.endswith("S") else data


def _hardest(reference: Array, worst: Array) -> tuple[slice, slice]:
    """Return the square where a picture differs most from the reference."""
    error = np.square(worst.astype(np.float64) - reference)
    error = error.mean(-1) if error.ndim == 3 else error
    size = min(_CROP_PX, *error.shape)
    sums = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    total = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    y, x = np.unravel_index(int(total.argmax()), total.shape)
    return slice(int(y), int(y) + size), slice(int(x), int(x) + size)
