"""From files and options to one recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from napari_diner.cli.options import options_of
from napari_diner.tasks.recipe import assignment, merge, read_yaml


def collect(
    model: type[BaseModel],
    file: Path | None,
    assignments: Iterable[str],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Put together the values of a recipe: the file's, over them those of ``--set``, over them the options.

    Paths in the file are relative to the file's folder, others to the current one; all become absolute, so that the
    recipe stored with a result works from anywhere.

    Raises
    ------
    RecipeError
        If the file or an assignment cannot be read.
    """
    values: dict[str, Any] = {}
    if file is not None:
        values = absolute_paths(model, read_yaml(file), file.expanduser().absolute().parent)
    given: dict[str, Any] = {}
    for text in assignments:
        given = merge(given, assignment(text))
    return merge(values, absolute_paths(model, merge(given, options), Path.cwd()))


def absolute_paths(model: type[BaseModel], values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the values of a recipe with its file names made absolute, seen from `folder`.

    `Option.is_file` tells which they are.
    """
    changes: dict[str, Any] = {}
    for option in options_of(model):
        value: Any = values
        for key in option.keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if option.is_file(value):
            nested: Any = str(folder / Path(value).expanduser())
            for key in reversed(option.keys):
                nested = {key: nested}
            changes = merge(changes, nested)
    return merge(values, changes)
