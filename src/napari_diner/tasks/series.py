"""A series of recordings, such as a time series, as one run: each starts from the previous one."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_diner.errors import DinerError, RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.axes import at_point
from napari_diner.io.files import find_files
from napari_diner.io.signals import SignalInfo
from napari_diner.io.stacks import checksum as checksum_of
from napari_diner.tasks.chain import Chain, ChainState
from napari_diner.tasks.job import Job, Outcome, RunRecord, Stage
from napari_diner.tasks.preflight import Finding
from napari_diner.tasks.recipe import ArrayRecipe, Recipe
from napari_diner.tasks.result_checks import check_finite
from napari_diner.tasks.stored_array import in_memory
from napari_diner.tasks.task import AnyTask, Frames

# figures of which a series reports the worst, and whether more is better
_QUALITY = {
    "measurement_psnr_db": min, "psnr_db": min, "unexplained": max, "unexplained_beyond_noise": max, "identical": min,
    "peak_phase_rad": max,
}  # fmt: skip


class SeriesJob(Chain):
    """All recordings along one axis, one after the other, with one recipe.

    Parameters
    ----------
    task
        The task.
    recipe
        All settings; ``select`` takes all along one axis.
    axis
        Letter of this axis.
    frames
        The array that takes the place of files, if there is one.
    truth
        Must be None: a series is not scored.

    Raises
    ------
    DinerError
        As for `napari_diner.tasks.task.Task.assemble` and `job`, for any of the recordings.
    """

    def __init__(
        self, task: AnyTask, recipe: Recipe, axis: str, frames: Frames | None = None, truth: object = None
    ) -> None:
        if not isinstance(recipe, ArrayRecipe):
            raise TypeError("a series needs an array")
        if truth is not None:
            raise RecipeError("A series is not scored against a truth; leave out {field}", "truth")
        self._task, self._axis, self._frames = task, axis, frames
        self._recipe: Recipe = recipe
        self._select = recipe.select
        self.task = task.name
        self.count, self._spacing_um = _along(task, recipe, axis, frames)
        if frames is not None or getattr(recipe, task.source_field) is not None:
            task.check_series(self._at(0), frames)
        digest = hashlib.sha256()
        # each is read, so that a damaged one is noticed before any work is done
        for number in reversed(range(self.count)):
            self.first_data = self._data(number)
            digest.update(checksum_of(self.first_data.frames).encode())
        self.checksum = digest.hexdigest()
        first = task.job(self._at(0), self.first_data)
        first.check_series()
        super().__init__(self.count, first)
        self._first: Job[Any] | None = first
        # what the first recording leaves to the data, such as the continuation beyond the edges, holds for all
        self._recipe = first.recipe.updated({"select": recipe.select, "axes": recipe.axes})
        self.recipe = self._recipe
        self.device = first.device
        # while it is there
        self._findings = first.findings()
        if first.memory is not None:
            self.memory = replace(first.memory, result=self.count * first.memory.result)
        self.warnings = first.warnings
        self.notes = (*first.notes, f"there are {self.count} recordings along {axis}; each starts from the last")

    @functools.cached_property
    def suspicions(self) -> Sequence[str]:
        """Those about the first recording."""
        first, self._first = self._first, None
        return () if first is None else first.suspicions

    def findings(self) -> Sequence[Finding]:
        """Return what can be said about the first recording."""
        return self._findings

    def following(self, number: int, previous: Any) -> Any:
        """Return the initial state of a recording, given the final state of the previous one."""
        return self.part(number).follow(previous)

    def later_stages_of(self, number: int) -> Sequence[Stage[Any]]:
        """Return the stages of a recording after the first one."""
        return self.part(number).later_stages()

    def kept(self, state: ChainState) -> Outcome:
        """Return the outcome of a recording.

        Raises
        ------
        DinerError
            If it is not finite.
        """
        record = RunRecord((), 0.0, finished=True, timed_out=False)
        outcome = self._outcome_of(state, record)
        problem = self._diverged(state.number, outcome, record)
        if problem is not None:
            raise problem
        return outcome

    def outcome(self, state: ChainState, record: RunRecord) -> Outcome:
        """Return the images of all recordings so far, stacked along the axis of the series, and their figures."""
        last = self._outcome_of(state, replace(record, stages=self.records(record, state.number)))
        problem = self._diverged(state.number, last, record) if state.done else None
        outcomes = state.done if problem is not None else (*state.done, last)
        first, last = outcomes[0], outcomes[-1]
        arrays, short = self._stacked(outcomes)
        figures: dict[str, Any] = dict(last.figures)
        series: dict[str, object] = {"axis": self._axis, "recordings": self.count, "done": len(outcomes)}
        for name, worst in _QUALITY.items():
            values = [float(outcome.figures[name]) for outcome in outcomes if name in outcome.figures]
            if values:
                figures[name], series[name] = worst(values), values
        stages = [self.records(record, number) for number in range(len(outcomes))]
        series["seconds"] = [sum(stage.seconds for stage in each) for each in stages]
        series["iterations"] = [sum(stage.iterations for stage in each) for each in stages]
        weights = {
            f"{self._axis}{number:03d}.{name}": values
            for number, outcome in enumerate(outcomes)
            for name, values in outcome.weights.items()
        }
        header = {**first.header, "series": self._axis} if first.header else {}
        warnings = [*self._warnings(outcomes), *short]
        refuted = all(outcome.refutes_suspicions for outcome in outcomes)
        return Outcome(
            arrays,
            {**figures, "series": series},
            warnings,
            weights,
            header,
            problem,
            refutes_suspicions=refuted,
        )

    def _stacked(self, outcomes: Sequence[Outcome]) -> tuple[tuple[NamedArray, ...], list[str]]:
        """Return the images of all recordings, and warnings about those that end early.

        A recording that was stopped may lack images, such as those of its uncertainty, or have fewer samples in them:
        such an image holds the recordings before it.
        """
        stacks, warnings = [], []
        for array in outcomes[0].arrays:
            alike = []
            for outcome in outcomes:
                same = next((each.data for each in outcome.arrays if each.name == array.name), None)
                if same is None or same.shape != array.data.shape:
                    break
                alike.append(same)
            letter = next(letter for letter in self._axis + "TPC" if letter not in array.axes)
            scale_um = (self._spacing_um, *array.scale_um)
            stacks.append(NamedArray(array.name, np.stack(alike), letter + array.axes, scale_um, array.unit))
            if len(alike) < len(outcomes):
                whose = f"the first {len(alike)} of {len(outcomes)} recordings"
                warnings.append(f"{array.name} is only of {whose}, as the next one was stopped before it was complete")
        return tuple(stacks), warnings

    def _diverged(self, number: int, outcome: Outcome, record: RunRecord) -> DinerError | None:
        """Return the error if the outcome of a recording is not finite; it must not cost the others."""
        try:
            check_finite([*outcome.arrays, *outcome.weights.items()], self.records(record, number))
        except DinerError as error:
            return self._about(number, error)
        return None

    def _about(self, number: int, error: DinerError) -> DinerError:
        """Return an error that names its recording."""
        return type(error)(f"{self._axis} = {number}: {error.message}", error.field)

    def _outcome_of(self, state: ChainState, record: RunRecord) -> Outcome:
        """Return the outcome of the current recording, with the warnings that the first recording did not give."""
        job = self.part(state.number)
        outcome = job.outcome(state.inner, record)
        more = [warning for warning in job.all_warnings if warning not in self.all_warnings]
        return replace(outcome, warnings=[*outcome.warnings, *more])

    def _warnings(self, outcomes: Sequence[Outcome]) -> list[str]:
        """Return the distinct warnings about all recordings, each with its recordings."""
        numbers: dict[str, list[int]] = {}
        for number, outcome in enumerate(outcomes):
            for warning in (*outcome.warnings, *outcome.remarks):
                numbers.setdefault(warning, []).append(number)
        return [
            text if len(where) == len(outcomes) else f"{self._axis} = {', '.join(map(str, where))}: {text}"
            for text, where in numbers.items()
        ]

    def prefix(self, number: int) -> str:
        """Return what the names of the stages of a recording begin with."""
        return f"recording {number + 1} of {self.count}: "

    def build(self, number: int) -> Job[Any]:
        """Return the job of a recording.

        Raises
        ------
        DinerError
            If its data cannot be used.
        """
        try:
            return self._task.job(self._at(number), self._data(number))
        except DinerError as error:
            raise self._about(number, error) from None

    def _at(self, number: int) -> Recipe:
        select = at_point(self._select, self._axis, number)
        return self._recipe.updated({"select": select, "input_sha256": ""})

    def _data(self, number: int) -> Any:
        return self._task.assemble(self._at(number), self._frames)


def _along(task: AnyTask, recipe: ArrayRecipe, axis: str, frames: Frames | None) -> tuple[int, float]:
    """Return the number of recordings along an axis, and their spacing in micrometres; 1.0 if it is not a length."""
    if frames is not None:
        array = in_memory(recipe, frames)
        letters, shape, scale_um = array.axes, array.shape, array.scale_um
    else:
        source = getattr(recipe, task.source_field)
        if source is None:
            return 1, 1.0  # refused when the data are assembled
        info = SignalInfo.of(source, find_files(source), recipe.axes, recipe.select)
        letters, shape, scale_um = info.axes, info.shape, info.scale_um
    place = letters.find(axis)
    if place < 0:
        return 1, 1.0
    return shape[place], scale_um[place] if scale_um and axis == "Z" else 1.0
