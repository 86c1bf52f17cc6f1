"""Representations of the same data under the same wall clock, and which of them came closest."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.tasks.comparison import Comparison, ComparisonRun, bare_axes, check_names
from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.layout import Array
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.fit.reconstruct import reconstruct

CONTENDERS: Mapping[str, Mapping[str, str]] = {
    "diner-siren": {"representation": "diner", "backbone": "siren"},
    "diner-mlp": {"representation": "diner", "backbone": "mlp"},
    "diner-finer": {"representation": "diner", "backbone": "finer"},
    "pe-mlp": {"representation": "pe-mlp"},
    "siren": {"representation": "siren"},
    "hash-grid": {"representation": "hash-grid"},
    "pixels": {"representation": "pixels"},
}
"""Name of each contender and what it changes in the recipe."""

_CROP_PX = 96


@dataclass(frozen=True)
class FitComparison(Comparison):
    """What each representation reached; see `Comparison`."""

    original: Array | None = None
    """The data."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return "fit"

    @property
    def columns(self) -> Mapping[str, str]:
        """Figures that the table shows."""
        return {
            "psnr_db": "PSNR dB",
            "seconds": "seconds",
            "iterations": "epochs",
            "parameters": "parameters",
            "bits_per_pixel": "bits/pixel",
        }

    @property
    def criterion(self) -> str:
        """The figure that decides."""
        return "psnr_db"

    @property
    def competing(self) -> list[str]:
        """All but the pixels, which are the data themselves."""
        return [name for name in self.results if name != "pixels"]

    def save_figure(self, path: str | Path) -> None:
        """Draw the PSNR of each representation against time, and the part of the image where they differ most."""
        from matplotlib.figure import Figure

        names = self.competing or list(self.results)
        columns = len(names) + 1
        figure = Figure(figsize=(max(2.4 * columns, 7), 7), layout="constrained")
        grid = figure.add_gridspec(2, columns, height_ratios=[1.3, 1])
        plot = figure.add_subplot(grid[0, :])
        self.draw_curves(plot)
        plot.set(ylabel="PSNR (dB), as trained")
        assert self.original is not None
        axes_of = self.results[names[0]]["reconstruction"].axes
        reference = _plane(self.original, axes_of)
        planes = {name: _plane(self.results[name]["reconstruction"].data, axes_of) for name in names}
        crop = _hardest(reference, planes[min(names, key=lambda name: self.scores(name)["psnr_db"])])
        low, high = (float(np.percentile(reference, part)) for part in (0.5, 99.5))
        for column, (name, plane) in enumerate({"data": reference, **planes}.items()):
            axes = bare_axes(figure, grid[1, column])
            axes.imshow(plane[crop], cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest")
            axes.set_title(name if name == "data" else f"{name}\n{self.scores(name)['psnr_db']:.1f} dB", fontsize=9)
        figure.savefig(path, dpi=110)


def compare(
    recipe: FitRecipe,
    data: FitData,
    *,
    representations: Sequence[str] = tuple(CONTENDERS),
    seconds: float = 60.0,
    preview_interval_s: float | None = None,
) -> ComparisonRun[FitComparison]:
    """Prepare to fit several representations to the same data, each for the same time.

    Parameters
    ----------
    recipe
        What all have in common.
    data
        The data.
    representations
        Names of `CONTENDERS` to fit.
    seconds
        Time for each; one that has done the recipe's epochs before ends there. A DINER trained for much longer gets
        worse: its network roughens, and keys can no longer follow.
    preview_interval_s
        Shortest time between two previews; no previews if None.

    Raises
    ------
    RecipeError
        If a representation is unknown.
    """
    check_names(representations, CONTENDERS, "representation")
    common: dict[str, Any] = {"max_seconds": seconds, "bit_exact": False}
    starts = {
        name: functools.partial(
            reconstruct, recipe.updated({**CONTENDERS[name], **common}), data, preview_interval_s=preview_interval_s
        )
        for name in representations
    }
    found = functools.partial(FitComparison, original=np.asarray(data.data))
    return ComparisonRun(starts, "psnr_db", found)


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
