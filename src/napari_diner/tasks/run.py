"""The engine that runs the stages of any task."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Generic, Self

from napari_diner import device as devices
from napari_diner.errors import DinerError, NoResultError, OutOfMemoryError
from napari_diner.io.arrays import NamedArray
from napari_diner.processors import Threads
from napari_diner.solvers.solver import Budget, Resumable, Solver
from napari_diner.solvers.step import Step
from napari_diner.tasks.attached import without_files
from napari_diner.tasks.checkpoint import Checkpoint, Saved, SavedStage
from napari_diner.tasks.job import Job, RunRecord, Stage, StageRecord, State
from napari_diner.tasks.report import provenance
from napari_diner.tasks.result import Progress, Result
from napari_diner.tasks.result_checks import check_finite, few_steps
from napari_diner.tasks.verdict import is_explained, verdict

_ESTIMATE_AFTER_S = 1.0


class Clock:
    """Stopwatch that adds up the seconds between `start` and `stop`."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    def start(self) -> None:
        """Start counting."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Stop counting; the reading is kept."""
        self._total = self.seconds
        self._since = None

    def set(self, seconds: float) -> None:
        """Set the clock to another reading."""
        self._total = seconds
        self._since = None if self._since is None else time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds counted so far."""
        return self._total + (time.perf_counter() - self._since if self._since is not None else 0.0)


class Run(Generic[State]):
    """A run, driven by its owner: docks, command line, batches and tests iterate the same object.

    Iterate it for `Progress`; to pause, delay the next step; to cancel, stop iterating. `result` gives the best so
    far at any time. Leaving its ``with`` block frees the device memory.

    Parameters
    ----------
    job
        The work.
    preview_interval_s
        Shortest time between two previews; no previews if None.
    checkpoint
        Checkpoint to write and to continue from; None for none.

    Examples
    --------
    >>> with Run(job) as run:
    ...     for progress in run:
    ...         print(progress.iteration, progress.losses)
    ...     result = run.result()
    """

    def __init__(
        self, job: Job[State], preview_interval_s: float | None = None, checkpoint: Checkpoint | None = None
    ) -> None:
        self.job = job
        self.checkpoint = checkpoint
        self.preview_interval_s = preview_interval_s
        self.clock = Clock()
        self.finished = False
        self.problem: DinerError | None = None
        """The error that ended the run early, while there was a result of earlier parts of the job already."""
        self.compares_settings = True
        """Whether the result names the suspicions of the job, which take seconds to find."""
        self.timed_out = False
        self.stages: list[StageRecord] = []
        self._threads = Threads()
        self._steps: Generator[Progress, None, None] | None = None
        self._state: State | None = None
        self._active: tuple[Stage[State], Solver[Any]] | None = None
        self._part = 0
        self._last_preview = -math.inf
        self._result: Result | None = None
        self._saved = Saved()
        self._kept = 0

    @property
    def warnings(self) -> Sequence[str]:
        """Warnings about recipe and data, available before the first step; they may take seconds to find."""
        return self.job.all_warnings

    @property
    def notes(self) -> Sequence[str]:
        """Notes about the data, available before the first step."""
        return [*self.job.notes, *([] if self.checkpoint is None else self.checkpoint.notes)]

    @property
    def memory(self) -> str:
        """The planned memory in words, e.g. ``"about 1.2 GB of 7.6 GB"``; empty if there is no plan."""
        return "" if self.job.memory is None else self.job.memory.describe(self.job.device)

    @property
    def result_bytes(self) -> float:
        """The planned bytes of the files of the result; 0 if there is no plan."""
        return 0.0 if self.job.memory is None else self.job.memory.result

    def _work(self) -> Generator[Progress, None, None]:
        self._state = state = self.job.begin()
        earlier = Saved() if self.checkpoint is None else self.checkpoint.load(self.job)
        self._saved.resumed_after_s = [*earlier.resumed_after_s, *([earlier.seconds] if earlier.stages else [])]
        self.timed_out = earlier.timed_out
        self._threads.used |= {*earlier.threads}
        last = max((stage.number for stage in earlier.stages), default=-1)
        limit = self.job.recipe.max_seconds
        stages = self.job.stages()
        for number, stage in enumerate(stages):
            before = earlier.stage(number)
            if before is None and number < last:
                continue  # it was left out
            if before is not None:
                self.clock.set(before.began_s)
            budget = Budget(lambda: self.clock.seconds, None if limit is None else stage.share * limit)
            if before is None and budget.is_spent and not stage.essential:
                self.timed_out = True
                continue
            began = self.clock.seconds
            self._part = stage.part
            solver = stage.solver(state, budget)
            if solver is None:
                self.timed_out = self.timed_out or budget.is_spent
                continue
            self._active = stage, solver
            present = SavedStage(number, began, began, StageRecord(stage.name))
            for progress in self._take(present, before, stage, solver, budget):
                yield replace(progress, part=number + 1, parts=len(stages))
            self._state = state = stage.absorb(state, solver.result())
            self._active = None

    def _take(
        self,
        present: SavedStage,
        before: SavedStage | None,
        stage: Stage[State],
        solver: Solver[Any],
        budget: Budget,
    ) -> Generator[Progress, None, None]:
        """Run a stage, continuing from a checkpoint if there is one."""
        if before is not None and before.state is not None and isinstance(solver, Resumable):
            present = before
            solver.restore(before.state)
            self.clock.set(before.seconds)
            present.state = None
        record = present.record
        self.stages.append(record)
        self._saved.stages.append(present)
        # without a state of its solver, a finished stage takes the same steps again
        again = before.steps if before is not None and before.ended and present is not before else None
        for step in solver.steps() if not present.ended and again != 0 else ():
            present.steps += 1
            record.iterations, record.most_iterations, record.loss = step.iteration, step.iterations, step.loss
            record.seconds = self.clock.seconds - present.began_s
            self._keep(present, step, solver)
            yield self._progress(record, step, budget)
            if again is not None:
                if present.steps == again:
                    break
            elif budget.is_spent and stage.may_end(solver):
                self.timed_out = record.stopped_by_time_limit = True
                break
        if before is not None and before.ended:
            self.clock.set(before.seconds)
            vars(record).update(vars(before.record))
        present.seconds, present.ended = self.clock.seconds, True
        record.seconds = present.seconds - present.began_s
        present.state = None
        if self.checkpoint is not None and isinstance(solver, Resumable) and solver.answer:
            present.state = solver.state(ended=True)

    def _keep(self, present: SavedStage, step: Step, solver: Solver[Any]) -> None:
        """Write a checkpoint if it is due and there is progress since the last one."""
        if self.checkpoint is None or not self.checkpoint.is_due:
            return
        is_resumable = step.resumable and isinstance(solver, Resumable)
        stages = self._saved.stages if is_resumable else self._saved.stages[:-1]
        if not is_resumable and len(stages) <= self._kept:
            return
        present.seconds = self.clock.seconds
        present.state = solver.state() if step.resumable and isinstance(solver, Resumable) else None
        self.checkpoint.write(
            replace(self._saved, stages=stages, timed_out=self.timed_out, threads=sorted(self._threads.used))
        )
        self._kept = sum(stage.ended for stage in stages)
        present.state = None

    def _progress(self, record: StageRecord, step: Step, budget: Budget) -> Progress:
        preview: tuple[NamedArray, ...] = ()
        if self.preview_interval_s is not None and time.monotonic() - self._last_preview >= self.preview_interval_s:
            preview = self.job.preview(self._present(fast=True))
            self._last_preview = time.monotonic()
        losses = {k: v for k, v in self.job.losses(self._state_so_far(), step).items() if math.isfinite(v)}
        remaining = remaining_s(step.done, record.seconds, budget.left_s)
        return Progress(
            record.name,
            step.iteration,
            step.iterations,
            losses,
            self.clock.seconds,
            remaining,
            preview,
            done=step.done,
        )

    def _state_so_far(self) -> State:
        """Return the state after the finished stages."""
        if self._state is None:
            raise NoResultError("There is no result yet; let the run take a step first")
        return self._state

    def _present(self, *, fast: bool) -> State:
        """Return the state with the result of the running solver."""
        state = self._state_so_far()
        if self._active is None:
            return state
        stage, solver = self._active
        if fast:
            return (stage.show or stage.absorb)(state, solver.current())
        return stage.ended_early(state, solver)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Progress:
        if self._steps is None:
            self._steps = self._work()
            if self.checkpoint is not None:
                self.checkpoint.start()
        self._threads.share()
        self.clock.start()
        try:
            return next(self._steps)
        except StopIteration:
            self.finished = self.problem is None
            raise
        except DinerError as error:
            if self._part == 0:
                raise
            self.problem = error
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        finally:
            self.clock.stop()
        # outside the handlers, so that no traceback holds the tensors that filled the memory
        if self.problem is None:
            is_card = self.job.device.type != "cpu"
            place, further = ("device", ", or set {field} to cpu") if is_card else ("machine", "")
            problem = OutOfMemoryError(
                f"The {place} ran out of memory; crop the data, or choose a solver that needs less{further}",
                "device" if is_card else None,
            )
            if self._part == 0:
                self.close()
                raise problem
            self.problem, self._active = problem, None
            devices.free_memory(self.job.device)
        self.problem.__traceback__ = None
        raise StopIteration

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
        suspicions = job.suspicions if self.compares_settings else ()
        record = RunRecord(self.stages, self.clock.seconds, self.finished, self.timed_out, bool(suspicions))
        outcome = job.outcome(state, record)
        check_finite([*outcome.arrays, *outcome.weights.items()], self.stages)
        problem = self.problem or outcome.problem
        of_steps = few_steps(
            self.stages, outcome.is_coarse, explained=is_explained(outcome.figures), finished=self.finished
        )
        about_result = [*([] if problem is None else [str(problem)]), *outcome.warnings, *of_steps]
        if outcome.refutes_suspicions:
            suspicions = ()
        last = self.stages[-1] if self.stages else StageRecord("")
        report: dict[str, object] = {
            "task": job.task,
            "partial": not self.finished or problem is not None,
            "stopped_by_time_limit": self.timed_out,
            "iterations": last.iterations,
            "seconds": self.clock.seconds,
            "stages": [vars(stage) for stage in self.stages],
            "loss": last.loss,
            "planned_memory_mb": None if job.memory is None else job.memory.total(job.device) / 1e6,
            **provenance(job.device, job.recipe.seed),
            "threads": sorted(self._threads.used),
            "input_sha256": job.checksum,
            **({"resumed_after_s": self._saved.resumed_after_s} if self._saved.resumed_after_s else {}),
            **outcome.figures,
            "notes": list(self.notes),
            # what is left, then its cause, before all that may follow from it
            "warnings": list(
                dict.fromkeys([*about_result[:1], *suspicions, *about_result[1:], *outcome.remarks, *job.warnings])
            ),
            "checks": [line._asdict() for line in job.findings()],
        }
        if "unexplained" in report:
            report["verdict"] = verdict(
                report,
                job.signal,
                len(about_result),
                job.findings(),
                of_steps=len(of_steps),
                is_suspected=bool(suspicions),
                measures_light=job.measures_light,
            )
        result = Result(
            task=job.task,
            arrays=outcome.arrays,
            recipe=job.recipe.model_copy(update={"input_sha256": job.checksum}),
            report=report,
            weights=outcome.weights,
            header=outcome.header,
            partial=bool(report["partial"]),
            problem=problem,
            images=without_files(job.recipe, job.images),
        )
        if self.finished:
            self._result = result
        return result

    def close(self) -> None:
        """End the run and free its memory; only a result requested after the last step stays available."""
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
        # kept if the run was interrupted, or if its result could not be used
        if self.checkpoint is not None and kind is None and (self._result is not None or self.checkpoint.is_private):
            self.checkpoint.remove()


AnyRun = Run[Any]


def remaining_s(done: float, spent_s: float, limit_s: float | None = None) -> float | None:
    """Estimate the seconds left when a fraction `done` of the work took `spent_s`, and at most `limit_s` are left.

    None at first: the first moments include one-time work, and an estimate from them would be far too long.
    """
    estimate = spent_s * (1 - done) / done if done > 0 and spent_s > _ESTIMATE_AFTER_S else None
    if limit_s is None:
        return estimate
    return limit_s if estimate is None else min(limit_s, estimate)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception of torch or Python means that there is not enough memory."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
