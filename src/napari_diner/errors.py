"""The errors that napari-diner raises on purpose.

Each message is one sentence that names the problem, the place and the cure, so that the dock can show it and the
command line can print it without a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_FIELD = re.compile(r"\{field(?::([\w.]+))?\}")


class DinerError(Exception):
    """Base of every error that napari-diner raises on purpose.

    Parameters
    ----------
    message
        One sentence: problem and cure. ``{field}`` stands for the setting that the error is about, and
        ``{field:other.key}`` for another one; each front door puts its own name for it there.
    field
        Key of the setting in the recipe, e.g. ``"gauss_newton.cg_steps"``; None if it is not about a setting.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field

    def describe(self, name_of: Callable[[str], str]) -> str:
        """Return the message with `name_of` applied to the keys of the settings that it mentions."""
        return _FIELD.sub(lambda match: name_of(match[1] or self.field or ""), self.message)

    def __str__(self) -> str:
        return self.describe(str)


class InputError(DinerError):
    """The data cannot be used: unreadable, empty, of the wrong shape, not finite."""


class RecipeError(DinerError):
    """The settings cannot be used: unknown, out of bounds, missing, or inconsistent with the data."""


class OutputError(DinerError):
    """The result cannot be written to the requested place."""


class OutOfMemoryError(DinerError):
    """The work does not fit the memory of the machine or of the device."""
