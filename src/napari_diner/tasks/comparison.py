"""Several ways to do the same work, each for the same time, and which of them did best. Shared by all tasks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from napari_diner.errors import RecipeError
from napari_diner.tasks.run import Progress, Reconstruction, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WHOLE = ("iterations", "parameters")
_LEVEL_DB = 0.1


@dataclass(frozen=True)
class Comparison(ABC):
    """What each contender reached.

    Parameters
    ----------
    results
        Result of each contender by name, in the order they ran.
    curves
        For each contender the (seconds, figure) pairs of its run, shape (steps, 2); the figure is the one drawn.
    """

    results: Mapping[str, Result]
    curves: Mapping[str, npt.NDArray[np.float64]]

    @property
    @abstractmethod
    def task(self) -> str:
        """Name of the task."""

    @property
    @abstractmethod
    def columns(self) -> Mapping[str, str]:
        """Figures of a report that the table shows, with their headings."""

    @property
    @abstractmethod
    def criterion(self) -> str:
        """The figure that decides; more is better."""

    @property
    def competing(self) -> list[str]:
        """Names of those that can win."""
        return list(self.results)

    @abstractmethod
    def save_figure(self, path: str | Path) -> None:
        """Draw the comparison as a PNG."""

    def scores(self, name: str) -> dict[str, float]:
        """Return the figures of one contender that the table shows."""
        report = self.results[name].report
        known = {**report, **report.get("truth", {})}
        return {key: float(known[key]) for key in self.columns if known.get(key) is not None}

    @property
    def winner(self) -> str:
        """The contender with the best figure; of those within 0.1 dB of it, the quickest."""
        figures = {name: self.scores(name)[self.criterion] for name in self.competing or self.results}
        # data that are all alike have no peak, and no PSNR
        figures = {name: -math.inf if math.isnan(figure) else figure for name, figure in figures.items()}
        level = [name for name, figure in figures.items() if figure >= max(figures.values()) - _LEVEL_DB]
        return min(level, key=lambda name: self.scores(name)["seconds"])

    @property
    def report(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            "task": f"compare {self.task}",
            "winner": self.winner,
            "criterion": self.criterion,
            "contenders": {name: dict(result.report) for name, result in self.results.items()},
        }

    def table(self) -> str:
        """Return the figures as a text table, the winner named below it."""
        every = {name: self.scores(name) for name in self.results}
        shown = [key for key in self.columns if any(key in scores for scores in every.values())]
        rows = [["", *(self.columns[key] for key in shown)]]
        rows += [[name, *(_format(key, scores.get(key)) for key in shown)] for name, scores in every.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        notes = [f"{name}: not in the competition" for name in self.results if name not in self.competing]
        return "\n".join([*lines, "", *notes, f"winner by {self.columns[self.criterion]}: {self.winner}"])

    def draw_curves(self, axes: Axes) -> None:
        """Draw the figure of each contender against time, the winner's line the heaviest."""
        for name, curve in self.curves.items():
            seconds, figure = np.asarray(curve).T
            axes.plot(seconds, figure, label=name, linewidth=2.5 if name == self.winner else 1.2)
        axes.set(xlabel="seconds", title=f"winner: {self.winner}")
        if self.curves:
            axes.legend()
        axes.grid(alpha=0.3)


Found = TypeVar("Found", bound=Comparison)


class ComparisonRun(Generic[Found]):
    """A comparison in progress: iterate it for `Progress`, then ask it for what was found.

    Parameters
    ----------
    contenders
        For each name a function that prepares its reconstruction.
    drawn
        The entry of `Progress.losses` that the curves show.
    found
        The kind of comparison that it makes.
    """

    def __init__(
        self,
        contenders: Mapping[str, Callable[[], Reconstruction]],
        drawn: str,
        found: Callable[[Mapping[str, Result], Mapping[str, npt.NDArray[np.float64]]], Found],
    ) -> None:
        self._contenders = contenders
        self._drawn = drawn
        self._found = found
        self._results: dict[str, Result] = {}
        self._curves: dict[str, list[tuple[float, float]]] = {}
        self._steps: Generator[Progress, None, None] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Progress:
        if self._steps is None:
            self._steps = self._run()
        return next(self._steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._steps is not None:
            self._steps.close()

    def _run(self) -> Generator[Progress, None, None]:
        """Run the contenders one after the other."""
        for name, start in self._contenders.items():
            curve: list[tuple[float, float]] = []
            run: AbstractContextManager[Reconstruction] = start()
            with run as reconstruction:
                started = False
                try:
                    for progress in reconstruction:
                        started = True
                        if self._drawn in progress.losses:
                            curve.append((progress.elapsed_s, progress.losses[self._drawn]))
                        stage = f"{name}: {progress.stage}"
                        yield replace(progress, stage=stage, contender=name)
                finally:
                    if started:
                        self._results[name] = reconstruction.result()
                        if curve:
                            self._curves[name] = curve

    def result(self) -> Found:
        """Return what the contenders have reached so far."""
        if self._steps is not None:
            # the contender that was at work hands over its best so far
            self._steps.close()
        return self._found(dict(self._results), {name: np.array(curve) for name, curve in self._curves.items()})


def check_names(names: Sequence[str], known: Mapping[str, Any], what: str) -> None:
    """Check that contenders are known.

    Raises
    ------
    RecipeError
        If one is not, or there are none.
    """
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise RecipeError(f"There is no {what} {', '.join(unknown)!r}; choose from {', '.join(known)}")


def bare_axes(figure: Figure, place: Any) -> Axes:
    """Return axes without ticks, for a picture."""
    axes = figure.add_subplot(place)
    axes.set(xticks=[], yticks=[])
    return axes


def _format(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key in _WHOLE:
        return f"{int(value):,}"
    if "rmse" in key:
        return f"{value:.3g}"
    return f"{value:.1f}" if key in ("seconds", "bits_per_pixel") else f"{value:.2f}"
