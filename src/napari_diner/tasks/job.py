"""The interface between tasks and engine: stages as data, and outcomes of states. See `napari_diner.tasks.run`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from napari_diner.errors import DinerError
from napari_diner.io.arrays import NamedArray
from napari_diner.solvers.solver import Budget, Solver
from napari_diner.solvers.step import Step
from napari_diner.tasks.memory import MemoryPlan
from napari_diner.tasks.preflight import Finding
from napari_diner.tasks.recipe import Recipe

if TYPE_CHECKING:
    import torch

State = TypeVar("State")
UNCERTAINTY = "uncertainty"
"""Name of the stage that estimates the uncertainty of a result."""

# iterations from the result of the previous recording in a series, relative to those from any other start, and the
# step size of networks then: larger steps undo the start, see benchmarks/series.py
_LATER_SHARE = 1 / 3
FOLLOWING_RATE = 0.1


def fewer(iterations: int) -> int:
    """Return the number of iterations after `Job.follow`, given that after another start."""
    return math.ceil(_LATER_SHARE * iterations)


@dataclass(frozen=True)
class Stage(Generic[State]):
    """One stage of a run, as data: a solver, and the use of its result."""

    name: str
    """Name in progress and report, e.g. ``"registration"`` or ``"start: alternating"``."""
    solver: Callable[[State, Budget], Solver[Any] | None]
    """Builds the solver for the state after the previous stages; returns None if there is nothing to do."""
    absorb: Callable[[State, Any], State]
    """Returns the state with a result of the solver. It is called at the end of the stage, and for the best
    result so far during the stage; it must not change its argument."""
    share: float = 1.0
    """Part of the time limit at which the stage must end."""
    essential: bool = False
    """Whether it takes at least one step even if its time is up already; other stages are then skipped."""
    may_end: Callable[[Any], bool] = lambda solver: True
    """Return whether the stage may be ended now that its time is up."""
    show: Callable[[State, Any], State] | None = None
    """Returns the state to preview for the current answer of the solver; `absorb` if None."""
    early: Callable[[State, Any], State] | None = None
    """Returns the state for a run that is ended early within the stage, given its solver, without taking seconds;
    `absorb` of the best result so far if None."""
    alike: int = 1
    """How many stages, with this one, take as long; 0 if it is counted by an earlier one."""
    part: int = 0
    """Number of the part of the job that it belongs to, see `napari_diner.tasks.chain.Chain`. An error in a later part
    than the first one ends the run, but the result of the parts before is kept."""

    def ended_early(self, state: State, solver: Any) -> State:
        """Return the state for a run that is ended within the stage."""
        return self.early(state, solver) if self.early else self.absorb(state, solver.result())


@dataclass
class StageRecord:
    """Entry of a stage in the report."""

    name: str
    seconds: float = 0.0
    iterations: int = 0
    most_iterations: int = 0
    loss: float = math.nan
    stopped_by_time_limit: bool = False


@dataclass(frozen=True)
class Outcome:
    """Images and figures of a state: the part of a `Result` that depends on the task."""

    arrays: tuple[NamedArray, ...]
    """The images."""
    figures: Mapping[str, object]
    """Entries of the report."""
    warnings: Sequence[str] = ()
    """Warnings about the result, the worst first; those of the job follow in the report."""
    weights: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    """Parameters for the model file, see `Result`."""
    header: Mapping[str, str] = field(default_factory=dict)
    """Header of the model file, see `Result`."""
    problem: DinerError | None = None
    """Why it is without a part of the job that was computed; None if it is not."""
    remarks: Sequence[str] = ()
    """Sentences about a result that is not doubtful because of them; they follow the warnings."""
    is_coarse: bool = False
    """Whether it is that of a stage stopped in its preparation, as a warning says, and not what it started from."""
    refutes_suspicions: bool = False
    """Whether the result shows that the suspicions of the job are unfounded; they are not in the report then."""


@dataclass(frozen=True)
class RunRecord:
    """Progress of a run, for a task's `Job.outcome`."""

    stages: Sequence[StageRecord]
    """Entries of the stages."""
    seconds: float
    """Seconds of computing, without pauses."""
    finished: bool
    """Whether all stages are done."""
    timed_out: bool
    """Whether a stage was ended by the time limit."""
    is_suspected: bool = False
    """Whether suspicions about the settings have been confirmed; see `Job.suspicions`."""

    @property
    def first_cure(self) -> str:
        """What to do first if too little is explained, because the run ended early; empty if it did not."""
        if not self.finished:
            return "let the run finish"
        return "allow more time" if self.timed_out else ""

    @property
    def reconstruction(self) -> Mapping[str, object]:
        """Iterations and loss of the last stage before the estimate of the uncertainty; empty if there is none."""
        main = [stage for stage in self.stages if stage.name != UNCERTAINTY]
        return {"iterations": main[-1].iterations, "loss": main[-1].loss} if main else {}


