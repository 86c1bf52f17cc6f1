"""Comparison of contenders on the same data, each for the same time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from napari_diner.errors import DinerError
from napari_diner.tasks.job import StageRecord
from napari_diner.tasks.result import Progress, Result
from napari_diner.tasks.result_checks import is_cut_short
from napari_diner.tasks.run import AnyRun
from napari_diner.wording import duration, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

    from napari_diner.tasks.memory import MemoryPlan
    from napari_diner.tasks.recipe import Recipe
    from napari_diner.tasks.task import AnyTask, Frames

_WHOLE = ("iterations", "parameters")
_LEVEL_DB, _WORTH_DB = 0.1, 1.0
_DINER = "diner"
MEMORY = ("planned_memory_mb", "peak_memory_mb")


@dataclass(frozen=True)
class Comparison:
    """Results of all contenders."""

    task: AnyTask
    """The task."""
    results: Mapping[str, Result]
    """Result of each contender by name, in the order in which they ran."""
    curves: Mapping[str, npt.NDArray[np.float64]]
    """For each contender the pairs (seconds, figure) to draw, shape (steps, 2)."""
    data: Any = None
    """Data of all contenders."""
    truth: Any = None
    """Truth of all contenders, if there is one."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Reason why a contender has no result, by its name."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Figures of a report in the table, with their headings."""
        return self.task.columns

    @property
    def criterion(self) -> str:
        """The figure that determines the winner; more is better."""
        return self.task.criterion(self)

    @property
    def competing(self) -> list[str]:
        """Names of those that can win."""
        return [name for name in self.results if self.task.competing(name)]

    def save_figure(self, path: str | Path) -> None:
        """Draw the comparison as a PNG."""
        from matplotlib.figure import Figure

        figure = Figure(layout="constrained")
        self.task.draw_comparison(self, figure)
        figure.savefig(path, dpi=110)

    def scores(self, name: str) -> dict[str, float]:
        """Return the figures of one contender in the table."""
        report = self.results[name].report
        figures = {**report, **report.get("truth", {})}
        return {key: float(figures[key]) for key in self.columns if figures.get(key) is not None}

    @property
    def winner(self) -> str:
        """The contender with the best figure; of those within 0.1 dB of it, the quickest."""
        figures = self._figures
        level = [name for name, figure in figures.items() if figure >= max(figures.values()) - _LEVEL_DB]
        return min(level, key=lambda name: self.scores(name)["seconds"])

    @property
    def _figures(self) -> dict[str, float]:
        """The figures of those that can win, by name."""
        figures = {name: self.scores(name)[self.criterion] for name in self.competing or self.results}
        # constant data have no peak, and no PSNR
        return {name: -math.inf if math.isnan(figure) else figure for name, figure in figures.items()}

    @property
    def recommendation(self) -> str:
        """What to use for such data, in words: whether a DINER is worth its time."""
        figures = self._figures
        diners = [name for name in figures if name.startswith(_DINER)]
        others = [name for name in figures if name not in diners]
        if not diners or not others:
            return f"use {self.winner}"
        diner, other = (max(names, key=figures.__getitem__) for names in (diners, others))
        hurried = [name for name in (diner, other) if self._is_cut_short(name)]
        if hurried:
            return (
                f"none, as {' and '.join(hurried)} had time for the first steps only; compare with a longer time limit"
            )
        gain = figures[diner] - figures[other]
        times = f"{duration(self.scores(diner)['seconds'])} instead of {duration(self.scores(other)['seconds'])}"
        if not math.isfinite(gain) or abs(gain) <= _LEVEL_DB:
            return f"use {self.winner}; {diner} and {other} are equally good, in {times}"
        if gain < 0:
            return f"use {other}, without a DINER; {diner} is {-gain:.1f} dB worse, in {times}"
        if gain < _WORTH_DB:
            return f"use {diner}, or {other} if time matters: a DINER gains only {gain:.1f} dB, in {times}"
        return f"use {diner}: the DINER is {gain:.1f} dB better than {other}, in {times}"

    def _is_cut_short(self, name: str) -> bool:
        return any(is_cut_short(StageRecord(**stage)) for stage in self.results[name].report.get("stages", ()))

    @property
    def report(self) -> dict[str, object]:
        """Everything as plain values, for JSON."""
        return {
            "task": f"compare {self.task.name}",
            "winner": self.winner,
            "criterion": self.criterion,
            "recommendation": self.recommendation,
            "contenders": {name: dict(result.report) for name, result in self.results.items()},
            "left_out": dict(self.left_out),
            **{name: max((r.report.get(name) or 0.0 for r in self.results.values()), default=0.0) for name in MEMORY},
        }

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and rows of the table."""
        every = {name: self.scores(name) for name in self.results}
        shown = [key for key in self.columns if any(key in scores for scores in every.values())]
        rows = [[name, *(_format(key, scores.get(key)) for key in shown)] for name, scores in every.items()]
        return ["", *(self.columns[key] for key in shown)], rows

    def notes(self) -> list[str]:
        """Return the remarks below the table: contenders that do not compete, and the winner."""
        outside = [f"{name}: not in the competition" for name in self.results if name not in self.competing]
        outside += [f"{name}: left out, as {reason}" for name, reason in self.left_out.items()]
        reports = {name: result.report["warnings"] for name, result in self.results.items()}
        doubts = []
        for warning in dict.fromkeys(text for texts in reports.values() for text in texts):
            concerned = ", ".join(name for name, texts in reports.items() if warning in texts)
            doubts.append(f"warning ({concerned}): {warning}")
        winner = f"winner by {self.columns[self.criterion]}: {self.winner}"
        return [*outside, *doubts, winner, f"recommendation: {self.recommendation}"]

    def draw_curves(self, axes: Axes) -> None:
        """Draw the figure of each contender against time, with the winner's line the heaviest."""
        for name, curve in self.curves.items():
            seconds, figure = np.asarray(curve).T
            axes.plot(seconds, figure, label=name, linewidth=2.5 if name == self.winner else 1.2)
        axes.set(xlabel="seconds", title=f"winner: {self.winner}")
        if self.curves:
            axes.legend()
        axes.grid(alpha=0.3)


