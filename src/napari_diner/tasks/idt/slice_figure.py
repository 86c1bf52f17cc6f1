"""Pictures of volumes of refractive index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_diner.io.arrays import Array
from napari_diner.tasks.comparison import Comparison, bare_axes
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.truth import TrueVolume
from napari_diner.tasks.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def index_limits(volume: Array, medium_index: float) -> tuple[float, float]:
    """Return the range of index to display for a volume: from that of the medium up to nearly the highest.

    If the volume is farther below the medium than above, the range is centred on the medium.
    """
    reach = np.percentile(volume, (0.1, 99.9))
    if not np.isfinite(reach).all():
        finite = volume[np.isfinite(volume)]
        reach = np.percentile(finite, (0.1, 99.9)) if finite.size else np.full(2, medium_index)
    low, high = (float(value) - medium_index for value in reach)
    if high <= 0 and low >= 0:
        return medium_index - 1e-4, medium_index + 1e-4
    if -low > high:
        return medium_index + low, medium_index - low
    return medium_index, medium_index + high


def cuts(volume: Array, guide: Array, medium_index: float) -> tuple[Array, Array]:
    """Return the xy and the xz slice of a volume through the densest point of another, (Y, X) and (Z, X).

    Parameters
    ----------
    volume
        The volume to cut, (Z, Y, X).
    guide
        The volume with the densest point.
    medium_index
        Index around the object.
    """
    # one slice at a time in double precision
    of_rows = np.array([np.abs(plane.astype(np.float64) - medium_index).sum(1) for plane in guide])
    z, y = int(of_rows.sum(1).argmax()), int(of_rows.sum(0).argmax())
    return volume[z], volume[:, y]


def draw_slices(result: Result, figure: Figure) -> None:
    """Draw an xy and an xz slice of index and of absorption, with scales in micrometres and colour bars.

    Of a series, the last volume is drawn.
    """
    figure.set_size_inches(9, 7)
    grid = figure.subplots(2, 2, squeeze=False, height_ratios=[1.6, 1])
    medium_index = medium_of(result)
    volumes = {name: result[name].data.reshape(-1, *result[name].data.shape[-3:])[-1] for name in ("n_re", "n_im")}
    guide = volumes["n_re"]
    dz, dy, dx = result["n_re"].scale_um[-3:]
    planes, rows, columns = guide.shape
    for column, (name, volume) in enumerate(volumes.items()):
        low, high = index_limits(volume, medium_index if name == "n_re" else 0.0)
        pair = cuts(volume, guide, medium_index)
        for row, (cut, height_um) in enumerate(zip(pair, (rows * dy, planes * dz), strict=True)):
            axes = grid[row, column]
            image = axes.imshow(
                cut, cmap="magma", vmin=low, vmax=high, extent=(0, columns * dx, height_um, 0), interpolation="nearest"
            )
            axes.set(title=f"{name}, {'xy' if row == 0 else 'xz'}", xlabel="x (µm)", ylabel=f"{'yz'[row]} (µm)")
            figure.colorbar(image, ax=axes, shrink=0.8)


def draw_comparison(comparison: Comparison, figure: Figure) -> None:
    """Draw the loss of each solver against time, and an xy and an xz slice of its volume."""
    results, truth = comparison.results, comparison.truth
    best = results[comparison.winner]
    first, medium = best["n_re"], medium_of(best)
    shown = {name: result["n_re"].data for name, result in results.items()}
    guide = first.data
    if isinstance(truth, TrueVolume):
        guide, shown = truth.n_re, {"truth": truth.n_re, **shown}
    low, high = index_limits(guide, medium)
    figure.set_size_inches(max(2.6 * len(shown), 7), 8.5)
    grid = figure.add_gridspec(3, len(shown), height_ratios=[1.2, 1, 0.8])
    plot = figure.add_subplot(grid[0, :])
    comparison.draw_curves(plot)
    plot.set(yscale="log", ylabel="loss")
    for column, (name, volume) in enumerate(shown.items()):
        xy, xz = cuts(volume, guide, medium)
        for row, (cut, aspect) in enumerate(((xy, 1.0), (xz, first.scale_um[0] / first.scale_um[2])), start=1):
            axes = bare_axes(figure, grid[row, column])
            image = axes.imshow(cut, cmap="magma", vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
            if row == 1:
                score = comparison.scores(name).get(comparison.criterion) if name in results else None
                axes.set_title(name if score is None else f"{name}\n{score:.1f} dB", fontsize=9)
            if column == 0:
                axes.set_ylabel("xy" if row == 1 else "xz")
    figure.colorbar(image, ax=figure.axes[1:], shrink=0.6, label="refractive index")


def medium_of(result: Result) -> float:
    """Return the refractive index of the medium in a result."""
    recipe = result.recipe
    return recipe.medium_index if isinstance(recipe, IdtRecipe) else IdtRecipe().medium_index
