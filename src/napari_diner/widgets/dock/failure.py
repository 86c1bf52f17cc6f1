"""Errors in threads, brought to the screen."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from napari_diner.errors import DinerError, OutOfMemoryError
from napari_diner.tasks.run import is_out_of_memory


@dataclass(frozen=True)
class Failure:
    """The outcome of work in a thread that could not be done.

    It wraps the error, since superqt takes a returned exception for one of its own, and swallows a `RuntimeError` that
    is raised.
    """

    error: DinerError


def failure(error: Exception, work: str) -> Failure:
    """Return what is left of an exception: an error of ours, without the arrays in the frames of its traceback.

    Parameters
    ----------
    error
        What was raised.
    work
        What failed, for an error that was not raised on purpose, e.g. ``"The run"``.
    """
    if isinstance(error, DinerError):
        error.__traceback__ = error.__context__ = error.__cause__ = None
        return Failure(error)
    if is_out_of_memory(error):
        return Failure(OutOfMemoryError("The memory is full; crop the stack or close other programs, then try again"))
    logging.getLogger(__name__).exception("%s failed", work)
    problem = f"{work} failed ({type(error).__name__}: {error})"
    return Failure(DinerError(f"{problem}; please report it with the output in the terminal"))
