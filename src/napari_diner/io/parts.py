"""Selection of one of several arrays in a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import DType
from napari_diner.io.places import expanded

SEPARATOR = "::"
"""Separator between the name of a file and that of an array in it: ``recording.h5::raw/frames``."""
_MOST_LISTED = 8
_SHORTEST_SIDE = 8


@dataclass(frozen=True)
class Part:
    """An array in a file."""

    name: str
    """Name in the file."""
    shape: tuple[int, ...]
    """Size along each axis, in the order of the program that wrote it."""
    dtype: DType
    """Type of the values."""

    @property
    def is_image(self) -> bool:
        """Whether it can be an image or a stack of images: real numbers with at least two long axes."""
        return self.dtype.kind in "buif" and sum(size >= _SHORTEST_SIDE for size in self.shape) >= 2

    def __str__(self) -> str:
        return f"{quoted(self.name)} ({'×'.join(map(str, self.shape))} {self.dtype})"


def split_part(source: str) -> tuple[str, str]:
    """Return the name of a file and that of the array in it, empty if none is named or a file has the whole name."""
    name, separator, part = source.rpartition(SEPARATOR)
    if not separator or not name or os.path.lexists(expanded(source)):
        return source, ""
    return name, part.strip("/")


def chosen(path: Path, parts: Sequence[Part], name: str, preferred: Sequence[str] = ()) -> Part:
    """Return the named array, or the only one that can be an image.

    Parameters
    ----------
    path
        The file, for messages.
    parts
        The arrays in it.
    name
        Name given by the user; may be empty.
    preferred
        Names of arrays that are chosen without being named.

    Raises
    ------
    InputError
        If there is none, or there are several and none is named.
    """
    images = [part for part in parts if part.is_image]
    if name:
        named = [part for part in parts if part.name.strip("/") == name]
        if named:
            return named[0]
    elif len(images) == 1 or any(part.name in preferred for part in images):
        return next((part for part in images if part.name in preferred), images[0])
    listed = ", ".join(map(str, (images or parts)[:_MOST_LISTED]))
    if len(images or parts) > _MOST_LISTED:
        listed += f" and {len(images or parts) - _MOST_LISTED} more"
    example = f"{path.name}{SEPARATOR}{(images or parts)[0].name if images or parts else ''}"
    problem = f"does not hold {quoted(name)}, but" if name else "holds"
    if not parts:
        raise InputError(f"{path} holds no array of numbers; choose another file, or save the frames as one array")
    if not images:
        raise InputError(f"{path} {problem} {listed}, which is not an image of real numbers; choose another file")
    raise InputError(f"{path} {problem} {listed}; name one of them, as in {quoted(example)}")
