"""A run: the one engine that takes the stages of any task, one after the other."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from napari_diner import device as devices
from napari_diner.errors import DinerError, OutOfMemoryError
from napari_diner.io.arrays import NamedArray
from napari_diner.processors import Threads
from napari_diner.solvers.solver import Budget, Solver
from napari_diner.solvers.step import Step
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.report import provenance
from napari_diner.tasks.result import Progress, Result

if TYPE_CHECKING:
    import torch

_ESTIMATE_AFTER_S = 1.0

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

    def losses(self, state: State, step: Step) -> Mapping[str, float]:
        """Return the figures to plot for a step; those that are not finite are left out."""
        return {"loss": step.loss}


class Clock:
    """Counts the seconds between `start` and `stop`, over many such spans."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    def start(self) -> None:
        """Begin to count."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Stop counting; what was counted is kept."""
        self._total = self.seconds
        self._since = None

    @property
    def seconds(self) -> float:
        """Seconds counted so far."""
        return self._total + (time.perf_counter() - self._since if self._since is not None else 0.0)


class Run(Generic[State]):
    """A run that its owner drives: docks, command line, batch and tests all iterate this same object.

    Iterate it for `Progress`; to pause, do not ask for the next; to cancel, stop asking. `result` gives the best so
    far at any time. Leave its ``with`` block and the device memory is free.

    Parameters
    ----------
    job
        What to do.
    preview_interval_s
        Shortest time between two previews; no previews if None.

    Examples
    --------
    >>> with Run(job) as run:
    ...     for progress in run:
    ...         print(progress.iteration, progress.losses)
    ...     result = run.result()
    """

    def __init__(self, job: Job[State], preview_interval_s: float | None = None) -> None:
        self.job = job
        self.preview_interval_s = preview_interval_s
        self.clock = Clock()
        self.finished = False
        self.timed_out = False
        self.stages: list[StageRecord] = []
        self._threads = Threads()
        self._steps: Generator[Progress, None, None] | None = None
        self._state: State | None = None
        self._active: tuple[Stage[State], Solver[Any]] | None = None
        self._last_preview = -math.inf
        self._result: Result | None = None

    @property
    def warnings(self) -> Sequence[str]:
        """What is doubtful about recipe and data; known before the first step."""
        return self.job.warnings

    @property
    def notes(self) -> Sequence[str]:
        """What is worth knowing about the data; known before the first step."""
        return self.job.notes

    def _work(self) -> Generator[Progress, None, None]:
        self._state = state = self.job.begin()
        limit = self.job.recipe.max_seconds
        for stage in self.job.stages():
            budget = Budget(lambda: self.clock.seconds, None if limit is None else stage.share * limit)
            if budget.is_spent and not stage.essential:
                self.timed_out = True
                continue
            began = self.clock.seconds
            solver = stage.solver(state, budget)
            if solver is None:
                continue
            record = StageRecord(stage.name)
            self.stages.append(record)
            self._active = stage, solver
            for step in solver.steps():
                record.iterations, record.most_iterations, record.loss = step.iteration, step.iterations, step.loss
                record.seconds = self.clock.seconds - began
                yield self._progress(record, step, budget)
                if budget.is_spent and stage.may_end(solver):
                    self.timed_out = record.stopped_by_time_limit = True
                    break
            self._state = state = stage.absorb(state, solver.result())
            self._active = None
            record.seconds = self.clock.seconds - began

    def _progress(self, record: StageRecord, step: Step, budget: Budget) -> Progress:
        preview: tuple[NamedArray, ...] = ()
        if self.preview_interval_s is not None and time.monotonic() - self._last_preview >= self.preview_interval_s:
            preview = self.job.preview(self._present(fast=True))
            self._last_preview = time.monotonic()
        losses = {k: v for k, v in self.job.losses(self._state_so_far(), step).items() if math.isfinite(v)}
        remaining = remaining_s(step.done, record.seconds, budget.left_s)
        return Progress(record.name, step.iteration, step.iterations, losses, self.clock.seconds, remaining, preview)

    def _state_so_far(self) -> State:
        """Return the state that the stages that are done have left."""
        if self._state is None:
            raise DinerError("There is no result yet; let the run take a step first")
        return self._state

    def _present(self, *, fast: bool) -> State:
        """Return the state with what the solver at work has found."""
        state = self._state_so_far()
        if self._active is None:
            return state
        stage, solver = self._active
        if fast:
            return (stage.show or stage.absorb)(state, solver.current())
        return stage.absorb(state, solver.result())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Progress:
        if self._steps is None:
            self._steps = self._work()
        self._threads.share()
        self.clock.start()
        try:
            return next(self._steps)
        except StopIteration:
            self.finished = True
            raise
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        finally:
            self.clock.stop()
        # raised here, outside the handler, so that the traceback no longer holds the tensors that filled the memory
        self.close()
        raise OutOfMemoryError(
            "The device ran out of memory; crop the data, choose a solver that needs less, or set {field} to cpu",
            "device",
        )

    def result(self) -> Result:
        """Return the best result so far; it is marked partial until the run is finished.

        Raises
        ------
        DinerError
            If nothing has been computed yet.
        """
        if self._result is not None:
            return self._result
        job = self.job
        state = self._present(fast=False)
        record = RunRecord(self.stages, self.clock.seconds, self.finished, self.timed_out)
        outcome = job.outcome(state, record)
        check_finite([*outcome.arrays, *outcome.weights.items()], self.stages)
        last = self.stages[-1] if self.stages else StageRecord("")
        report: dict[str, object] = {
            "task": job.task,
            "partial": not self.finished,
            "stopped_by_time_limit": self.timed_out,
            "iterations": last.iterations,
            "seconds": self.clock.seconds,
            "stages": [vars(stage) for stage in self.stages],
            "loss": last.loss,
            **provenance(job.device, job.recipe.seed),
            "threads": sorted(self._threads.used),
            "input_sha256": job.checksum,
            **outcome.figures,
            "notes": list(job.notes),
            "warnings": list(dict.fromkeys([*outcome.warnings, *few_steps(self.stages), *job.warnings])),
        }
        result = Result(
            task=job.task,
            arrays=outcome.arrays,
            recipe=job.recipe.model_copy(update={"input_sha256": job.checksum}),
            report=report,
            weights=outcome.weights,
            header=outcome.header,
            partial=bool(report["partial"]),
        )
        if self.finished:
            self._result = result
        return result

    def close(self) -> None:
        """End the run and free its memory; only a result that was asked for after the end stays."""
        if self._steps is not None:
            self._steps.close()
        self._threads.restore()
        self._state = self._active = None
        devices.free_memory(self.job.device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


AnyRun = Run[Any]


def few_steps(stages: Sequence[StageRecord]) -> list[str]:
    """Return sentences on solvers that took no more than one step of many, and so have hardly changed their start."""
    sentences = []
    iterative = [stage for stage in stages if stage.most_iterations > 1]
    for stage in iterative:
        if stage.stopped_by_time_limit and stage.iterations <= 1:
            sentences.append(
                f"the time limit left a single iteration of {stage.most_iterations} to {stage.name}; allow more time"
            )
    if iterative and not sentences and all(stage.iterations <= 1 for stage in iterative):
        last = iterative[-1]
        sentences.append(
            f"{last.name} stopped after the first of {last.most_iterations} iterations, as no step improved on its "
            "start; check the units of lengths and the scale of the data"
        )
    if stages and stages[-1].iterations == 0:
        sentences.append(f"{stages[-1].name} took no step; the result is what it started from")
    return sentences


def check_finite(
    parts: Iterable[NamedArray | tuple[str, npt.NDArray[np.generic]]], stages: Sequence[StageRecord]
) -> None:
    """Check that images and parameters are numbers.

    Raises
    ------
    DinerError
        If some are not finite.
    """
    for part in parts:
        name, values = (part.name, part.data) if isinstance(part, NamedArray) else part
        bad = values.size - int(np.isfinite(values).sum())
        if bad:
            after = f" after the stage {stages[-1].name}" if stages else ""
            raise DinerError(
                f"{bad:,} of {values.size:,} values of {name} are not finite{after}: it diverged, as with too large a "
                "learning rate, or with gains, scales or data that are extreme; change those, nothing is saved"
            )


def remaining_s(done: float, spent_s: float, limit_s: float | None = None) -> float | None:
    """Estimate the seconds left when a fraction `done` of the work took `spent_s`, and at most `limit_s` are left.

    None at first: the first moments hold what is done only once, and an estimate from them would be far too long.
    """
    estimate = spent_s * (1 - done) / done if done > 0 and spent_s > _ESTIMATE_AFTER_S else None
    if limit_s is None:
        return estimate
    return limit_s if estimate is None else min(limit_s, estimate)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception of torch or Python means that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
