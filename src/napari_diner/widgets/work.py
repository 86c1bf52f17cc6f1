"""Work in threads: loading torch, titled work, and work that blocks the window."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from napari.qt.threading import create_worker
from qtpy.QtCore import QEventLoop, QThread
from qtpy.QtWidgets import QApplication

AnswerT = TypeVar("AnswerT")

LIBRARIES = ("libtorch_cpu.so", "libtorch_cpu.dylib")
"""The largest library of torch on Linux and macOS; on Windows, torch loads it itself without the interpreter's lock."""


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


def load_torch() -> None:
    """Import torch in a worker thread, and leave one processor to the GUI.

    The import of its largest library takes half a second, during which it holds the interpreter's lock and blocks the
    GUI; so the system loads the library first, which needs no lock. Threads of torch that wait for a busy processor
    lose more time than the additional thread would save.
    """
    spec = importlib.util.find_spec("torch")
    if "torch" not in sys.modules and os.name == "posix" and spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "lib"
        for library in (folder / name for name in LIBRARIES):
            if library.exists():
                ctypes.CDLL(None).dlopen(os.fsencode(library), os.RTLD_NOW)
    import torch

    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))


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
    worker = create_worker(
        Titled(title, _attempt, work, answers, errors),
        _start_thread=False,
        _progress={"desc": title},
    )
    loop = QEventLoop()
    worker.finished.connect(loop.quit)
    worker.start()
    loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
    if errors:
        raise errors[0]
    return answers[0]


def _attempt(work: Callable[[], AnswerT], answers: list[AnswerT], errors: list[Exception]) -> None:
    try:
        answers.append(work())
    except Exception as error:
        # superqt would swallow some kinds of them
        errors.append(error)
