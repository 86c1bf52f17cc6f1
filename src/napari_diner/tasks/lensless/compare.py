"""All solvers on the same recording under the same wall clock, and which of them won."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.tasks.comparison import Comparison, ComparisonRun, bare_axes, check_names
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.reconstruct import reconstruct
from napari_diner.tasks.lensless.truth import Truth

CONTENDERS: Mapping[str, Mapping[str, str]] = {
    "gauss-newton": {"solver": "gauss-newton", "start": "auto"},
    "alternating": {"solver": "alternating", "start": "auto"},
    "diner": {"solver": "diner", "start": "gauss-newton"},
    "diner-cold": {"solver": "diner", "start": "flat"},
    "pixels": {"solver": "pixels", "start": "auto"},
}
"""Name of each contender and what it changes in the recipe."""


@dataclass(frozen=True)
class LenslessComparison(Comparison):
    """What each solver reached; see `Comparison`."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return "lensless"

    @property
    def columns(self) -> Mapping[str, str]:
        """Figures that the table shows."""
        return {
            "phase_psnr_db": "phase dB",
            "amplitude_psnr_db": "amplitude dB",
            "measurement_psnr_db": "measured dB",
            "seconds": "seconds",
            "iterations": "iterations",
            "parameters": "parameters",
        }

    @property
    def criterion(self) -> str:
        """The figure that decides: the phase error where the truth is known, else the measurement error."""
        known = all("truth" in result.report for result in self.results.values())
        return "phase_psnr_db" if known else "measurement_psnr_db"

    def save_figure(self, path: str | Path) -> None:
        """Draw the misfit of each solver against time, and its amplitude and phase, as a PNG."""
        from matplotlib.figure import Figure

        names = list(self.results)
        figure = Figure(figsize=(3.2 * len(names), 9), layout="constrained")
        grid = figure.add_gridspec(3, len(names), height_ratios=[1.2, 1, 1])
        plot = figure.add_subplot(grid[0, :])
        self.draw_curves(plot)
        plot.set(yscale="log", ylabel="mean (|U| − √I)²")
        reference = self.results[self.winner]
        limit = float(np.percentile(np.abs(reference["phase"].data), 99.8)) or 1.0
        bright = float(np.percentile(reference["amplitude"].data, 99.8))
        styles: dict[str, dict[str, Any]] = {
            "amplitude": {"cmap": "gray", "vmin": 0, "vmax": bright},
            "phase": {"cmap": "twilight_shifted", "vmin": -limit, "vmax": limit},
        }
        for column, name in enumerate(names):
            for row, (quantity, style) in enumerate(styles.items(), start=1):
                axes = bare_axes(figure, grid[row, column])
                image = axes.imshow(self.results[name][quantity].data, **style)
                if row == 1:
                    axes.set_title(f"{name}\n{self.scores(name)[self.criterion]:.1f} {self.columns[self.criterion]}")
                if column == 0:
                    axes.set_ylabel("phase (rad)" if quantity == "phase" else quantity)
                if column == len(names) - 1:
                    figure.colorbar(image, ax=axes, shrink=0.8)
        figure.savefig(path, dpi=100)


def compare(
    recipe: LenslessRecipe,
    data: LenslessData,
    *,
    truth: Truth | None = None,
    solvers: Sequence[str] = tuple(CONTENDERS),
    seconds: float = 60.0,
) -> ComparisonRun[LenslessComparison]:
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
        Time for each.

    Raises
    ------
    RecipeError
        If a solver is unknown.
    """
    check_names(solvers, CONTENDERS, "solver")
    # one of them knows neither priors nor weights, and is shown as it is without
    without = {"prior": {"total_variation": "off", "support": None}, "noise": {"weighting": "even"}}
    changes = {name: {**CONTENDERS[name], **(without if name == "alternating" else {})} for name in solvers}
    starts = {
        name: functools.partial(
            reconstruct, recipe.updated({**changes[name], "max_seconds": seconds}), data, truth=truth
        )
        for name in solvers
    }
    return ComparisonRun(starts, "loss", LenslessComparison)
