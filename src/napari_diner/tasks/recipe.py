"""The recipe: everything that decides a result, in one checked and readable document.

A recipe is at once the form in the dock, the YAML file, the options of the command line, the provenance that is
stored with every result, and the unit of batch work.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError

from napari_diner.errors import RecipeError
from napari_diner.settings import Settings, explained


class Recipe(Settings):
    """Base of the recipes of all tasks: the settings that every run has."""

    task: str
    """Which task the recipe is for."""
    max_seconds: float | None = Field(default=None, gt=0, title="Time limit (s)")
    """Stop after this many seconds of computing and keep the best result so far; empty for no limit."""
    seed: int = Field(default=0, ge=0, lt=2**31, title="Seed")
    """Number that fixes every random choice: the same seed on the same machine gives the same result."""
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", title="Device")
    """Where to compute; auto takes a graphics card if there is one."""

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build a recipe from plain values.

        Parameters
        ----------
        values
            Nested mapping of keys to values, as read from YAML.

        Raises
        ------
        RecipeError
            If a key is unknown (the nearest valid one is named) or a value is out of bounds.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise explained(cls, error) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a recipe from a YAML file; see `parse`."""
        return cls.parse(read_yaml(path))

    def updated(self, changes: Mapping[str, Any]) -> Self:
        """Return a recipe with some values replaced; `changes` may be nested and is checked like any input."""
        return self.parse(merge(self.model_dump(exclude_unset=True), changes))

    def to_yaml(self, *, complete: bool = True) -> str:
        """Return the recipe as YAML, with every default written out if `complete`."""
        values = self.model_dump(mode="json", exclude_unset=not complete)
        return yaml.safe_dump(values | {"task": self.task}, sort_keys=False, allow_unicode=True, width=100)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a mapping from a YAML file, safely.

    Raises
    ------
    RecipeError
        If the file cannot be read or holds no mapping.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe {path} cannot be read ({error}); give a YAML file") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where is not None else ""
        raise RecipeError(f"The recipe {path} is not valid YAML{line}; fix it there") from None
    if not isinstance(values, dict):
        raise RecipeError(f"The recipe {path} holds no settings; write lines of the form 'key: value'")
    return values


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `changes` put over it, section by section."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def assignment(text: str) -> dict[str, Any]:
    """Turn ``"a.b=value"`` into ``{"a": {"b": value}}``; the value is read as YAML.

    Raises
    ------
    RecipeError
        If there is no ``=`` or the value is no valid YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text} is not understood; write it as --set key=value")
    try:
        nested: Any = yaml.safe_load(value)
    except yaml.YAMLError:
        raise RecipeError(f"--set {text}: the value cannot be read; quote it as in YAML") from None
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    assert isinstance(nested, dict)
    return nested
