"""Ending work in a thread at once, as Ctrl-C does on the command line."""

from __future__ import annotations

import ctypes
import sys
import threading
from types import TracebackType
from typing import Self

_AGAIN_S = 0.02


class Interrupted(BaseException):
    """Raised in a thread whose work was ended; not an `Exception`, so that no handler of errors keeps it."""


class Interruption:
    """A request to end work in another thread, between two instructions of Python.

    The thread does its work in blocks ``with interruption:``, and leaves them with `Interrupted`. Code outside the
    blocks, such as that of superqt, which would not survive the exception, is never interrupted. A single operation of
    torch, and the import of a module, is completed first: half a module would stay in the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._requested = False

    def request(self) -> None:
        """End the work, also that in later blocks. Thread-safe."""
        with self._lock:
            is_first, self._requested = not self._requested, True
        if is_first:
            self._end()

    def _end(self) -> None:
        with self._lock:
            if self._thread is None:
                return
            if not _is_importing(self._thread):
                _set_exception(self._thread, Interrupted)
                return
        later = threading.Timer(_AGAIN_S, self._end)
        later.daemon = True
        later.start()

    def __enter__(self) -> Self:
        with self._lock:
            if self._requested:
                raise Interrupted
            self._thread = threading.get_ident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._requested:
                # it may not have been raised yet
                _set_exception(threading.get_ident(), None)
            self._thread = None


def _is_importing(thread: int) -> bool:
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _set_exception(thread: int, kind: type[BaseException] | None) -> None:
    exception = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
