"""Errors in threads, passed on to the GUI."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from napari_diner.errors import DinerError, OutOfMemoryError
from napari_diner.tasks.run import is_out_of_memory


@dataclass(frozen=True)
class Failure:
    """The outcome of work in a thread that failed.

    It wraps the error, since superqt treats a returned exception as one of its own and swallows a raised
    `RuntimeError`.
    """

    error: DinerError


def failure(error: Exception, work: str) -> Failure:
    """Return an exception as an error of ours, without its traceback, whose frames would keep arrays alive.

    Parameters
    ----------
    error
        The exception.
    work
        Subject of the message about an unexpected error, e.g. ``"The run"``.
    """
    if isinstance(error, DinerError):
        error.__traceback__ = error.__context__ = error.__cause__ = None
        return Failure(error)
    if is_out_of_memory(error):
        return Failure(OutOfMemoryError("The memory is full; crop the stack or close other programs, then try again"))
    logging.getLogger(__name__).exception("%s failed", work)
    problem = f"{work} failed ({type(error).__name__}: {error})"
    return Failure(DinerError(f"{problem}; please report it with the output in the terminal"))
