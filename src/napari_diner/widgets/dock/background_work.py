"""Work in a thread that always serves the latest request, e.g. an image that follows a slider."""

from __future__ import annotations

from collections.abc import Callable

from napari.qt.threading import FunctionWorker, create_worker
from qtpy.QtCore import QObject, Signal

from napari_diner.widgets.dock.failure import Failure, failure
from napari_diner.widgets.dock.interruption import Interrupted, Interruption
from napari_diner.widgets.work import Titled, load_torch, yielding

Work = Callable[[], object]


class LatestWork(QObject):
    """Runs jobs one after the other in a thread; of those requested in the meantime, only the last is run.

    Parameters
    ----------
    parent
        The widget that makes the requests.
    """

    done = Signal(object)
    """The return value of a job."""
    failed = Signal(object)
    """The `DinerError` that made a job fail."""
    idle = Signal()
    """No job is running or waiting."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._worker: _Worker | None = None
        self._next: Work | None = None
        self._closed = self._dropped = False

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._worker is not None

    @property
    def waits(self) -> bool:
        """Whether a later job waits for the one that is running."""
        return self._next is not None

    def request(self, work: Work) -> None:
        """Run a job as soon as the previous one has finished; it must not refer to widgets."""
        if self._closed:
            return
        if self.busy:
            self._next = work
        else:
            self._start(work)

    def drop(self) -> None:
        """End the job that is running, without its result, and forget the one that is waiting."""
        self._next = None
        if self._worker is not None:
            self._dropped = True
            self._worker.quit()

    def close(self) -> None:
        """Start no further jobs, and end the one that is running."""
        self._closed, self._next = True, None
        if self._worker is not None:
            self._worker.quit()

    def _start(self, work: Work) -> None:
        attempt = Titled("a computation for a dock", _attempt)
        worker = self._worker = create_worker(attempt, work, _worker_class=_Worker, _start_thread=False)
        worker.returned.connect(self._on_returned)
        worker.finished.connect(self._on_finished)
        worker.start()

    def _on_returned(self, outcome: object) -> None:
        if self._closed or self._dropped:
            return
        if isinstance(outcome, Failure):
            self.failed.emit(outcome.error)
        else:
            self.done.emit(outcome)

    def _on_finished(self) -> None:
        self._worker, self._dropped = None, False
        work, self._next = self._next, None
        if work is not None:
            self._start(work)
        else:
            self.idle.emit()


class _Worker(FunctionWorker):
    """A worker that ends at once when napari quits."""

    def __init__(self, function: Callable[..., object], work: Work) -> None:
        self._interruption = Interruption()
        super().__init__(function, work, self._interruption)

    def quit(self) -> None:
        """End the work at once."""
        super().quit()
        self._interruption.request()


def _attempt(work: Work, interruption: Interruption) -> object:
    try:
        with yielding(), interruption:
            # every job of a dock needs it
            load_torch()
            return work()
    except Interrupted:
        return None
    except Exception as error:
        return failure(error, "The computation")
