"""Recipes and reports for sharing, without folders of the user's machine."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePath
from typing import TypeVar

from napari_diner.io.parts import SEPARATOR, split_part
from napari_diner.io.places import expanded
from napari_diner.tasks.recipe import Recipe, input_files, renamed_files

RecipeT = TypeVar("RecipeT", bound=Recipe)


def shared(recipe: RecipeT, folder: Path) -> RecipeT:
    """Return a recipe with the names of its files relative to the folder in which it is saved.

    A file whose relative name would contain the user's name is named without its folder.
    """
    values = recipe.model_dump(exclude_unset=True)
    return type(recipe).parse(renamed_files(type(recipe), values, lambda name: seen(name, folder)))


def without_folders(text: str, recipe: Recipe, folder: Path) -> str:
    """Return a text in JSON with the files of a recipe named as `shared` does, and the user's home as ``~``."""
    names = {str(path): seen(str(path), folder) for path in input_files(recipe) if path.is_absolute()}
    home = _home()
    if home != Path(home.anchor):
        names[str(home)] = "~"
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(_quoted(name), _quoted(names[name]))
    return text


def _quoted(name: str) -> str:
    """Return a name as it is encoded in JSON."""
    return json.dumps(name, ensure_ascii=False)[1:-1]


def seen(name: str, folder: Path) -> str:
    """Return the name of a file, folder or glob relative to a folder, with slashes.

    If the path leads through the folder of the users, or to another drive, it is the last part of the name.
    """
    place, part = split_part(name)
    end = f"{SEPARATOR}{part}" if part else ""
    path = expanded(place)
    # links of folders are resolved, as for `..`, but the file keeps the name given by the user
    path, folder = path.parent.resolve() / path.name, folder.resolve()
    try:
        common = Path(os.path.commonpath([path, folder]))
    except ValueError:  # on different drives
        return path.name + end
    if _tells(path, common):
        return path.name + end
    return PurePath(os.path.relpath(path, folder)).as_posix() + end


def _tells(path: Path, common: Path) -> bool:
    """Whether the path from a folder to a file leads through the user's home or the folder of the users."""
    home = _home().resolve()
    users = home if home.parent == Path(home.anchor) else home.parent
    through = users.is_relative_to(common) and path.is_relative_to(users)
    return not common.is_relative_to(home) and (through or home.name in path.relative_to(common).parts)


def _home() -> Path:
    """Return the user's home, or the root if there is none, as of a user whom a container does not know."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(Path.cwd().anchor)
