"""Solvers of diffraction tomography on the same recording under the same wall clock, and which of them won."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_diner.tasks.comparison import Comparison, ComparisonRun, bare_axes, check_names
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.reconstruct import reconstruct
from napari_diner.tasks.idt.slice_figure import cuts, index_limits
from napari_diner.tasks.idt.truth import Truth

CONTENDERS: Mapping[str, Mapping[str, str]] = {
    "tikhonov": {"solver": "tikhonov", "model": "born"},
    "voxels": {"solver": "voxels"},
    "diner": {"solver": "diner"},
    "decaf": {"solver": "decaf"},
}
"""Name of each contender and what it changes in the recipe."""


@dataclass(frozen=True)
class IdtComparison(Comparison):
    """What each solver reached; see `Comparison`."""

    truth: Truth | None = None
    """The known object."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return "idt"

    @property
    def columns(self) -> Mapping[str, str]:
        """Figures that the table shows."""
        return {
            "n_re_psnr_db": "index dB",
            "n_re_rmse": "index RMSE",
            "n_re_correlation": "correlation",
            "measurement_psnr_db": "measured dB",
            "seconds": "seconds",
            "iterations": "iterations",
            "parameters": "parameters",
        }

    @property
    def criterion(self) -> str:
        """The figure that decides: the error of the index where the truth is known, else that of the data."""
        known = all("truth" in result.report for result in self.results.values())
        return "n_re_psnr_db" if known else "measurement_psnr_db"

    def save_figure(self, path: str | Path) -> None:
        """Draw the misfit of each solver against time, and an xy and an xz slice of its volume, as a PNG."""
        from matplotlib.figure import Figure

        volumes = {name: result["n_re"] for name, result in self.results.items()}
        first = next(iter(volumes.values()))
        shown = {name: volume.data for name, volume in volumes.items()}
        if self.truth is not None:
            shown = {"truth": self.truth.n_re, **shown}
        guide = self.truth.n_re if self.truth is not None else self.results[self.winner]["n_re"].data
        recipe = next(iter(self.results.values())).recipe
        assert isinstance(recipe, IdtRecipe)
        medium = recipe.medium_index
        low, high = index_limits(guide, medium)
        figure = Figure(figsize=(max(2.6 * len(shown), 7), 8.5), layout="constrained")
        grid = figure.add_gridspec(3, len(shown), height_ratios=[1.2, 1, 0.8])
        plot = figure.add_subplot(grid[0, :])
        self.draw_curves(plot)
        plot.set(yscale="log", ylabel="what is minimised")
        image = None
        for column, (name, volume) in enumerate(shown.items()):
            xy, xz = cuts(volume, guide, medium)
            for row, (cut, aspect) in enumerate(((xy, 1.0), (xz, first.scale_um[0] / first.scale_um[2])), start=1):
                axes = bare_axes(figure, grid[row, column])
                image = axes.imshow(cut, cmap="magma", vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
                if row == 1:
                    scores = self.scores(name) if name in self.results else {}
                    figure_of = scores.get(self.criterion)
                    axes.set_title(name if figure_of is None else f"{name}\n{figure_of:.1f} dB", fontsize=9)
                if column == 0:
                    axes.set_ylabel("xy" if row == 1 else "xz")
        if image is not None:
            figure.colorbar(image, ax=figure.axes[1:], shrink=0.6, label="refractive index")
        figure.savefig(path, dpi=110)


def compare(
    recipe: IdtRecipe,
    data: IdtData,
    *,
    truth: Truth | None = None,
    solvers: Sequence[str] = tuple(CONTENDERS),
    seconds: float = 60.0,
) -> ComparisonRun[IdtComparison]:
    """Prepare to run several solvers on the same recording, each for the same time.

    Parameters
    ----------
    recipe
        What all solvers have in common.
    data
        The recording.
    truth
        The known object, if there is one.
    solvers
        Names of `CONTENDERS` to run.
    seconds
        Time for each; the closed form takes what it takes, which is little.

    Raises
    ------
    RecipeError
        If a solver is unknown.
    """
    check_names(solvers, CONTENDERS, "solver")
    starts = {
        name: functools.partial(
            reconstruct, recipe.updated({**CONTENDERS[name], "max_seconds": seconds}), data, truth=truth
        )
        for name in solvers
    }
    found: Any = functools.partial(IdtComparison, truth=truth)
    return ComparisonRun(starts, "loss", found)
