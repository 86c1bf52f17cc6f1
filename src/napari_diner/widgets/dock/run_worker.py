"""A run in a thread, controlled by the run panel."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from napari.qt.threading import GeneratorWorker, create_worker
from platformdirs import user_cache_path

from napari_diner.errors import NoResultError
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.result import Progress
from napari_diner.tasks.task import AnyTask, Frames
from napari_diner.widgets.dock.failure import failure
from napari_diner.widgets.dock.interruption import Interrupted, Interruption
from napari_diner.widgets.garbage import no_collection
from napari_diner.widgets.plots.loss_plot import Point
from napari_diner.widgets.work import Titled, load_torch, yielding

REPORT_INTERVAL_S = 0.1
"""Shortest time between two reports to the GUI; steps in between are collected."""
PREVIEW_INTERVAL_S = 0.25
"""Shortest time between two previews: drawing them takes processor time from the run."""
_STEP_S = 0.2
"""Time for a step to end by itself after Cancel, before it is broken off."""
_PICTURE_S = 10.0
"""Time without a picture after which settings are compared with the data nevertheless."""


class Drivable(Protocol):
    """Anything that runs step by step, such as a run of a task or a comparison."""

    @property
    def warnings(self) -> Sequence[str]:
        """Warnings before its first step."""

    @property
    def notes(self) -> Sequence[str]:
        """Notes before its first step."""

    compares_settings: bool
    """Whether the result names doubts that take seconds to find."""

    def __iter__(self) -> Iterator[Progress]:
        """Take the steps."""

    def result(self) -> object:
        """Return the best result so far."""


Begin = Callable[[], AbstractContextManager[Drivable]]
"""Prepares a run; called in the thread, so it may be slow. Leaving its context frees the memory."""


@dataclass(frozen=True)
class ProgressReport:
    """The progress of a run since the last report."""

    progress: Progress
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Doubts:
    """Warnings and notes about the recipe and the data of a run."""

    warnings: Sequence[str]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Doing:
    """What is being done that may take seconds, during which there is no progress."""

    words: str


COMPARING, CHECKING = Doing("Comparing the settings with the data…"), Doing("Checking the result…")
Report = ProgressReport | Doing | Doubts | None
"""What a run reports; None once it is paused."""


class Controls:
    """Requests of the GUI to a run. All methods are thread-safe."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._go.set()
        self._stop = threading.Event()
        self._abandoned = False
        self.discarded = False
        """Whether the run is asked to end without a result."""
        self.interruption = Interruption()
        self._comparison, self._step = Interruption(), Interruption()
        # set once the GUI has shown the last preview, so that a slow GUI does not fall behind
        self.preview_wanted = threading.Event()
        self.preview_wanted.set()

    @property
    def paused(self) -> bool:
        """Whether the run is asked to pause."""
        return not self._go.is_set()

    @property
    def stopped(self) -> bool:
        """Whether the run is asked to end."""
        return self._stop.is_set()

    @property
    def abandoned(self) -> bool:
        """Whether the result is not needed any more."""
        return self._abandoned

    def pause(self) -> None:
        """Pause the run until `resume`."""
        self._go.clear()

    def resume(self) -> None:
        """Go on."""
        self._go.set()

    def stop(self) -> None:
        """End the run with the best result so far, even if its present step takes long."""
        self._stop.set()
        self._comparison.request()
        self._go.set()
        later = threading.Timer(_STEP_S, self._break_off)
        later.daemon = True
        later.start()

    def _break_off(self) -> None:
        if not self.discarded:  # then it is broken off already
            self._step.request()

    def step_of(self, steps: Iterator[Progress]) -> Progress | None:
        """Return the next step; None if there is none, or if it was broken off because the run is stopped."""
        try:
            with self.interruption, self._step:
                return next(steps, None)
        except Interrupted:
            if self.discarded:
                raise
            return None

    def unless_stopped(self, work: Callable[[], Doubts]) -> Doubts | None:
        """Return what work returns, which need not be done if the run is stopped: then it ends at once, with None."""
        try:
            with self.interruption, self._comparison:
                return work()
        except Interrupted:
            if self.discarded:
                raise
            return None

    def discard(self) -> None:
        """End the run at once, without a result."""
        self.discarded = True
        self.stop()
        self.interruption.request()

    def abandon(self) -> None:
        """End the run at once, and show nothing of it any more."""
        self._abandoned = True
        self.discard()

    def wait(self) -> None:
        """Block the thread of the run while it is paused."""
        self._go.wait()


