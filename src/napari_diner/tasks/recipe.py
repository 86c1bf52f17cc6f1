"""The recipe: everything that decides a result, in one checked and readable document.

A recipe is at once the form in the dock, the YAML file, the options of the command line, the provenance that is
stored with every result, and the unit of batch work.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError

from napari_diner.errors import RecipeError
from napari_diner.settings import Settings


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
            raise RecipeError(explain(cls, error)) from None

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
        raise RecipeError(f"The recipe {path} is not valid YAML{line}; mend it there") from None
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


def sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the fields of a model that are models themselves."""
    return {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every key of a model, those of its sections as ``section.key``."""
    nested = sections(model)
    for name in model.model_fields:
        yield prefix + name
        if name in nested:
            yield from all_keys(nested[name], f"{prefix}{name}.")


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """Say in one sentence what pydantic found wrong first, and what to do about it."""
    first = error.errors(include_url=False)[0]
    # tuple positions read as brackets, members of unions (their type names) are no part of the key
    parts = [part for part in first["loc"] if isinstance(part, int) or part.isidentifier()]
    if first["type"] == "extra_forbidden" and parts[-1:] != [first["loc"][-1]]:
        parts.append(first["loc"][-1])  # an unknown key may be any text
    keys = [str(part) for part in parts if isinstance(part, str)]
    known = set(all_keys(model))
    while len(keys) > 1 and ".".join(keys) not in known and first["type"] != "extra_forbidden":
        keys.pop()
    key = ".".join(keys) or "recipe"
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        leaf = difflib.get_close_matches(keys[-1], [name.rsplit(".", 1)[-1] for name in known], n=1, cutoff=0.6)
        if leaf:
            candidates = [name for name in known if name.rsplit(".", 1)[-1] == leaf[0]]
            near = difflib.get_close_matches(key, candidates, n=1, cutoff=0.0)
        return f"The recipe has no key {key!r}; did you mean {near[0]!r}?"
    problem = first["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
    shown = repr(first["input"])
    if len(shown) > 60:
        shown = shown[:57] + "..."
    if first["type"] == "value_error" and key == "recipe":
        return problem
    return f"{key} = {shown} cannot be used: {problem}"


def literal_values(annotation: Any) -> tuple[Any, ...]:
    """Return the choices of a ``Literal``, or nothing if `annotation` is none."""
    return get_args(annotation) if getattr(annotation, "__origin__", None) is Literal else ()
