"""Axes of stored arrays: names, selection and order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import Array
from napari_diner.io.header import UNNAMED, Header

Index: TypeAlias = tuple[int | slice, ...]
"""Index of a point for each axis of a stored array, or all of it."""

LETTERS = "NTZCPYXS"
"""Frames, time, slices, channels, positions, rows, columns, colours."""
_GUESSES = {0: "", 1: "Z", 2: "TZ", 3: "TCZ"}
"""Assumed axes before Y and X if a file does not name them."""
_COLOURED_GUESSES = {**_GUESSES, 1: "T"}
"""The same for colour frames, which are more often a video than a volume."""
_RANKS = {"Y": 1, "X": 2, "S": 3}
_CHOICE = re.compile(r"\s*([A-Z])\s*=\s*(\d{1,9}|all)\s*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class View:
    """Selection from a stored array, and order of its axes.

    Axes of length one, other than Y and X, are dropped. Y and X come last, and colours behind them.
    """

    index: Index
    """Selection along each stored axis."""
    order: tuple[int, ...]
    """Order of the remaining axes."""
    shape: tuple[int, ...]
    """Size along each of them, in this order."""
    axes: str
    """Their letters."""
    has_axes: bool
    """Whether the file or the user named them; otherwise they are guessed."""
    kept: tuple[int, ...]
    """Positions of the stored axes."""
    stored_axes: str
    """Letters of the stored axes for a recipe."""

    def renamed(self, axes: str) -> str:
        """Return the letters of the stored axes for a view with the axes `axes`."""
        names = dict(zip(self.axes, axes, strict=False))
        return "".join(names.get(letter, letter) for letter in self.stored_axes)

    def ordered(self, part: Array) -> Array:
        """Return the part of the array selected by `index`, with its axes in order."""
        return part.transpose(self.order)


def view_of(header: Header, source: str, axes: str = "", select: str = "") -> View:
    """Return the view of a stored array for names of its axes and a selection along them.

    Parameters
    ----------
    header
        Header of the stored array.
    source
        Name in messages.
    axes
        Letters of the stored axes in order, with or without those of length one; those of the file if empty.
    select
        Positions along some axes, ``"C=1, T=0"``, counted from zero.

    Raises
    ------
    InputError
        If the axes do not match the array, or there is no such point.
    """
    if len(header.shape) < 2:
        raise InputError(f"{source} has the shape {header.shape}; give an image (Y, X), or an array with more axes")
    letters = _named(header, source, axes) if axes else _guessed(header, source)
    points = _points(select, dict(zip(letters, header.shape, strict=True)), source)
    index = tuple(
        points.get(letter, 0 if size == 1 and letter not in "YX" else slice(None))
        for letter, size in zip(letters, header.shape, strict=True)
    )
    left = [place for place, entry in enumerate(index) if isinstance(entry, slice)]
    order = sorted(range(len(left)), key=lambda place: _RANKS.get(letters[left[place]], 0))
    ordered = [left[place] for place in order]
    long = [letter for letter, size in zip(letters, header.shape, strict=True) if size != 1]
    short = {"Y", "X"} <= {*long}
    return View(
        index=index,
        order=tuple(order),
        shape=tuple(header.shape[place] for place in ordered),
        axes="".join(letters[place] for place in ordered),
        kept=tuple(ordered),
        stored_axes="".join(long if short else letters),
        has_axes=bool(axes) or not any(header.axes[place] in (UNNAMED, "s") for place in left),
    )


def in_order(axes: str) -> str:
    """Return the letters of axes in the order of a view: Y and X last, and colours behind them."""
    return "".join(sorted(axes, key=lambda axis: _RANKS.get(axis, 0)))


def described_axes(axes: Sequence[str], shape: Sequence[int]) -> str:
    """Return the axes of an array with their lengths, for messages."""
    return " × ".join(f"{size} ({axis})" for axis, size in zip(axes, shape, strict=True))


def _named(header: Header, source: str, axes: str) -> list[str]:
    """Return the letters of the stored axes named by the user, who may omit axes of length one."""
    letters = axes.strip().upper()
    shape, long = header.shape, [size for size in header.shape if size != 1]
    if len(letters) == len(long) < len(shape):
        rest = iter(letters)
        full = [next(rest) if size != 1 else UNNAMED for size in shape]
    else:
        full = list(letters)
    fits = len(full) == len(shape) and len(set(letters)) == len(letters)
    if not fits or set(letters) - set(LETTERS) or not {"Y", "X"} <= set(letters):
        raise InputError(
            f"The axes {quoted(letters)} do not match {source}, which holds {'×'.join(map(str, shape))} values; name "
            f"each stored axis once in {{field:axes}}, with letters of {LETTERS}, among them Y and X",
            "axes",
        )
    return full


def _guessed(header: Header, source: str) -> list[str]:
    """Return the letters of the axes, with assumptions for those that the file does not name."""
    letters = list(header.axes.upper())
    unknown = [place for place, size in enumerate(header.shape) if letters[place] == UNNAMED and size != 1]
    if len(unknown) > max(_GUESSES):
        raise InputError(
            f"{source} has {len(letters)} axes, too many to guess; name each of the {'×'.join(map(str, header.shape))} "
            "in {field:axes}",
            "axes",
        )
    guess = (_COLOURED_GUESSES if "S" in letters else _GUESSES)[len(unknown)]
    free = dict.fromkeys(letter for letter in guess + "TZC" if letter not in letters)
    for place, letter in zip(unknown, free, strict=False):
        letters[place] = letter
    return letters


def parse_selection(select: str) -> dict[str, int | None]:
    """Return the point along each axis that a choice such as ``"C=1, T=all"`` names; None for all.

    Raises
    ------
    InputError
        If it cannot be parsed.
    """
    points: dict[str, int | None] = {}
    for text in select.split(",") if select.strip() else ():
        match = _CHOICE.fullmatch(text)
        if match is None or match[1].upper() in {*points, "Y", "X"}:
            raise InputError(
                "write an axis other than Y and X and a number counted from 0, like C=1, T=0, or T=all", "select"
            )
        points[match[1].upper()] = None if match[2].lower() == "all" else int(match[2])
    if list(points.values()).count(None) > 1:
        raise InputError("all can be taken along one axis only", "select")
    return points


def series_axis(select: str) -> str | None:
    """Return the axis of which a selection takes all points as a series; None if there is none."""
    return next((axis for axis, point in parse_selection(select).items() if point is None), None)


def at_point(select: str, axis: str, point: int) -> str:
    """Return a selection with another point along an axis."""
    return ", ".join(f"{each}={place}" for each, place in {**parse_selection(select), axis: point}.items())


def _points(select: str, sizes: Mapping[str, int], source: str) -> dict[str, int]:
    """Return the selected points along the axes that the array has; axes selected completely are skipped."""
    named = {axis: size for axis, size in sizes.items() if axis != UNNAMED}
    described = f"{source} has the axes {described_axes(list(named), list(named.values()))}"
    points = {}
    for axis, point in parse_selection(select).items():
        if axis not in named:
            raise InputError(f"{described}; {{field}} cannot choose along {axis}", "select")
        if point is not None and point >= named[axis]:
            raise InputError(f"{described}; {{field}} counts from 0, so {axis} is at most {named[axis] - 1}", "select")
        if point is not None:
            points[axis] = point
    return points
