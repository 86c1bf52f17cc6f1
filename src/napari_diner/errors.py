"""What can go wrong, said in one sentence.

Every message names the problem, the place and the cure, so that the dock can show it and the command line can
print it without a traceback.
"""

from __future__ import annotations


class DinerError(Exception):
    """Base of every error that napari-diner raises on purpose."""


class InputError(DinerError):
    """The data given cannot be used: unreadable, empty, of the wrong shape, not finite."""


class RecipeError(DinerError):
    """The settings given cannot be used: unknown, out of bounds, missing, or at odds with the data."""


class OutputError(DinerError):
    """The result cannot be written where it was asked to go."""


class OutOfMemoryError(DinerError):
    """The work does not fit the memory of the machine or of the device."""
