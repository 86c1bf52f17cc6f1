"""The errors that napari-diner raises on purpose.

Each message is one sentence that names the problem, the place and the cure, so that the dock can show it and the
command line can print it without a traceback.
"""

from __future__ import annotations

import contextlib
import re
import reprlib
from collections.abc import Callable, Iterator
from typing import Any

TRACEBACK = "NAPARI_DINER_TRACEBACK"
"""Environment variable that makes unexpected errors print their traceback."""
_LONGEST = 80
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
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
        self.message = _CONTROL.sub(" ", message)
        self.field = field

    def describe(self, name_of: Callable[[str], str]) -> str:
        """Return the message with `name_of` applied to the keys of the settings that it mentions."""
        return _FIELD.sub(lambda match: name_of(match[1] or self.field or ""), self.message)

    def __str__(self) -> str:
        return self.describe(str)


class NoResultError(DinerError):
    """A result is wanted before there is one."""


class InputError(DinerError):
    """The data cannot be used: unreadable, empty, of the wrong shape, not finite."""


class RecipeError(DinerError):
    """The settings cannot be used: unknown, out of bounds, missing, or inconsistent with the data."""


class OutputError(DinerError):
    """The result cannot be written to the requested place."""


class OutOfMemoryError(DinerError):
    """The work does not fit the memory of the machine or of the device."""


@contextlib.contextmanager
def about(field: str | None) -> Iterator[None]:
    """Make a setting the subject of errors in the block that are about none, such as those of a file that it names."""
    try:
        yield
    except DinerError as error:
        error.field = error.field or field
        raise


def quoted(value: object) -> str:
    """Return what a user wrote, shortened to fit a line of a message, without control characters.

    Texts are quoted; other values are only converted as far as they fit the line, those of NumPy to plain numbers and
    lists.
    """
    text = f"'{value[: 4 * _LONGEST]}'" if isinstance(value, str) else _bounded.repr(value)
    return one_line(text)


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Return the first `longest` characters of a text as one line, without control characters."""
    line = _CONTROL.sub(" ", text)
    return line if len(line) <= longest else line[: longest - 2] + "…" + line[-1]


class _Bounded(reprlib.Repr):
    """Format values without converting more than fits a line."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxstring, self.maxlong, self.maxother = 3, 3, 60, 40, 60

    def repr1(self, x: Any, level: int) -> str:
        """Return any value; those of NumPy as the plain numbers and lists that they stand for."""
        if type(x).__module__ == "numpy" and hasattr(x, "tolist"):
            # one entry more than is shown of a list, so that its end is seen to be left out
            x = x[(slice(self.maxlist + 1),) * x.ndim].tolist() if x.ndim else x.tolist()
        return super().repr1(x, level)

    def repr_int(self, x: int, level: int) -> str:
        """Return the number, or its sign and size if Python would refuse to write it."""
        return (
            super().repr_int(x, level)
            if x.bit_length() < 10_000
            else f"{'-' * (x < 0)}(a number of 3000 digits or more)"
        )


_bounded = _Bounded()
