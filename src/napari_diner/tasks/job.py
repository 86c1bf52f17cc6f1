"""What a task gives the engine to run: its stages as data, and what a state means. See `napari_diner.tasks.run`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import NamedArray
from napari_diner.solvers.solver import Budget, Solver
from napari_diner.solvers.step import Step
from napari_diner.tasks.memory import MemoryPlan
from napari_diner.tasks.recipe import Recipe

if TYPE_CHECKING:
    import torch

State = TypeVar("State")


@dataclass(frozen=True)
class Stage(Generic[State]):
    """One stage of a run, as data: a solver, and what becomes of its result."""

    name: str
    """What is shown and reported, e.g. ``"registration"`` or ``"start: alternating"``."""
    solver: Callable[[State, Budget], Solver[Any] | None]
    """Builds the solver for the state that the stages before have left; None if there is nothing to do."""
    absorb: Callable[[State, Any], State]
    """Returns the state with a result of the solver. It is called at the end of the stage, and whenever the best so far
    is asked for in the middle; it must not change the state that it is given."""
    share: float = 1.0
    """Part of the time limit by which the stage must end."""
    essential: bool = False
    """Whether it takes at least one step even if its time is up already; other stages are then skipped."""
    may_end: Callable[[Any], bool] = lambda solver: True
    """Tells whether the stage may be ended now that its time is up."""
    show: Callable[[State, Any], State] | None = None
    """Returns the state to preview for the present answer of the solver; `absorb` if None."""


@dataclass
class StageRecord:
    """What a stage did, for the report."""

    name: str
    seconds: float = 0.0
    iterations: int = 0
    most_iterations: int = 0
    loss: float = math.nan
    stopped_by_time_limit: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a task makes of a state: the part of a `Result` that only the task knows.

    Parameters
    ----------
    arrays
        The images.
    figures
        Entries of the report.
    warnings
        What is doubtful about the result, the worst first; those of the job follow in the report.
    weights, header
        Content of the model file, see `Result`.
    """

    arrays: tuple[NamedArray, ...]
    figures: Mapping[str, object]
    warnings: Sequence[str] = ()
    weights: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """How far a run has come, for a task's `Job.outcome`."""

    stages: Sequence[StageRecord]
    """What each stage has done."""
    seconds: float
    """Seconds of computing, without pauses."""
    finished: bool
    """Whether all stages are done."""
    timed_out: bool
    """Whether a stage was ended by the time limit."""


class Job(ABC, Generic[State]):
    """One recipe on one set of data: what `Run` drives. Each task has its own.

    Its constructor checks recipe and data, and the memory, before any work is done.
    """

    task: str
    """Name of the task."""
    recipe: Recipe
    """The recipe with everything resolved, as it is stored with the result."""
    device: torch.device
    """Where it computes."""
    checksum: str
    """Of the data."""
    memory: MemoryPlan | None = None
    """What it is planned to take."""
    warnings: Sequence[str] = ()
    """What is doubtful about recipe and data: sentences without a full stop, known before any work is done."""
    notes: Sequence[str] = ()
    """What is worth knowing about the data without being doubtful, such as where the distances are from."""

    @abstractmethod
    def begin(self) -> State:
        """Return the state before the first stage."""

    @abstractmethod
    def stages(self) -> Sequence[Stage[State]]:
        """Return the stages in order."""

    @abstractmethod
    def preview(self, state: State) -> tuple[NamedArray, ...]:
        """Return a few small images of a state; none if there is nothing to show yet."""

    @abstractmethod
    def outcome(self, state: State, record: RunRecord) -> Outcome:
        """Return images and figures of a state.

        Raises
        ------
        DinerError
            If there is no result yet.
        """

    def check_series(self) -> None:
        """Check that the settings go with a series, of which this job is for the first recording.

        Raises
        ------
        RecipeError
            If they do not.
        """

    def follow(self, previous: State) -> State:
        """Return the state to begin with in a series, after the last one of the recording before."""
        raise NotImplementedError

    def later_stages(self, share: float) -> Sequence[Stage[State]]:
        """Return the stages after `follow`; where the number of iterations is fixed, they take a part of it.

        There are as many of them in the jobs of all recordings.
        """
        raise NotImplementedError

    def losses(self, state: State, step: Step) -> Mapping[str, float]:
        """Return the figures to plot for a step; those that are not finite are left out."""
        return {"loss": step.loss}
