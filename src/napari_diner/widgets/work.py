"""Work in threads: loading torch, titled work, and work that blocks the window."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, TypeVar

from napari.qt.threading import create_worker
from napari.utils import progress as activity
from qtpy.QtCore import QEventLoop, QThread
from qtpy.QtWidgets import QApplication

from napari_diner.widgets.garbage import no_collection

AnswerT = TypeVar("AnswerT")

LIBRARIES = ("libtorch_cpu.so", "libtorch_python.so", "libtorch_cpu.dylib", "libtorch_python.dylib")
"""The largest libraries of torch on Linux and macOS; on Windows, torch loads them without the interpreter's lock."""

SWITCH_S = 0.0005
"""Time for which a thread at work keeps the interpreter's lock from the GUI."""

_at_work: list[float] = []
_at_work_lock = threading.Lock()


class Titled(functools.partial[AnswerT]):
    """A function with its arguments and a title; napari shows ``str(function)`` when the user quits while it works."""

    title: str

    def __new__(cls, title: str, function: Callable[..., AnswerT], *arguments: object) -> Self:
        """Give a function a title for the user, e.g. ``"IDT refractive index"``."""
        titled = super().__new__(cls, function, *arguments)
        titled.title = title
        return titled

    def __str__(self) -> str:
        return self.title


@contextlib.contextmanager
def yielding() -> Iterator[None]:
    """Let this thread work without holding up the GUI.

    Drawing a window calls Python dozens of times, and each call waits for the interpreter's lock for as long as
    `sys.getswitchinterval` says, 5 ms by default: together a tenth of a second, in which the window stands still.
    """
    with _at_work_lock:
        _at_work.append(sys.getswitchinterval())
        sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        with _at_work_lock:
            before = _at_work.pop()
            if not _at_work:
                sys.setswitchinterval(before)


def load_torch() -> None:
    """Import torch in a worker thread, and leave one processor to the GUI.

    The import of its largest libraries takes half a second, during which it holds the interpreter's lock and blocks the
    GUI; so the system loads them first, which needs no lock. Threads of torch that wait for a busy processor
    lose more time than the additional thread would save.
    """
    spec = importlib.util.find_spec("torch")
    if "torch" not in sys.modules and os.name == "posix" and spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "lib"
        for library in (folder / name for name in LIBRARIES):
            if library.exists():
                ctypes.CDLL(None).dlopen(os.fsencode(library), os.RTLD_NOW)
    with no_collection():
        import torch

    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))


def load_for_layers() -> None:
    """Load, in a worker thread, what napari loads for the first layer: units, thumbnails, xarray if it is installed."""
    importlib.import_module("pint").get_application_registry().Unit("um")
    importlib.import_module("scipy.ndimage")
    if importlib.util.find_spec("xarray") is not None:
        importlib.import_module("xarray")


def breathe() -> None:
    """Let the window draw itself between two parts of a change that takes long."""
    if QApplication.instance() is not None:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)


def wait_for(title: str, work: Callable[[], AnswerT]) -> AnswerT:
    """Return the result of work in a thread; meanwhile, the window stays responsive but shows that it is busy.

    The user cannot do anything else meanwhile. Without a GUI, or outside its thread, the work is
    done directly.

    Parameters
    ----------
    title
        What is being done, for napari's list of activities.
    work
        The work; it must not touch widgets or layers.

    Raises
    ------
    Exception
        The exception raised by the work.
    """
    application = QApplication.instance()
    if application is None or application.thread() is not QThread.currentThread():
        return work()
    answers: list[AnswerT] = []
    errors: list[Exception] = []
    worker = create_worker(Titled(title, _attempt, work, answers, errors), _start_thread=False)
    loop = QEventLoop()
    worker.finished.connect(loop.quit)
    # before the thread starts: the first one loads a plugin of Qt, which waits for libraries that the thread loads
    with activity(total=0, desc=title, file=io.StringIO()):
        worker.start()
        loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
    if errors:
        raise errors[0]
    return answers[0]


def _attempt(work: Callable[[], AnswerT], answers: list[AnswerT], errors: list[Exception]) -> None:
    with yielding():
        try:
            answers.append(work())
        except Exception as error:
            # superqt would swallow some kinds of them
            errors.append(error)
