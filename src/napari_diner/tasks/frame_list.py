"""List of the frames of a recording: file, and distance or direction of each. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.io.names import lengths_in_names
from napari_diner.tasks.report import Report, Row
from napari_diner.wording import digits

_SHOWN = 4
"""Number of frames that are shown at both ends of a long list."""
_TOLERANCE = 0.01
"""Relative difference above which distances count as different."""


def frame_list(
    numbers: Sequence[int], files: Sequence[str], values: Mapping[str, Sequence[object]]
) -> list[Mapping[str, object]]:
    """Return the list of frames for a report.

    Parameters
    ----------
    numbers
        Numbers of the frames in the stack, counted from zero.
    files
        One file with all frames, one for each, or none if they came from memory.
    values
        Values by name, one for each frame, such as ``distance_um``; lists with fewer entries are left out.
    """
    count = len(numbers)
    whole = {name: entries for name, entries in values.items() if len(entries) == count}
    rows: list[Mapping[str, object]] = []
    for frame, number in enumerate(numbers):
        file = {"file": Path(files[frame if len(files) == count else 0]).name} if files else {}
        rows.append({"frame": number + 1, **file, **{name: entries[frame] for name, entries in whole.items()}})
    return rows


def frames_row(report: Report) -> list[Row]:
    """Return a line of a summary with the distance or direction of each frame, and its file if there are several."""
    frames = report.get("frames", ())
    several = len({frame.get("file") for frame in frames}) > 1
    texts = [" ".join(filter(None, (frame["file"] if several else "", _value(frame)))) for frame in frames]
    return [Row("frames", _elided(texts))] if any(texts) else []


def _value(frame: Mapping[str, Any]) -> str:
    if "distance_um" in frame:
        return f"{frame['distance_um']:.6g} µm"
    return " + ".join(f"NA ({digits(y, 3)}, {digits(x, 3)})" for y, x in frame.get("na_yx", ()))


def about_distances(
    files: Sequence[str], distances_um: Sequence[float], *, needed: bool
) -> tuple[list[str], list[str]]:
    """Return notes and warnings about the distances in the names of files.

    Parameters
    ----------
    files
        Files, one for each frame, in order.
    distances_um
        Distances in the recipe.
    needed
        Whether distances in the names are used.
    """
    named = lengths_in_names(files)
    if named and needed:
        return [f"distances are those in the names of the files: {listed(named)} µm"], []
    if len(named) != len(distances_um) or _agree(named, distances_um):
        return [], []
    return [], [
        f"the names of the files give {listed(named)} µm, but the distances are {listed(distances_um)} µm; check "
        "their order and unit"
    ]


def _agree(named: Sequence[float], distances_um: Sequence[float]) -> bool:
    """Return whether the lengths in names are the distances; or as far apart, if some are positions of zero or less."""
    if min(named, default=1.0) > 0:
        return all(math.isclose(*pair, rel_tol=_TOLERANCE) for pair in zip(distances_um, named, strict=True))
    steps, apart = np.diff(named), np.diff(distances_um)
    tolerance = _TOLERANCE * float(np.abs(apart).max())
    return any(bool((np.abs(apart - sign * steps) <= tolerance).all()) for sign in (1, -1))


def listed(distances_um: Sequence[float]) -> str:
    """Return distances as in a recipe; the middle of a long list is left out."""
    return _elided([f"{distance:.6g}" for distance in distances_um])


def _elided(texts: list[str]) -> str:
    if len(texts) > 2 * _SHOWN + 1:
        texts = [*texts[:_SHOWN], "…", *texts[-_SHOWN:]]
    return ", ".join(texts)
