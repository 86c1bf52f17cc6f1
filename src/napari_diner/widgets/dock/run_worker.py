"""A run in a thread: what the run panel starts, pauses and ends."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from napari.qt.threading import GeneratorWorker, create_worker

from napari_diner.errors import DinerError
from napari_diner.tasks.run import Progress, is_out_of_memory
from napari_diner.widgets.plots.loss_plot import Point

REPORT_INTERVAL_S = 0.1
"""Shortest time between two reports to the screen; steps in between are gathered."""
PREVIEW_INTERVAL_S = 0.25
"""Shortest time between two previews: drawing them costs the run its processor."""


class Run(Protocol):
    """What can be driven: a `Reconstruction`, or a comparison of several."""

    def __iter__(self) -> Iterator[Progress]:
        """Take the steps."""

    def result(self) -> Any:
        """Return what was found so far."""


Begin = Callable[[], AbstractContextManager[Run]]
"""Prepares a run; called in the thread, so it may take its time. Leaving its context frees the memory."""


@dataclass(frozen=True)
class Report:
    """What happened since the last report."""

    progress: Progress
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Failure:
    """Why a run ended without a result, in a sentence. No exception: superqt would take it for one of its own."""

    message: str


class Controls:
    """What the screen asks of a run. Every method may be called at any time and from any thread."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._go.set()
        self._stop = threading.Event()
        self._abandoned = False
        # set while the screen has dealt with the last preview; a slow screen is not sent more than it can show
        self.preview_wanted = threading.Event()
        self.preview_wanted.set()

    @property
    def paused(self) -> bool:
        """Whether the run is to take no further step for now."""
        return not self._go.is_set()

    @property
    def stopped(self) -> bool:
        """Whether the run is to take no further step at all."""
        return self._stop.is_set()

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the result any more."""
        return self._abandoned

    def pause(self) -> None:
        """Take no further step until `resume`."""
        self._go.clear()

    def resume(self) -> None:
        """Go on."""
        self._go.set()

    def stop(self) -> None:
        """End the run and hand over the best so far."""
        self._stop.set()
        self._go.set()

    def abandon(self) -> None:
        """End the run; the result is of no interest."""
        self._abandoned = True
        self.stop()

    def wait(self) -> None:
        """Block the thread of the run while it is paused."""
        self._go.wait()


class RunWorker(GeneratorWorker):
    """Drives a run in napari's thread pool.

    `yielded` gives a `Report`, or None once the run stands still because it was paused. `returned` always fires, and
    gives the run's result, a `Failure`, or None if the run was abandoned or stopped before its first step. The way of
    superqt to quit would skip `returned` and leave the generator hanging, so quitting sets the controls instead; this
    is also what napari calls when its window closes.
    """

    def __init__(self, func: Callable[..., Any], begin: Begin, controls: Controls) -> None:
        super().__init__(func, begin, controls)
        self.controls = controls

    def quit(self) -> None:
        """End the run and hand over the best so far."""
        self.controls.stop()


def drive(begin: Begin, controls: Controls) -> Generator[Report | None, None, Any]:
    """Iterate a run, report on it, and return what it found, or a `Failure`."""
    try:
        return (yield from _drive(begin, controls))
    except DinerError as error:
        message = str(error)
    except Exception as error:  # a RuntimeError that left here would be swallowed by superqt
        if is_out_of_memory(error):
            message = "The memory is full; crop the stack or close other programs, then run again"
        else:
            logging.getLogger(__name__).exception("The run failed")
            message = f"The run failed ({type(error).__name__}: {error}); the terminal shows where, please report it"
    # made outside the handler, so that the traceback and the arrays in its frames are gone by now
    return Failure(message)


def _drive(begin: Begin, controls: Controls) -> Generator[Report | None, None, Any]:
    points: list[Point] = []
    latest: Progress | None = None
    reported = 0.0
    finished = False
    with begin() as run:
        steps = iter(run)
        while not controls.stopped:
            progress = next(steps, None)
            if progress is None:
                finished = True
                break
            if progress.preview and not controls.preview_wanted.is_set():
                progress = replace(progress, preview=())
            latest = progress
            if progress.losses:
                points.append(Point(progress.elapsed_s, dict(progress.losses), progress.contender))
            if controls.paused or progress.preview or time.monotonic() - reported >= REPORT_INTERVAL_S:
                if progress.preview:
                    controls.preview_wanted.clear()
                yield Report(progress, tuple(points))
                points.clear()
                reported = time.monotonic()
            if controls.paused:
                yield None
                controls.wait()
        if latest is not None and points:
            yield Report(latest, tuple(points))
        if controls.abandoned or not (latest or finished):
            return None
        return run.result()


def make_worker(begin: Begin, controls: Controls) -> RunWorker:
    """Return a worker that napari knows of, so that it warns before it closes in the middle of a run."""
    worker = create_worker(drive, begin, controls, _worker_class=RunWorker, _start_thread=False)
    assert isinstance(worker, RunWorker)
    return worker


def spare_a_processor() -> None:
    """Leave one processor to the screen: torch's threads that wait for a busy one lose far more than it would give."""
    import torch

    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))
