"""The registry of representations: everything that can be the unknown of a task. Free of torch.

A representation from another package is added with `register`, see the page on extending in the documentation.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from napari_diner.errors import RecipeError
from napari_diner.representations.settings import RepresentationSettings

if TYPE_CHECKING:
    import torch

    from napari_diner.representations.base import Representation

Build = Callable[
    ["tuple[int, ...]", int, RepresentationSettings, "torch.Generator | None"],
    "Representation",
]
"""Builds a representation from the samples' shape, the number of outputs, the settings and a source of randomness."""


@dataclass(frozen=True)
class RepresentationEntry:
    """A representation and what a task must know of it.

    Parameters
    ----------
    name
        Its name in recipes, e.g. ``"hash-grid"``.
    summary
        What it is, in a few words.
    build
        The function that builds it, or ``"module:function"``, which is imported when it is first needed.
    sections
        Sections of the recipe that it reads.
    learning_rate
        Step size of Adam for values of order one, if the recipe does not give one.
    holds_values
        Whether it can take on given values exactly, as pixels and tables can.
    """

    name: str
    summary: str
    build: Build | str
    sections: tuple[str, ...] = ()
    learning_rate: float = 1e-3
    holds_values: bool = False

    def builder(self) -> Build:
        """Return the function that builds it."""
        if not isinstance(self.build, str):
            return self.build
        module, _, function = self.build.partition(":")
        return cast(Build, getattr(importlib.import_module(module), function))


_ENTRIES: dict[str, RepresentationEntry] = {}


def register(entry: RepresentationEntry) -> None:
    """Add a representation; one of the same name is replaced."""
    _ENTRIES[entry.name] = entry


def representations() -> Mapping[str, RepresentationEntry]:
    """Return all registered representations by name."""
    return _ENTRIES


def representation(name: str) -> RepresentationEntry:
    """Return a registered representation.

    Raises
    ------
    RecipeError
        If there is none of this name.
    """
    if name not in _ENTRIES:
        raise RecipeError(f"There is no representation {name!r}; choose from {', '.join(_ENTRIES)}")
    return _ENTRIES[name]


def build(
    name: str,
    shape: tuple[int, ...],
    outputs: int,
    settings: RepresentationSettings,
    generator: torch.Generator | None = None,
) -> Representation:
    """Build a representation with its starting parameters.

    Parameters
    ----------
    name
        Of a registered representation.
    shape
        Samples of the signal, e.g. (Z, Y, X).
    outputs
        Quantities per sample.
    settings
        The recipe, or its sections for representations.
    generator
        Source of random keys; networks draw from torch's global generator.

    Raises
    ------
    RecipeError
        If there is no representation of this name.
    """
    return representation(name).builder()(shape, outputs, settings, generator)


_HERE = "napari_diner.representations"
for _entry in (
    RepresentationEntry(
        "diner", "DINER: a table of learnable keys and a small network", f"{_HERE}.diner:build", ("diner",),
        holds_values=True,
    ),
    RepresentationEntry(
        "siren", "SIREN: a network of coordinates with sine activations", f"{_HERE}.networks:build_siren",
        ("network",), 2e-3,
    ),
    RepresentationEntry(
        "pe-mlp", "PE+MLP: a ReLU network of encoded coordinates", f"{_HERE}.networks:build_pe_mlp",
        ("network", "encoding"), 5e-3,
    ),
    RepresentationEntry(
        "hash-grid", "Multi-resolution hash grid (InstantNGP)", f"{_HERE}.hash_grid:build",
        ("network", "hash_grid"), 1e-2,
    ),
    RepresentationEntry(
        "decaf", "DeCAF: a network of coordinates in radial encoding", f"{_HERE}.radial:build", ("decaf",), 8e-3
    ),
    RepresentationEntry("pixels", "Plain pixels or voxels", f"{_HERE}.pixels:build", (), 1e-3, holds_values=True),
):  # fmt: skip
    register(_entry)
