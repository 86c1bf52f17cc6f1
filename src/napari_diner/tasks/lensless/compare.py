"""All solvers on the same recording under the same wall clock, and which of them won."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.errors import RecipeError
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.reconstruct import reconstruct
from napari_diner.tasks.lensless.truth import Truth
from napari_diner.tasks.reconstruction import Progress, Result

CONTENDERS: Mapping[str, Mapping[str, str]] = {
    "gauss-newton": {"solver": "gauss-newton", "start": "auto"},
    "alternating": {"solver": "alternating", "start": "auto"},
    "diner": {"solver": "diner", "start": "gauss-newton"},
    "diner-cold": {"solver": "diner", "start": "flat"},
    "pixels": {"solver": "pixels", "start": "auto"},
}
"""Name of each contender and what it changes in the recipe."""

_COLUMNS = {
    "phase_psnr_db": "phase dB",
    "amplitude_psnr_db": "amplitude dB",
    "measurement_psnr_db": "measured dB",
    "seconds": "seconds",
    "iterations": "iterations",
    "parameters": "parameters",
}


@dataclass(frozen=True)
class Comparison:
    """What each contender reached.

    Parameters
    ----------
    results
        Result of each contender by name, in the order they ran.
    curves
        For each contender the (seconds, loss) pairs of its run, shape (steps, 2).
    """

    results: Mapping[str, Result]
    curves: Mapping[str, Any]

    def scores(self, name: str) -> dict[str, float]:
        """Return the figures of one contender that the table shows."""
        report = self.results[name].report
        known = {**report, **report.get("truth", {})}
        return {key: float(known[key]) for key in _COLUMNS if key in known}

    @property
    def criterion(self) -> str:
        """The figure that decides: the phase error where the truth is known, else the measurement error."""
        return (
            "phase_psnr_db"
            if all("truth" in result.report for result in self.results.values())
            else ("measurement_psnr_db")
        )

    @property
    def winner(self) -> str:
        """The contender with the best figure; of those within 0.1 dB of it, the quickest."""
        best = max(self.scores(name)[self.criterion] for name in self.results)
        level = [name for name in self.results if self.scores(name)[self.criterion] >= best - 0.1]
        return min(level, key=lambda name: self.scores(name)["seconds"])

    @property
    def report(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "task": "compare lensless",
            "winner": self.winner,
            "criterion": self.criterion,
            "contenders": {name: dict(result.report) for name, result in self.results.items()},
        }

    def table(self) -> str:
        """Return the figures as a text table, the winner named below it."""
        shown = list(self.scores(next(iter(self.results))))
        rows = [["solver", *(_COLUMNS[key] for key in shown)]]
        for name in self.results:
            scores = self.scores(name)
            rows.append([name, *(_format(key, scores[key]) for key in shown)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*lines, "", f"winner by {_COLUMNS[self.criterion]}: {self.winner}"])

    def save_figure(self, path: str | Path) -> None:
        """Draw the misfit of each contender against time, and its amplitude and phase, as a PNG."""
        from matplotlib.figure import Figure

        names = list(self.results)
        figure = Figure(figsize=(3.2 * len(names), 9), layout="constrained")
        grid = figure.add_gridspec(3, len(names), height_ratios=[1.2, 1, 1])
        plot = figure.add_subplot(grid[0, :])
        for name in names:
            seconds, loss = np.asarray(self.curves[name]).T
            plot.semilogy(seconds, loss, label=name, linewidth=2.5 if name == self.winner else 1.2)
        plot.set(xlabel="seconds", ylabel="mean (|U| − √I)²", title=f"winner: {self.winner}")
        plot.legend()
        plot.grid(alpha=0.3)
        reference = self.results[self.winner]
        limit = float(np.percentile(np.abs(reference["phase"].data), 99.8)) or 1.0
        bright = float(np.percentile(reference["amplitude"].data, 99.8))
        for column, name in enumerate(names):
            styles: dict[str, dict[str, Any]] = {
                "amplitude": {"cmap": "gray", "vmin": 0, "vmax": bright},
                "phase": {"cmap": "twilight_shifted", "vmin": -limit, "vmax": limit},
            }
            for row, (quantity, style) in enumerate(styles.items(), start=1):
                axes = figure.add_subplot(grid[row, column])
                image = axes.imshow(self.results[name][quantity].data, **style)
                axes.set(xticks=[], yticks=[])
                if row == 1:
                    axes.set_title(f"{name}\n{self.scores(name)[self.criterion]:.1f} {_COLUMNS[self.criterion]}")
                if column == 0:
                    axes.set_ylabel("phase (rad)" if quantity == "phase" else quantity)
                if column == len(names) - 1:
                    figure.colorbar(image, ax=axes, shrink=0.8)
        figure.savefig(path, dpi=100)


class ComparisonRun:
    """A comparison in progress: iterate it for `Progress`, then ask it for the `Comparison`.

    Parameters
    ----------
    recipe
        What all contenders have in common.
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
        If a contender is unknown.
    """

    def __init__(
        self,
        recipe: LenslessRecipe,
        data: LenslessData,
        truth: Truth | None = None,
        solvers: Sequence[str] = tuple(CONTENDERS),
        seconds: float = 60.0,
    ) -> None:
        unknown = [name for name in solvers if name not in CONTENDERS]
        if unknown or not solvers:
            raise RecipeError(f"There is no solver {', '.join(unknown)!r}; choose from {', '.join(CONTENDERS)}")
        self._recipe, self._data, self._truth = recipe, data, truth
        self._names, self._seconds = tuple(solvers), seconds
        self._results: dict[str, Result] = {}
        self._curves: dict[str, list[tuple[float, float]]] = {}

    def __iter__(self) -> Generator[Progress, None, None]:
        """Run the contenders one after the other."""
        for name in self._names:
            contender = self._recipe.updated({**CONTENDERS[name], "max_seconds": self._seconds})
            curve = self._curves[name] = []
            with reconstruct(contender, self._data, truth=self._truth) as run:
                try:
                    for progress in run:
                        curve.append((progress.elapsed_s, progress.losses["loss"]))
                        yield replace(progress, stage=f"{name}: {progress.stage}")
                finally:
                    if curve:
                        self._results[name] = run.result()

    def result(self) -> Comparison:
        """Return what the contenders have reached so far."""
        return Comparison(dict(self._results), {name: np.array(curve) for name, curve in self._curves.items() if curve})


def compare(
    recipe: LenslessRecipe,
    data: LenslessData,
    *,
    truth: Truth | None = None,
    solvers: Sequence[str] = tuple(CONTENDERS),
    seconds: float = 60.0,
) -> ComparisonRun:
    """Run several solvers on the same recording, each for the same time; see `ComparisonRun`."""
    return ComparisonRun(recipe, data, truth, solvers, seconds)


def _format(key: str, value: float) -> str:
    if key in ("iterations", "parameters"):
        return f"{int(value):,}"
    return f"{value:.1f}" if key == "seconds" else f"{value:.2f}"
