"""Checks of data without a run, which rank alternative descriptions of them. Does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Alternative:
    """One of several descriptions of the same data."""

    name: str
    """In words."""
    figures: tuple[str, ...]
    """Figures for each of the columns of the ranking."""
    changes: Mapping[str, object]
    """Changes of the recipe; empty for the current recipe."""


@dataclass(frozen=True)
class Ranking:
    """Alternatives, the best one first."""

    columns: Mapping[str, str]
    """Titles and descriptions of the figures."""
    alternatives: tuple[Alternative, ...]
    """The alternatives."""
    given: int
    """Position of the alternative of the current recipe."""
    note: str = ""
    """Advice for the choice."""
    picture: npt.NDArray[np.uint8] | None = None
    """What a front door with a screen shows below it, (Y, X, 4); None if there is nothing."""


@dataclass(frozen=True)
class Check:
    """A check of the data without a run: a command, and a button in the dock."""

    name: str
    """Name of the command, e.g. ``"directions"``."""
    title: str
    """Text of the button, e.g. ``"Which way round?"``."""
    summary: str
    """Its help."""
    rank: Callable[[Any, Any], Ranking]
    """Ranks alternatives for a recipe and its data from `Task.assemble`."""