class ComparisonRun:
    """A comparison in progress: iterate it for `Progress`, then ask for its result.

    Parameters
    ----------
    task
        The task.
    contenders
        For each name a function that prepares its run.
    data, truth
        Data and truth of all contenders, for the pictures.
    memory
        Largest plan of memory among the contenders.
    """

    def __init__(
        self,
        task: AnyTask,
        contenders: Mapping[str, Callable[[], AnyRun]],
        data: object,
        truth: object,
        memory: MemoryPlan | None = None,
    ) -> None:
        self.task = task
        self._memory = memory
        self._contenders = contenders
        self._data, self._truth = data, truth
        self._results: dict[str, Result] = {}
        self._curves: dict[str, list[tuple[float, float]]] = {}
        self._left_out: dict[str, DinerError] = {}
        self._stopped = False
        self._steps: Generator[Progress, None, None] | None = None

    compares_settings = True
    """As for `napari_diner.tasks.run.Run`; contenders do so in any case."""

    @property
    def notes(self) -> Sequence[str]:
        """Notes before the first step: none, see `warnings`."""
        return ()

    @property
    def memory(self) -> str:
        """The largest planned memory of a contender, in words."""
        return "" if self._memory is None else self._memory.describe()

    @property
    def result_bytes(self) -> float:
        """The planned bytes of the files of the results; 0 if there is no plan."""
        return 0.0 if self._memory is None else self._memory.result

    @property
    def warnings(self) -> Sequence[str]:
        """Warnings before the first step: none, as each contender has its own; see `Comparison`."""
        return ()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Progress:
        if self._steps is None:
            self._steps = self._work()
        return next(self._steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._steps is not None:
            self._steps.close()

    def _work(self) -> Generator[Progress, None, None]:
        """Run the contenders one after the other; one that cannot run is left out, unless none can."""
        for number, name in enumerate(self._contenders):
            try:
                for progress in self._contend(name):
                    before, count = number * progress.parts, len(self._contenders) * progress.parts
                    yield replace(progress, part=before + progress.part, parts=count)
            except DinerError as error:
                self._left_out[name] = error
                if self._stopped:
                    return
        if not self._results and self._left_out:
            raise next(iter(self._left_out.values()))

    def _contend(self, name: str) -> Generator[Progress, None, None]:
        curve: list[tuple[float, float]] = []
        with self._contenders[name]() as run:
            try:
                for progress in run:
                    # steps without the figure leave a gap
                    curve.append((progress.elapsed_s, progress.losses.get(self.task.curve, math.nan)))
                    yield replace(progress, stage=f"{name}: {progress.stage}", contender=name)
            except BaseException as error:
                if not isinstance(error, Exception):  # its owner ended it, between two steps or within one
                    self._stopped = True
                    run.compares_settings = False  # this takes seconds
                    self._keep(name, run, curve)
                raise
            if run.problem is not None:
                raise run.problem
            self._keep(name, run, curve)

    def _keep(self, name: str, run: AnyRun, curve: list[tuple[float, float]]) -> None:
        """Keep the best result of a contender so far, if it has taken a step."""
        if curve:
            self._results[name] = run.result()
            if not all(math.isnan(figure) for _, figure in curve):
                self._curves[name] = curve

    def result(self) -> Comparison:
        """Return the results of the contenders so far."""
        if self._steps is not None:
            # the running contender contributes its best result so far
            self._steps.close()
        curves = {name: np.array(curve) for name, curve in self._curves.items()}
        left_out = {name: str(error).rstrip(".") for name, error in self._left_out.items()}
        return Comparison(self.task, dict(self._results), curves, self._data, self._truth, left_out)


def largest_plan(task: AnyTask, recipes: Iterable[Recipe], frames: Frames | None) -> MemoryPlan | None:
    """Return the largest planned memory of the runs, with the files of all; None if there is no plan."""
    plans: list[MemoryPlan] = []
    for recipe in recipes:
        with contextlib.suppress(DinerError):  # reported by the contender
            plan = task.plan(recipe, frames)
            plans += [] if plan is None else [plan]
    if not plans:
        return None
    results = [plan.result for plan in plans]
    # the winner's files are written again, beside the folders of all
    return replace(max(plans, key=lambda plan: plan.work), result=sum(results) + max(results))


def bare_axes(figure: Figure, place: SubplotSpec) -> Axes:
    """Return axes without ticks, for a picture."""
    axes = figure.add_subplot(place)
    axes.set(xticks=[], yticks=[])
    return axes


def _format(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key in _WHOLE:
        return f"{int(value):,}"
    if key == "unexplained":
        return percent(value)
    if "rmse" in key:
        return f"{value:.3g}"
    return f"{value:.1f}" if key in ("seconds", "bits_per_pixel") else f"{value:.2f}"
