"""Entries of registries: named objects that are imported when they are first needed. Does not import torch."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from napari_diner.errors import RecipeError, quoted
from napari_diner.settings import Settings

Build = Callable[..., Any]
"""Builds the object of an entry; its arguments depend on the registry."""

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Entry:
    """A registered solver or representation."""

    name: str
    """Its name in recipes, e.g. ``"hash-grid"``."""
    summary: str
    """Short description."""
    build: Build | str
    """The function that builds it, or ``"module:function"``, which is imported when it is first needed."""
    sections: tuple[str, ...] = ()
    """Sections of the recipe that it reads."""

    def builder(self) -> Build:
        """Return the function that builds the object."""
        return resolve(self.build) if isinstance(self.build, str) else self.build

    def settings(self, model: type[S], extension: Mapping[str, Mapping[str, object]]) -> S:
        """Return the settings of the entry from the section ``extension`` of a recipe, validated by their model.

        Raises
        ------
        RecipeError
            If a key is unknown or a value is out of bounds.
        """
        return model(**extension.get(self.name, {}))


def resolve(place: str) -> Any:
    """Import and return the object ``"module:name"``."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def unknown(kind: str, name: str, valid: Iterable[str], field: str | None = None) -> RecipeError:
    """Return the error for an unknown name; its message suggests the nearest valid one."""
    names = list(valid)
    near = difflib.get_close_matches(name[:80], names, n=1, cutoff=0.6)
    cure = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(names)}"
    return RecipeError(f"There is no {kind} {quoted(name)}; {cure}", field)
