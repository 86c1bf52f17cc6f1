"""Images that were arrays instead of files, stored beside a recipe so that every front door can run it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_diner.errors import DinerError
from napari_diner.io.arrays import Array
from napari_diner.io.images import read_image
from napari_diner.tasks.recipe import Recipe, merge
from napari_diner.tasks.stored_array import same

RecipeT = TypeVar("RecipeT", bound=Recipe)


def without_files(recipe: Recipe, images: Mapping[str, Array]) -> dict[str, Array]:
    """Return the images that are not the content of the file that a recipe names for them.

    Parameters
    ----------
    recipe
        The recipe.
    images
        Images that are used instead of files, by the keys of the recipe, such as ``"preprocess.dark"``.
    """
    return {key: image for key, image in images.items() if not _holds(_value(recipe, key), image)}


def stored(recipe: RecipeT, images: Mapping[str, Array], folder: Path, prefix: str = "") -> tuple[RecipeT, list[str]]:
    """Write images into a folder, and return the recipe that names these files, and their names.

    Existing files with other content are kept.

    Parameters
    ----------
    recipe, images
        See `without_files`.
    folder
        Where to write.
    prefix
        Start of the names of the files.
    """
    names: list[str] = []
    for key, image in images.items():
        stem, number = f"{prefix}{key.rpartition('.')[2]}", 1
        name = f"{stem}.npy"
        while (folder / name).exists() and not _holds(str(folder / name), image):
            number += 1
            name = f"{stem}-{number}.npy"
        if not (folder / name).exists():
            np.save(folder / name, image, allow_pickle=False)
        names.append(name)
    return named(recipe, dict(zip(images, (folder / name for name in names), strict=True))), names


def named(recipe: RecipeT, files: Mapping[str, Path]) -> RecipeT:
    """Return a recipe with other files, by its keys."""
    values = recipe.model_dump(exclude_unset=True)
    for key, file in files.items():
        section, _, name = key.rpartition(".")
        values = merge(values, {section: {name: str(file)}} if section else {name: str(file)})
    return type(recipe).parse(values)


def _value(recipe: Recipe, key: str) -> str | None:
    value: object = recipe
    for name in key.split("."):
        value = getattr(value, name)
    return value if isinstance(value, str) else None


def _holds(file: str | None, image: Array) -> bool:
    """Return whether a file holds an image; False if there is no such file."""
    try:
        return file is not None and Path(file).exists() and same(read_image(file), np.asarray(image))
    except DinerError:
        return False
