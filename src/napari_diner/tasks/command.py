"""The command line that is equivalent to a recipe."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

import yaml

from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.registry import task_of


def command_line(recipe: Recipe, source: str, output: str) -> str:
    """Return the command that is equivalent to running a recipe in a dock, quoted for a POSIX shell.

    Parameters
    ----------
    recipe
        The settings; defaults are left out.
    source
        File, folder or glob of the data.
    output
        Folder for the results.
    """
    words = ["napari-diner", recipe.task, source, "-o", output]
    source_field = task_of(recipe).source_field
    defaults = type(recipe).parse({}).model_dump(mode="json")
    for key, value in _differences(recipe.model_dump(mode="json"), defaults):
        if key in ("task", "input_sha256", source_field):
            continue
        if _is_plain(value) and "." not in key:
            words += ["--" + key.replace("_", "-"), _plain(value)]
        else:
            flow = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True)
            words += ["--set", f"{key}={flow.removesuffix('...' + chr(10)).strip()}"]
    return shlex.join(words)


def _differences(
    values: Mapping[str, object], defaults: Mapping[str, object], prefix: str = ""
) -> Iterator[tuple[str, object]]:
    """Yield the values that differ from their defaults, those of sections as ``section.key``."""
    for key, value in values.items():
        default = defaults[key]
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            yield from _differences(value, default, f"{prefix}{key}.")
        elif value != default:
            yield prefix + key, value


def _is_plain(value: object) -> bool:
    """Whether a value can be written as an option without YAML: a word, a number, or a list of numbers."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, int | float) for item in value)
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _plain(value: object) -> str:
    return ",".join(map(_plain, value)) if isinstance(value, list) else str(value)
