"""A task as one object, with everything that the front doors need. Does not import torch."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from napari_diner.errors import RecipeError
from napari_diner.processors import Threads
from napari_diner.registry import unknown
from napari_diner.tasks.check import Check, Ranking
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.report import Report
from napari_diner.tasks.report import Row as Row
from napari_diner.tasks.sample import Demo, Sample, SampleData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_diner.tasks.checkpoint import Checkpoint
    from napari_diner.tasks.comparison import Comparison, ComparisonRun
    from napari_diner.tasks.job import Job
    from napari_diner.tasks.memory import MemoryPlan
    from napari_diner.tasks.result import Result
    from napari_diner.tasks.run import AnyRun

RecipeT = TypeVar("RecipeT", bound=Recipe)
DataT = TypeVar("DataT")


@dataclass(frozen=True)
class Frames:
    """Arrays in place of the files named in a recipe, such as those of a napari layer."""

    array: Any
    """The data; lazy arrays are read after a check that they fit the memory."""
    axes: str = ""
    """Letters of its axes in order; empty for the default ones of the task."""
    scale_um: tuple[float, ...] = ()
    """Spacing along each axis in micrometres, 1.0 along axes that are not lengths; empty if unknown."""
    source: str | None = None
    """File, folder or glob with the same data; None if there is none."""
    files: tuple[str, ...] = ()
    """Files with one frame each, in the order of the frames, if there is no `source` for them."""
    read_as: Mapping[str, str] = field(default_factory=dict)
    """Settings of a recipe, such as ``axes``, that select these data in `source`."""
    attachments: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Arrays for other files of the recipe, by the key that names the file, e.g. ``"mask"`` or ``"prior.support"``.
    They are used instead of the files."""
    warnings: Sequence[str] = ()
    """Warnings about the arrays, as in `Job.warnings`."""
    is_certain: bool = False
    """Whether `source` certainly contains these data; otherwise it is read and compared."""

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self.array, dtype=dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(int(size) for size in self.array.shape)

    @property
    def pixel_size_um(self) -> float | None:
        """Spacing along X, or None if unknown."""
        return self.scale_um[self.axes.find("X")] if self.scale_um else None


@dataclass(frozen=True)
class Shortcut:
    """An option of a task's command beyond the fields of its recipe."""

    name: str
    """Name of the option, e.g. ``"calibrate"``."""
    summary: str
    """Its help."""
    changes: Callable[[Any], Mapping[str, object]]
    """Returns the changes of the recipe for a value."""
    kind: type = str
    """Type of the value; bool for a flag."""


