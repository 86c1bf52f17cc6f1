"""What an entry of a registry is: a named thing that is imported only when it is needed. Free of torch."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from napari_diner.errors import RecipeError, quoted
from napari_diner.settings import Settings

Build = Callable[..., Any]
"""Builds what an entry stands for; the registries say from what."""

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Entry:
    """A solver or a representation, and what a task must know of it.

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
    """

    name: str
    summary: str
    build: Build | str
    sections: tuple[str, ...] = ()

    def builder(self) -> Build:
        """Return the function that builds it."""
        return resolve(self.build) if isinstance(self.build, str) else self.build

    def settings(self, model: type[S], extension: Mapping[str, Mapping[str, object]]) -> S:
        """Return its own settings from the section ``extension`` of a recipe, checked by their model.

        Raises
        ------
        RecipeError
            If a key is unknown or a value is out of bounds.
        """
        return model(**extension.get(self.name, {}))


def resolve(place: str) -> Any:
    """Import and return what ``"module:name"`` names."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def unknown(kind: str, name: str, valid: Iterable[str], field: str | None = None) -> RecipeError:
    """Return the error that there is no thing of a kind with this name; the nearest one is named."""
    names = list(valid)
    near = difflib.get_close_matches(name[:80], names, n=1, cutoff=0.6)
    cure = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(names)}"
    return RecipeError(f"There is no {kind} {quoted(name)}; {cure}", field)