class Job(ABC, Generic[State]):
    """One recipe on one set of data, executed by `Run`. Each task has its own subclass.

    Its constructor checks recipe and data, and the memory, before any work is done.
    """

    task: str
    """Name of the task."""
    signal: ClassVar[str] = "the signal in the frames"
    """What a result explains, in words."""
    recipe: Recipe
    """The resolved recipe, as stored with the result."""
    device: torch.device
    """Device of the model."""
    checksum: str
    """Checksum of the data."""
    memory: MemoryPlan | None = None
    """Planned memory."""
    warnings: Sequence[str] = ()
    """Warnings about recipe and data that are found at once: sentences without a full stop."""
    measures_light: bool = True
    """Whether the data are as they were recorded; a result from changed ones is doubtful, however much it explains."""
    notes: Sequence[str] = ()
    """Notes about the data, such as the source of the distances."""
    images: Mapping[str, npt.NDArray[Any]] = MappingProxyType({})
    """Images that were given as arrays in place of files, by the keys of the recipe."""

    @property
    def suspicions(self) -> Sequence[str]:
        """Warnings about recipe and data that take seconds to find, such as by short reconstructions; found once."""
        return ()

    @property
    def all_warnings(self) -> Sequence[str]:
        """All warnings about recipe and data, the worst first."""
        return (*self.suspicions, *self.warnings)

    @abstractmethod
    def begin(self) -> State:
        """Return the state before the first stage."""

    @abstractmethod
    def stages(self) -> Sequence[Stage[State]]:
        """Return the stages in order."""

    @abstractmethod
    def preview(self, state: State) -> tuple[NamedArray, ...]:
        """Return a few small images of a state; empty if there is nothing to show yet."""

    @abstractmethod
    def outcome(self, state: State, record: RunRecord) -> Outcome:
        """Return images and figures of a state.

        Raises
        ------
        DinerError
            If there is no result yet.
        """

    def scoring_seconds(self, state: State) -> float:
        """Return about how many seconds it takes to compare a result with the data, after the last step."""
        return 0.0

    def findings(self) -> Sequence[Finding]:
        """Return what can be said before a run about what the recording allows; see `tasks.preflight`."""
        return ()

    def check_series(self) -> None:
        """Check that the settings support a series, of which this job is for the first recording.

        Raises
        ------
        RecipeError
            If they do not.
        """

    def follow(self, previous: State) -> State:
        """Return the initial state in a series, given the final state of the previous recording."""
        raise NotImplementedError

    def later_stages(self) -> Sequence[Stage[State]]:
        """Return the stages after `follow`, with as many iterations as suit a good start.

        Their number is the same for all recordings.
        """
        raise NotImplementedError

    def losses(self, state: State, step: Step) -> Mapping[str, float]:
        """Return the finite figures to plot for a step."""
        return {"loss": step.loss}
