"""The plan of a batch: recordings and their recipes. Does not import torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator

from napari_diner.errors import RecipeError, quoted
from napari_diner.io.axes import LETTERS
from napari_diner.io.places import expanded
from napari_diner.settings import Settings, Values
from napari_diner.tasks.recipe import Recipe, absolute_paths, merge, read_yaml
from napari_diner.tasks.registry import task as registered
from napari_diner.tasks.task import AnyTask

_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f\ud800-\udfff]')
"""Characters that some file systems do not allow in names."""


class Entry(Settings):
    """One source of recordings in a plan, with settings of its own."""

    source: str = Field(min_length=1, max_length=4096, title="Source")
    """File, folder or glob; ``file::name`` for one of several arrays. Folders are searched recursively: each stack is
    an item, and so is each folder of single images."""
    each: Literal["auto", "file", "folder"] = Field(default="auto", title="Each item is")
    """A file, or a folder with one frame in each file; auto decides by the number of images in the files."""
    over: str = Field(default="", max_length=8, title="Along axes")
    """Letters of axes along which every point is an item of its own, such as PT for positions and times."""
    name: str = Field(default="", max_length=255, title="Folder")
    """Folder for the results of these items, inside the output folder; after the source if empty."""
    settings: dict[str, Any] = Field(default_factory=dict, title="Settings")
    """Changes of the recipe for these items."""

    @field_validator("over")
    @classmethod
    def _known_axes(cls, over: str) -> str:
        over = "".join(over.replace(",", " ").split()).upper()
        if set(over) - (set(LETTERS) - {*"YXS"}) or len(set(over)) != len(over):
            raise ValueError("name axes other than those of the image once each, such as PT")
        return over

    @field_validator("name")
    @classmethod
    def _inside(cls, name: str) -> str:
        path = PurePosixPath(name)
        outside = path.is_absolute() or ".." in path.parts or PureWindowsPath(name).anchor
        if outside or _FORBIDDEN.search(name) or any(part.startswith(".") for part in path.parts):
            raise ValueError("it should be the name of a folder inside the output folder, such as controls/day-1")
        return name


class Plan(Settings):
    """The recordings of a batch and their recipe."""

    noun = "plan"

    recipe: str | dict[str, Any] = Field(title="Recipe")
    """Recipe of all items: a YAML file, or the settings themselves."""
    settings: dict[str, Any] = Field(default_factory=dict, title="Settings")
    """Changes of the recipe for all items."""
    items: tuple[Entry, ...] = Field(min_length=1, title="Items")
    """Sources of recordings."""
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict, title="Overrides")
    """Changes of the recipe for items by their names, in which ``*`` stands for any characters."""
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @field_validator("items", mode="before")
    @classmethod
    def _sources(cls, items: object) -> object:
        """Accept a source in place of an entry without other settings."""
        listed = [items] if isinstance(items, str | Mapping) else items
        if not isinstance(listed, list | tuple) or not listed:
            raise ValueError("list at least one file, folder or pattern of files")
        return [{"source": item} if isinstance(item, str) else item for item in listed]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a plan from a YAML file, safely; its paths are relative to the folder of the file.

        Raises
        ------
        RecipeError
            If it cannot be read, a key is unknown, or a value cannot be used.
        """
        values = read_yaml(path, cls.noun)
        try:
            plan = cls(**values)
        except RecipeError as error:
            # keys of a plan are not options of a command
            raise RecipeError(f"The plan {path}: {error}") from None
        plan._folder = expanded(path).absolute().parent
        return plan

    @property
    def folder(self) -> Path:
        """Folder that paths in the plan are relative to."""
        return self._folder

    def base(self) -> tuple[AnyTask, Values]:
        """Return the task, and the values of the recipe that the items change, with absolute paths.

        Raises
        ------
        RecipeError
            If the recipe cannot be read or names no task.
        """
        if isinstance(self.recipe, str):
            place = self.folder / expanded(self.recipe)
            values, folder = read_yaml(place), place.parent
        else:
            values, folder = dict(self.recipe), self.folder
        name = values.get("task")
        if not isinstance(name, str):
            raise RecipeError("The recipe of the plan names no task; add a line such as 'task: lensless'")
        task = registered(name)
        changes = absolute_paths(task.recipe_type, self.settings, self.folder)
        return task, merge(absolute_paths(task.recipe_type, values, folder), changes)

    def changes(self) -> Iterator[Mapping[str, object]]:
        """Yield all changes of the recipe."""
        yield self.settings
        yield from (entry.settings for entry in self.items)
        yield from self.overrides.values()

    def recipe_for(self, task: AnyTask, values: Values, name: str, changes: Mapping[str, object]) -> Recipe:
        """Return the checked recipe of an item.

        Parameters
        ----------
        task, values
            As returned by `base`.
        name
            Name of the item, for messages.
        changes
            Override the values, each over those before it.

        Raises
        ------
        RecipeError
            If a setting is unknown or cannot be used.
        """
        try:
            recipe: Recipe = task.recipe_type.parse(
                merge(values, absolute_paths(task.recipe_type, changes, self.folder))
            )
        except RecipeError as error:
            raise RecipeError(f"The recipe of {quoted(name)} in the plan: {error}") from None
        return recipe


def safe_name(text: str) -> str:
    """Return a text as the name of a folder, without characters that some file systems do not allow."""
    return _FORBIDDEN.sub("_", text).strip(". ") or "_"
