"""The application: all commands, exit codes and error messages."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App
from cyclopts.exceptions import CycloptsError, UnusedCliTokensError

from napari_diner import __version__
from napari_diner.cli import is_interruption
from napari_diner.cli.batch import batch, watch
from napari_diner.cli.commands import check_command, compare_command, run_command, simulate_command, task_command
from napari_diner.cli.demo import demo
from napari_diner.cli.info import info
from napari_diner.cli.measure import measure
from napari_diner.cli.options import option_name
from napari_diner.cli.render import render
from napari_diner.cli.terminal import unprintable
from napari_diner.errors import TRACEBACK, DinerError, one_line, quoted
from napari_diner.tasks.registry import samples, tasks

BAD_INPUT = 2
FAULT = 1
_LONGEST = 1000
_UNPRINTABLE = (errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)
"""Errors of standard output, which unlike those of files have no file name."""


def build_app() -> App:
    """Return the application with a command for each task, sample and comparison."""
    app = App(
        name="napari-diner",
        help="Images, phase and refractive index by implicit neural representations.",
        version=__version__,
        help_flags=("--help", "-h"),
        suppress_keyboard_interrupt=False,
    )
    app.command(demo)
    compare = App(name="compare", help="Compare solvers or representations on the same data, each for the same time.")
    for name, task in tasks().items():
        app.command(task_command(task), name=name)
        for check in task.checks:
            app.command(check_command(task, check), name=check.name)
        if task.contenders:
            compare.command(compare_command(task), name=name)
    simulate = App(name="simulate", help="Simulate sample data.")
    for name, (_, sample) in samples().items():
        simulate.command(simulate_command(sample), name=name)
    for command in (render, measure, run_command(), batch, watch, info, simulate, compare):
        app.command(command)
    return app


def execute(arguments: Sequence[str]) -> int:
    """Run a command; return the exit code: 0 success, 1 unexpected error, 2 bad input, 130 interrupted.

    Raises
    ------
    KeyboardInterrupt
        If the command was interrupted and left nothing behind.
    """
    try:
        code = build_app()(
            list(arguments), exit_on_error=False, print_error=False, verbose=False, result_action="return_value"
        )
        if callable(code):  # the arguments have been parsed; the work follows
            code = code()
        sys.stdout.flush()
    except CycloptsError as error:
        return _complain(_usage(error, arguments))
    except DinerError as error:
        _drop_printed()
        return _complain(error.describe(option_name))
    except MemoryError:
        return _complain("The memory of this machine is full; crop or bin the frames, or use a larger machine")
    except Exception as error:
        if is_interruption(error):
            raise KeyboardInterrupt from error
        if isinstance(error, FileNotFoundError) and not _is_somewhere():
            return _complain("The working folder does not exist any more; change to another one")
        if isinstance(error, OSError) and error.filename is None and error.errno in _UNPRINTABLE:
            _drop_printed()
            # no message if the reader of the output, such as `head`, has exited
            return FAULT if isinstance(error, BrokenPipeError) else _complain(f"{unprintable(error)}; add --quiet")
        if os.environ.get(TRACEBACK):
            raise
        if isinstance(error, OSError) and error.filename is not None:
            # a folder that may not be entered, a name that is too long, a file that has gone, ...
            return _complain(f"{quoted(str(error.filename))} cannot be used ({error.strerror}); check the path")
        _complain(f"unexpected error, {type(error).__name__}: {error}; set {TRACEBACK}=1 for details and report it")
        return FAULT
    return code if isinstance(code, int) else 0


def _is_somewhere() -> bool:
    """Return whether the working directory exists."""
    try:
        return Path.cwd().is_dir()
    except FileNotFoundError:
        return False


def _drop_printed() -> None:
    """Discard buffered output that cannot be written, so that Python does not try again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: CycloptsError, arguments: Sequence[str]) -> str:
    """Return cyclopts' message about wrong arguments, with a hint on how to get help."""
    command = " ".join(["napari-diner", *(error.command_chain or ())])
    if isinstance(error, UnusedCliTokensError):
        words = quoted(" ".join(error.unused_tokens or ()))
        return (
            f"Unexpected arguments: {words}; quote a pattern of files, such as 'frames/*.tif', or see {command} --help"
        )
    message = str(error).strip()
    for argument in arguments:
        for text in (argument, argument.partition("=")[2]):
            if len(text) > len(quoted(text)):
                message = message.replace(text, quoted(text)[1:-1])
    return f"{message} See {command} --help"


def _complain(message: str) -> int:
    """Print an error in one line; return the exit code."""
    print(one_line(f"napari-diner: {' '.join(message[: 2 * _LONGEST].split())}", _LONGEST), file=sys.stderr)
    return BAD_INPUT
