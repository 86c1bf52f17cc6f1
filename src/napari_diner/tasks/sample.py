"""Simulated data that tasks offer. Does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.settings import Settings
from napari_diner.tasks.recipe import Recipe


@dataclass(frozen=True)
class SampleData:
    """Simulated data of a task."""

    data: NamedArray
    """Data of the task."""
    recipe: Recipe
    """Description of the recording, without settings that are the user's choice. Its source field names the file
    of `data` in a folder of results, e.g. ``"stack.tif"``."""
    truth: tuple[NamedArray, ...] = ()
    """The object behind the data; empty if the data are the truth."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Further text files for the folder, by name."""

    def __post_init__(self) -> None:
        for array in (self.data, *self.truth):
            bad = array.data.size - int(np.isfinite(array.data).sum())
            if bad:
                raise InputError(
                    f"The simulation gives {bad:,} of {array.data.size:,} values of {array.name} that are not finite; "
                    "choose a weaker sample, or finer pixels and slices"
                )


@dataclass(frozen=True)
class Sample:
    """Simulated data that a task offers: a command of ``napari-diner simulate`` and an entry of napari's samples."""

    name: str
    """Name of the command, e.g. ``"video"``."""
    title: str
    """Name in napari's menu."""
    summary: str
    """Help of the command."""
    settings: type[Settings]
    """Settings of the simulation."""
    make: Callable[[Any], SampleData]
    """Simulates the data; defers slow imports until it is called."""


@dataclass(frozen=True)
class Demo:
    """Demonstration of a task by ``napari-diner demo``."""

    sample: str
    """Name of the sample."""
    contenders: tuple[str, ...]
    """Names of the contenders."""
    seconds: float
    """Time for each."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Changes of its settings."""
