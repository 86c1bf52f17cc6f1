"""A picture that follows a slider: computed in a thread, and always for the latest request."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from napari.qt.threading import FunctionWorker, create_worker
from qtpy.QtCore import QObject, Signal

from napari_diner.errors import DinerError
from napari_diner.widgets.dock.run_worker import Failure

Work = Callable[[], Any]


class Latest(QObject):
    """Does one piece of work after the other in a thread; of those that are asked for meanwhile, only the last one.

    Parameters
    ----------
    parent
        The widget that asks; once it is gone, nothing is started any more.
    """

    done = Signal(object)
    """What a piece of work returned."""
    failed = Signal(str)
    """Why a piece of work could not be done, in a sentence."""

    idle = Signal()
    """Nothing is being done, and nothing is left to do."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._worker: FunctionWorker | None = None
        self._next: Work | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether something is being done."""
        return self._worker is not None

    def ask(self, work: Work) -> None:
        """Have a piece of work done, as soon as the one before it is; it must not refer to widgets."""
        if self._closed:
            return
        self._next = work
        if self._worker is None:
            self._start()

    def close(self) -> None:
        """Start nothing any more, and drop what is still being done."""
        self._closed, self._next = True, None

    def _start(self) -> None:
        work, self._next = self._next, None
        assert work is not None
        worker = self._worker = create_worker(functools.partial(_explained, work), _start_thread=False)
        worker.returned.connect(self._on_returned)
        worker.finished.connect(self._on_finished)
        worker.start()

    def _on_returned(self, outcome: Any) -> None:
        if self._closed:
            return
        if isinstance(outcome, Failure):
            self.failed.emit(outcome.message)
        else:
            self.done.emit(outcome)

    def _on_finished(self) -> None:
        self._worker = None
        if self._next is not None and not self._closed:
            self._start()
        else:
            self.idle.emit()


def _explained(work: Work) -> Any:
    """Do the work; return a `Failure` instead of raising, as superqt would swallow some errors."""
    try:
        return work()
    except DinerError as error:
        return Failure(str(error))
    except Exception as error:
        logging.getLogger(__name__).exception("The picture failed")
        return Failure(f"The picture failed ({type(error).__name__}: {error}); please report it")