class RunWorker(GeneratorWorker):
    """Drives a run in napari's thread pool.

    `yielded` carries a `ProgressReport`, `Doing` and `Doubts` after the first, or None once the run is paused.
    `returned` always fires, with the run's result, a `Failure`, or None if the run was discarded or stopped before its
    first step. `quit` of superqt would skip `returned` and leave the generator suspended, so quitting sets
    the controls instead; napari calls it when its window closes, and then waits for the thread.
    """

    def __init__(self, function: Callable[..., object], begin: Begin, controls: Controls) -> None:
        super().__init__(function, begin, controls)
        self.controls = controls

    def quit(self) -> None:
        """End the run at once."""
        self.controls.abandon()


def drive(begin: Begin, controls: Controls) -> Generator[Report, None, object]:
    """Iterate a run, report its progress, and return its result, or a `Failure`."""
    with yielding():
        try:
            return (yield from _drive(begin, controls))
        except Interrupted:
            return None
        except Exception as error:
            return failure(error, "The run")


def _drive(begin: Begin, controls: Controls) -> Generator[Report, None, object]:
    points: list[Point] = []
    latest: Progress | None = None
    reported = 0.0
    finished = False
    with contextlib.ExitStack() as context:
        with no_collection(), controls.interruption:
            run = context.enter_context(begin())
        steps, doubts, is_pictured, began = iter(run), None, False, time.monotonic()
        while not controls.stopped:
            progress = controls.step_of(steps)
            if progress is None:
                finished = not controls.stopped
                break
            if progress.preview and not controls.preview_wanted.is_set():
                progress = replace(progress, preview=())
            latest = progress
            if progress.losses:
                points.append(Point(progress.elapsed_s, dict(progress.losses), progress.contender, progress.stage))
            if controls.paused or progress.preview or time.monotonic() - reported >= REPORT_INTERVAL_S:
                if progress.preview:
                    controls.preview_wanted.clear()
                yield ProgressReport(progress, tuple(points))
                points.clear()
                reported = time.monotonic()
            is_pictured = is_pictured or bool(progress.preview) or time.monotonic() - began > _PICTURE_S
            if doubts is None and is_pictured:
                # looked for after the first picture, as they may take seconds
                yield COMPARING
                doubts = controls.unless_stopped(lambda: Doubts(run.warnings, run.notes))
                if doubts is None:
                    run.compares_settings = False
                    break
                yield doubts
            if controls.paused:
                yield None
                controls.wait()
        if latest is not None and points:
            yield ProgressReport(latest, tuple(points))
        if controls.abandoned or not (latest or finished):
            return None
        if doubts is None and not finished:
            run.compares_settings = False
        elif doubts is None and latest is not None:
            # a short run without a picture
            yield COMPARING
            doubts = controls.unless_stopped(lambda: Doubts(run.warnings, run.notes))
            if doubts is None:
                run.compares_settings = False
            else:
                yield doubts
        yield CHECKING
        try:
            with controls.interruption:
                return run.result()
        except NoResultError:
            if controls.stopped:  # the panel says so
                return None
            raise


def make_worker(title: str, begin: Begin, controls: Controls) -> RunWorker:
    """Return a worker that napari lists by its title, so that napari warns before it closes during a run."""
    work = Titled(title, drive)
    worker: RunWorker = create_worker(work, begin, controls, _worker_class=RunWorker, _start_thread=False)
    return worker


def start(task: AnyTask, recipe: Recipe, frames: Frames) -> AbstractContextManager[Drivable]:
    """Start the run of a task, in its thread; after a crash of napari, the same run continues from its checkpoint."""
    from napari_diner.tasks.checkpoint import Checkpoint

    load_torch()
    folder = user_cache_path("napari-diner", appauthor=False) / "checkpoints"
    checkpoint = None
    with contextlib.suppress(OSError):  # nothing is lost before a crash
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = Checkpoint(folder)
    return task.start(recipe, frames, preview_interval_s=PREVIEW_INTERVAL_S, checkpoint=checkpoint)