class Task(ABC, Generic[RecipeT, DataT]):
    """A kind of reconstruction, with everything that the front doors need.

    Command line, `run`, `compare`, `demo`, `simulate`, docks, samples and the Python API read the registry of tasks
    (`napari_diner.tasks.registry`) and nothing else.
    """

    name: ClassVar[str]
    """Name in recipes and on the command line, e.g. ``"lensless"``."""
    title: ClassVar[str]
    """Title of the dock, e.g. ``"Lensless phase retrieval"``."""
    summary: ClassVar[str]
    """Description in one sentence: the help of its command."""
    recipe_type: type[RecipeT]
    """Its settings."""
    source_field: ClassVar[str] = "stack"
    """Field of the recipe that names the data; the positional argument of the command."""
    source_help: ClassVar[str]
    """Accepted files."""
    attachments: ClassVar[tuple[str, ...]] = ()
    """Keys of the recipe that name files which `Frames.attachments` can replace."""
    dock: ClassVar[str]
    """The dock's class as ``"module:Class"``."""
    samples: ClassVar[tuple[Sample, ...]] = ()
    """Simulated data."""
    demo: ClassVar[Demo | None] = None
    """The demonstration, if there is one."""
    shortcuts: ClassVar[tuple[Shortcut, ...]] = ()
    """Further options of the command."""
    checks: ClassVar[tuple[Check, ...]] = ()
    """Checks of the data without a run."""
    contenders: ClassVar[Mapping[str, Mapping[str, object]]] = {}
    """Contenders of comparisons: changes of the recipe by name. Empty if there are none."""
    columns: ClassVar[Mapping[str, str]] = {}
    """Figures of a report in comparisons, with their headings."""
    follows: ClassVar[bool] = False
    """Whether it supports series: jobs that start from the result of another one, see `Job.follow`."""
    curve: ClassVar[str] = "loss"
    """The entry of `Progress.losses` that a comparison draws against time."""

    @abstractmethod
    def assemble(self, recipe: RecipeT, frames: Frames | None = None) -> DataT:
        """Return the data of a recipe; the only way from files, layers and arrays to data.

        Every file that the recipe names is read, unless `frames` has an array for it. Sizes are checked against the
        free memory before anything is read.

        Raises
        ------
        InputError
            If there are no data, or a file cannot be used.
        OutOfMemoryError
            If the work does not fit the memory.
        """

    def plan(self, recipe: RecipeT, frames: Frames | None = None) -> MemoryPlan | None:
        """Return the planned memory of a run, from headers and sizes alone; None if the task has no plan.

        Raises
        ------
        InputError
            If there are no data, or a file cannot be used.
        """
        return None

    def check_series(self, recipe: RecipeT, frames: Frames | None = None) -> None:
        """Check that a series of recordings is supported, before any of them is read; see also `Job.check_series`.

        Parameters
        ----------
        recipe
            The settings for its first recording.
        frames
            As of `assemble`.

        Raises
        ------
        RecipeError
            If it is not.
        InputError
            If there are no data, or a file cannot be used.
        """

    @abstractmethod
    def job(self, recipe: RecipeT, data: DataT, truth: Any = None) -> Job[Any]:
        """Return the validated job for data.

        Raises
        ------
        RecipeError
            If settings are missing or do not fit the data.
        InputError
            If the data or the truth cannot be used.
        OutOfMemoryError
            If the work does not fit the memory.
        """

    @abstractmethod
    def summary_rows(self, report: Report) -> list[Row]:
        """Return the lines of the summary of a report, for terminal and dock."""

    def load_truth(self, folder: Path) -> Any:
        """Read the true object from a folder, to score results against.

        Raises
        ------
        RecipeError
            If the task has no truth.
        """
        raise RecipeError(f"{self.title} has no ground truth to be scored against; leave out {{field}}", "truth")

    def truth_of(self, sample: SampleData) -> Any:
        """Return the true object of a sample for `job`; None if there is none."""
        return None

    def write_extras(self, result: Result, folder: Path) -> Sequence[str]:
        """Write further files about a result, such as pictures, into a folder; return their names."""
        return ()

    def write_comparison_extras(self, comparison: Comparison, folder: Path) -> Sequence[str]:
        """Write further files about a demonstration's comparison into a folder; return their names."""
        return ()

    def next_step(self, folder: Path) -> str:
        """Return advice on the next step with a result in a folder, for the terminal; may be empty."""
        return ""

    def criterion(self, comparison: Comparison) -> str:
        """Return the column that determines the winner of a comparison; more is better."""
        return next(iter(self.columns))

    def competing(self, name: str) -> bool:
        """Return whether a contender can win."""
        return True

    def draw_comparison(self, comparison: Comparison, figure: Figure) -> None:
        """Draw curves and images of a comparison."""
        raise NotImplementedError

    def _assembled(self, recipe: RecipeT, frames: Frames | None) -> DataT:
        """Return the data of a recipe, after a check that the task uses all given arrays."""
        for key in () if frames is None else frames.attachments:
            if key not in self.attachments:
                names = ", ".join(map(repr, self.attachments)) or "none"
                raise RecipeError(f"{self.title} does not take an array for {key!r}; it takes {names}")
        return self.assemble(recipe, frames)

    def _with_frames(self, recipe: RecipeT, frames: Frames | None, job: Job[Any]) -> Job[Any]:
        """Return a job that includes the warnings about the frames, and the images beside them."""
        doubts = [] if frames is None else [*frames.warnings]
        job.images = {} if frames is None else frames.attachments
        if recipe.input_sha256 not in ("", job.checksum):
            doubts.append("the data are not those that this recipe was run on before: their checksums differ")
        job.warnings = (*doubts, *job.warnings)
        return job

    def start(
        self,
        recipe: RecipeT,
        frames: Frames | None = None,
        *,
        truth: Any = None,
        preview_interval_s: float | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> AnyRun:
        """Assemble the data of a recipe and return the run; see `assemble`, `job`, `Run` and `Checkpoint`."""
        from napari_diner.tasks.run import Run

        with Threads():  # the checks before a run compute as well
            if self.follows and recipe.series_axis:
                from napari_diner.tasks.series import SeriesJob

                job: Job[Any] = (series := SeriesJob(self, recipe, recipe.series_axis, frames, truth))
                data = series.first_data
            else:
                data = self._assembled(recipe, frames)
                job = self.job(recipe, data, truth)
        if checkpoint is not None:
            checkpoint.bind(job, data)
        return Run(self._with_frames(recipe, frames, job), preview_interval_s, checkpoint)

    def rank(self, check: Check, recipe: RecipeT, frames: Frames | None = None) -> Ranking:
        """Assemble the data of a recipe and rank alternatives; see `assemble` and `Check`."""
        return check.rank(recipe, self._assembled(recipe, frames))

    def compare(
        self,
        recipe: RecipeT,
        frames: Frames | None = None,
        *,
        names: Sequence[str] = (),
        seconds: float = 60.0,
        truth: Any = None,
        preview_interval_s: float | None = None,
    ) -> ComparisonRun:
        """Return a comparison of contenders on the same data, each for the same time.

        Parameters
        ----------
        recipe
            Settings common to all contenders.
        frames
            See `assemble`.
        names
            Names in `contenders`; all if empty.
        seconds
            Time for each.
        truth
            The true object, if there is one.
        preview_interval_s
            Shortest time between two previews; no previews if None.

        Raises
        ------
        RecipeError
            If a contender is unknown.
        """
        from napari_diner.tasks.comparison import ComparisonRun, largest_plan
        from napari_diner.tasks.run import Run

        names = tuple(names) or tuple(self.contenders)
        for name in names:
            if name not in self.contenders:
                raise unknown("contender", name, self.contenders)
        if not seconds > 0:
            raise RecipeError(f"{{field}} = {seconds:g} cannot be used: it should be greater than 0", "seconds")
        data = self._assembled(recipe, frames)

        def begin(name: str) -> AnyRun:
            changed = recipe.updated({**self.contenders[name], "max_seconds": seconds})
            return Run(self._with_frames(changed, frames, self.job(changed, data, truth)), preview_interval_s)

        plan = largest_plan(self, [recipe.updated(self.contenders[name]) for name in names], frames)
        return ComparisonRun(self, {name: functools.partial(begin, name) for name in names}, data, truth, plan)


AnyTask = Task[Any, Any]
