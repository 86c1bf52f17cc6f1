"""The commands together, and what they say when something is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from napari_diner import __version__
from napari_diner.cli.demo import demo
from napari_diner.cli.fit import compare_fit, fit
from napari_diner.cli.focus import focus
from napari_diner.cli.idt import compare_idt, idt
from napari_diner.cli.info import info
from napari_diner.cli.lensless import compare_lensless, lensless
from napari_diner.cli.render import render
from napari_diner.cli.run import run
from napari_diner.cli.simulate import simulate_idt, simulate_image, simulate_lensless, simulate_video, simulate_volume
from napari_diner.errors import DinerError

BAD_INPUT = 2
FAULT = 1
TRACEBACK = "NAPARI_DINER_TRACEBACK"
"""Environment variable that has unexpected errors shown in full."""


def build_app() -> App:
    """Return the application."""
    app = App(
        name="napari-diner",
        help="Images, phase and refractive index by implicit neural representations.",
        version=__version__,
        help_flags=("--help", "-h"),
        suppress_keyboard_interrupt=False,
    )
    for command in (demo, lensless, focus, idt, fit, render, run, info):
        app.command(command)
    simulate = App(name="simulate", help="Make sample data.")
    simulate.command(simulate_lensless, name="lensless")
    simulate.command(simulate_idt, name="idt")
    simulate.command(simulate_image, name="image")
    simulate.command(simulate_video, name="video")
    simulate.command(simulate_volume, name="volume")
    app.command(simulate)
    compare = App(name="compare", help="Compare ways to do the same work on the same data for the same time.")
    compare.command(compare_lensless, name="lensless")
    compare.command(compare_idt, name="idt")
    compare.command(compare_fit, name="fit")
    app.command(compare)
    return app


def execute(arguments: Sequence[str]) -> int:
    """Run a command; return the exit code: 0 done, 1 a fault of ours, 2 bad input, 130 interrupted.

    Raises
    ------
    KeyboardInterrupt
        If the command was interrupted and left nothing behind.
    """
    try:
        code = build_app()(
            list(arguments), exit_on_error=False, print_error=False, verbose=False, result_action="return_value"
        )
        sys.stdout.flush()
    except CycloptsError as error:
        return _complain(_usage(error))
    except DinerError as error:
        return _complain(str(error))
    except MemoryError:
        return _complain("The memory of this machine is full; crop or bin the frames, or use a larger machine")
    except BrokenPipeError:
        # the reader of our output, such as `head`, has gone; nothing more can be said to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        _complain(f"an error that should not happen, {type(error).__name__}: {error}; set {TRACEBACK}=1 and report it")
        return FAULT
    return code if isinstance(code, int) else 0


def _usage(error: CycloptsError) -> str:
    """Return what cyclopts found wrong with the arguments, and where help is to be had."""
    command = " ".join(["napari-diner", *(error.command_chain or ())])
    return f"{str(error).strip()} See {command} --help"


def _complain(message: str) -> int:
    """Say in one line what is wrong."""
    print("napari-diner: " + " ".join(message.split()), file=sys.stderr)
    return BAD_INPUT
