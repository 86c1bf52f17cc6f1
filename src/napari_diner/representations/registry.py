"""The registry of representations, which can be the unknown of a task. Does not import torch.

A representation from another package is added with `register`, see the page on extending in the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from napari_diner.registry import Entry, unknown
from napari_diner.representations import memory
from napari_diner.representations.memory import Memory
from napari_diner.representations.settings import RepresentationSettings

if TYPE_CHECKING:
    import torch

    from napari_diner.representations.base import Representation


@dataclass(frozen=True)
class RepresentationEntry(Entry):
    """A representation.

    Its function `build` gets the samples' shape, the number of outputs, the settings (`RepresentationSettings`) and a
    source of randomness, and returns a `Representation`.

    Parameters
    ----------
    name, summary, build, sections
        See `Entry`.
    learning_rate
        Step size of Adam for values of order one, if the recipe does not give one.
    holds_values
        Whether it can represent any values exactly, as pixels and tables can.
    memory
        Returns the bytes for its training, see `napari_diner.representations.memory`; None for those of pixels.
    """

    learning_rate: float = 1e-3
    holds_values: bool = False
    memory: Memory | None = None


_ENTRIES: dict[str, RepresentationEntry] = {}


def register(entry: RepresentationEntry) -> None:
    """Add a representation, replacing one of the same name."""
    _ENTRIES[entry.name] = entry


def representations() -> Mapping[str, RepresentationEntry]:
    """Return all registered representations by name."""
    return _ENTRIES


def representation(name: str) -> RepresentationEntry:
    """Return a registered representation.

    Raises
    ------
    RecipeError
        If there is no such representation.
    """
    if name not in _ENTRIES:
        raise unknown("representation", name, _ENTRIES)
    return _ENTRIES[name]


def build(
    name: str,
    shape: tuple[int, ...],
    outputs: int,
    settings: RepresentationSettings,
    generator: torch.Generator | None = None,
) -> Representation:
    """Build a representation with initial parameters.

    Parameters
    ----------
    name
        Name of a registered representation.
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
    return cast("Representation", representation(name).builder()(shape, outputs, settings, generator))


_HERE = "napari_diner.representations"
for _entry in (
    RepresentationEntry(
        "diner",
        "DINER: a table of learnable keys and a small network",
        f"{_HERE}.diner:build",
        ("diner",),
        holds_values=True,
        memory=memory.diner,
    ),
    RepresentationEntry(
        "siren",
        "SIREN: a network of coordinates with sine activations",
        f"{_HERE}.networks:build_siren",
        ("network",),
        2e-3,
        memory=memory.network,
    ),
    RepresentationEntry(
        "pe-mlp",
        "PE+MLP: a ReLU network of encoded coordinates",
        f"{_HERE}.networks:build_pe_mlp",
        ("network", "encoding"),
        5e-3,
        memory=memory.pe_mlp,
    ),
    RepresentationEntry(
        "hash-grid",
        "Multi-resolution hash grid (InstantNGP)",
        f"{_HERE}.hash_grid:build",
        ("network", "hash_grid"),
        1e-2,
        memory=memory.hash_grid,
    ),
    RepresentationEntry(
        "decaf",
        "DeCAF: a network of coordinates in radial encoding",
        f"{_HERE}.radial:build",
        ("decaf",),
        8e-3,
        memory=memory.decaf,
    ),
    RepresentationEntry("pixels", "Plain pixels or voxels", f"{_HERE}.pixels:build", holds_values=True),
):
    register(_entry)
