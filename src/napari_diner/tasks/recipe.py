"""The recipe: everything that determines a result, in one validated and readable document.

A recipe is at once the form in the dock, the YAML file, the options of the command line, the provenance that is
stored with every result, and the unit of batch work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Self, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from napari_diner.errors import InputError, RecipeError, one_line
from napari_diner.io.axes import LETTERS, parse_selection, series_axis
from napari_diner.io.contents import ImageFormat
from napari_diner.io.ome_zarr import is_installed
from napari_diner.io.parts import split_part
from napari_diner.io.places import expanded
from napari_diner.io.texts import parse_yaml, read_bytes
from napari_diner.settings import Settings, Values, explained, sections, without_none


class Recipe(Settings):
    """Base of the recipes of all tasks: settings of every run."""

    task: str
    """Name of the task."""
    max_seconds: float | None = Field(default=None, gt=0, title="Time limit (s)")
    """Stop after this many seconds of computing and keep the best result so far; empty for no limit."""
    checkpoint_seconds: float = Field(default=60.0, ge=0, le=86400, title="Checkpoint every (s)")
    """Seconds between checkpoints, from which an interrupted run can continue; 0 for none."""
    seed: int = Field(default=0, ge=0, lt=2**31, title="Seed")
    """Number that fixes every random choice: the same seed with as many threads gives the same result."""
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", title="Device")
    """Device to compute on; auto takes a graphics card if there is one."""
    save_as: ImageFormat = Field(default="ome-tiff", title="Save images as")
    """Format of the images of a result; ome-zarr, of version 0.5 or 0.4, is for large ones, and needs zarr."""

    input_sha256: str = Field(default="", max_length=64, title="Checksum of the data")
    """SHA-256 of the data that the recipe of a result was run on; a run on other data warns. Empty for no check."""

    @property
    def series_axis(self) -> str | None:
        """Letter of the axis of a series of recordings; None for one recording."""
        return None

    @field_validator("save_as")
    @classmethod
    def _can_be_written(cls, save_as: ImageFormat) -> ImageFormat:
        if save_as != "ome-tiff" and not is_installed():
            raise ValueError("it needs another library; pip install zarr, or choose ome-tiff")
        return save_as

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """Build a recipe from plain values.

        Parameters
        ----------
        values
            Nested mapping of keys to values, as read from YAML.

        Raises
        ------
        RecipeError
            If a key is unknown (the message suggests the nearest valid one) or a value is out of bounds.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise explained(cls, error) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a recipe from a YAML file; names of files in it are relative to its folder. See `parse`."""
        folder = expanded(path).absolute().parent
        return cls.parse(absolute_paths(cls, read_yaml(path), folder))

    def updated(self, changes: Mapping[str, object]) -> Self:
        """Return a recipe with some values replaced; `changes` may be nested and is checked like any input."""
        return self.parse(merge(self.model_dump(exclude_unset=True), changes))

    def to_yaml(self, *, complete: bool = True) -> str:
        """Return the recipe as YAML, with every default written out if `complete`."""
        values = self.model_dump(mode="json", exclude_unset=not complete)
        return yaml.safe_dump(values | {"task": self.task}, sort_keys=False, allow_unicode=True, width=100)


class ArrayRecipe(Recipe):
    """Base of the recipes of tasks on an array."""

    axes: str = Field(default="", max_length=8, title="Axes")
    """Letters of the stored axes, such as ZYX, TYXS, NYX, or YXN if frames (N) are last; empty to take
    them from the file."""
    select: str = Field(default="", max_length=80, title="Part")
    """Positions along further axes, counted from 0, such as C=1, T=0; empty for all. T=all runs the
    recordings of a series one after the other."""

    @property
    def series_axis(self) -> str | None:
        """Letter of the axis of a series of recordings; None for one recording."""
        return series_axis(self.select)

    @field_validator("axes")
    @classmethod
    def _known_axes(cls, axes: str) -> str:
        axes = axes.strip().upper()
        unknown = set(axes) - set(LETTERS)
        if unknown:
            raise ValueError(f"there is no axis {''.join(sorted(unknown))}; use the letters {', '.join(LETTERS)}")
        if axes and (len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes)):
            raise ValueError("name each axis once, Y and X among them, as in ZYX, TCYX, YXS, YXN")
        return axes

    @field_validator("select")
    @classmethod
    def _understood(cls, select: str) -> str:
        try:
            parse_selection(select)
        except InputError as error:
            raise ValueError(error.message) from None
        return select.strip()


class StackRecipe(ArrayRecipe):
    """Base of the recipes of tasks on a stack of frames."""

    leave_out: tuple[int, ...] = Field(default=(), title="Leave out")
    """Numbers of frames to leave out, from 1, as messages count them; lists keep an entry for each frame."""

    @field_validator("leave_out")
    @classmethod
    def _from_one(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        if numbers and min(numbers) < 1:
            raise ValueError(f"frames are counted from 1, so there is no frame {min(numbers)}")
        return tuple(sorted({*numbers}))


def read_yaml(path: str | Path, noun: str = "recipe") -> Values:
    """Read a mapping from a YAML file, safely; the noun is its name in messages.

    Raises
    ------
    RecipeError
        If the file cannot be read or holds no mapping.
    """
    try:
        values = parse_yaml(read_bytes(expanded(path)).decode())
    except OSError as error:
        raise RecipeError(f"The {noun} {path} cannot be read ({error.strerror}); give a YAML file") from None
    except UnicodeDecodeError:
        raise RecipeError(f"The {noun} {path} cannot be read as a text in UTF-8; give a YAML file") from None
    except (ValueError, RuntimeError) as error:
        raise RecipeError(f"The {noun} {path} cannot be read: {one_line(str(error))}; correct it there") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise RecipeError(f"The {noun} {path} holds no settings; write lines of the form 'key: value'")
    return values


def merge(base: Mapping[str, object], changes: Mapping[str, object]) -> Values:
    """Return `base` overridden by the values of `changes`, section by section."""
    merged = dict(base)
    for key, value in changes.items():
        section = merged.get(key)
        merged[key] = merge(section, value) if isinstance(value, Mapping) and isinstance(section, Mapping) else value
    return merged


def is_file(field: FieldInfo, value: object) -> bool:
    """Return whether a value of a field is the name of a file.

    Every text is if the field is optional (``str | None``), or if it is marked with ``words``, which lists the texts
    that are not. A list of numbers marked in this way is read from its file by the recipe.
    """
    if not isinstance(value, str):
        return False
    marks = field.json_schema_extra
    words = marks.get("words") if isinstance(marks, dict) else None
    if get_origin(without_none(field.annotation)) in (tuple, list):
        return words is not None and Path(value).suffix.lower() in (".csv", ".json")
    return value not in words if isinstance(words, list) else field.annotation == str | None


def input_files(recipe: BaseModel) -> list[Path]:
    """Return the files, folders and globs that a recipe names; see `is_file`."""
    paths = []
    for name, field in type(recipe).model_fields.items():
        value = getattr(recipe, name)
        if isinstance(value, BaseModel):
            paths += input_files(value)
        elif isinstance(value, str) and is_file(field, value):
            paths.append(Path(split_part(value)[0]))
    return paths


def renamed_files(model: type[BaseModel], values: Mapping[str, object], rename: Callable[[str], str]) -> Values:
    """Return the values of a recipe with its file names changed; see `is_file`."""
    nested, renamed = sections(model), dict(values)
    for name, field in model.model_fields.items():
        value = values.get(name)
        if name in nested and isinstance(value, Mapping):
            renamed[name] = renamed_files(nested[name], value, rename)
        elif isinstance(value, str) and is_file(field, value):
            renamed[name] = rename(value)
    return renamed


def absolute_paths(model: type[BaseModel], values: Mapping[str, object], folder: Path) -> Values:
    """Return the values of a recipe with its file names made absolute, as seen from `folder`; see `is_file`."""
    return renamed_files(model, values, lambda name: absolute_path(name, folder))


def absolute_path(name: str, folder: Path) -> str:
    """Return the absolute path of a file named relative to a folder, without ``..``."""
    path = folder / expanded(name)
    # `..` starts at the real folder, not at a link to it
    return os.path.normpath(Path(os.path.realpath(folder), expanded(name))) if ".." in path.parts else str(path)
