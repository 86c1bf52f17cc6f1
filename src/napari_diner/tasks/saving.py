"""Writing a result to a folder, and reading it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_diner import __version__
from napari_diner.errors import InputError
from napari_diner.io.contents import image_name, is_image, read_image_file, write_contents
from napari_diner.io.folder import RECIPE, REPORT, WEIGHTS, check_space, destination, recover, staged
from napari_diner.io.places import expanded
from napari_diner.io.texts import read_json
from napari_diner.io.weights import WeightsFile
from napari_diner.tasks.attached import named, stored
from napari_diner.tasks.recipe import input_files, read_yaml
from napari_diner.tasks.result import Result
from napari_diner.tasks.sharing import shared, without_folders

FORMAT_VERSION = "1"
"""Version of the layout of ``model.safetensors``."""
# to read a result that others replace meanwhile
_ATTEMPTS = 5


def save(result: Result, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a result into a folder, all or nothing; files that the recipe names are never replaced.

    The folder receives an image for each array in the format of the recipe's ``save_as``, ``recipe.yaml``,
    ``report.json`` and, if the result has weights, ``model.safetensors``, whose header describes how to evaluate them.

    Parameters
    ----------
    result
        What to save.
    folder
        The folder; it and its parents are created if needed.
    overwrite
        Whether results in the folder may be replaced; other files in it are kept.

    Raises
    ------
    OutputError
        If the folder cannot be written, is not empty and `overwrite` is not set, or contains inputs or foreign
        files that would be replaced.
    """
    check_space(folder, result.nbytes)
    with staged(folder, overwrite, input_files(result.recipe)) as stage:
        write_result(result, stage)


def write_result(result: Result, folder: Path, others: Sequence[str] = ()) -> None:
    """Write the files of a result into an existing folder, such as a staged one.

    The report lists them, and `others`, which belong to the result and are already there. Images that were arrays in
    place of files become files of the result. Names of files are relative to the final place of the folder, see
    `napari_diner.tasks.sharing`.
    """
    place = destination(folder)
    complete, images = stored(result.recipe, result.images, folder)
    recipe = shared(named(complete, dict(zip(result.images, (place / name for name in images), strict=True))), place)
    names = [image_name(array.name, recipe.save_as) for array in result.arrays] + [RECIPE, REPORT]
    names += [*([WEIGHTS] if result.weights else []), *others, *images]
    report = {**result.report, "partial": result.partial, "files": sorted(names)}
    files = {RECIPE: recipe.to_yaml(), REPORT: without_folders(to_json(report), result.recipe, place)}
    metadata = {
        "format": "napari-diner",
        "format_version": FORMAT_VERSION,
        "task": result.task,
        "recipe": json.dumps(recipe.model_dump(mode="json")),
    }
    if result.arrays:
        metadata |= {"axes": result.arrays[0].axes, "scale_um": json.dumps(result.arrays[0].scale_um)}
    origin = {name: metadata[name] for name in ("format_version", "task", "recipe")} | {"version": __version__}
    write_contents(
        folder,
        result.arrays,
        files,
        weights=result.weights,
        metadata={**metadata, **result.header},
        image_format=recipe.save_as,
        origin={**origin, "recipe": recipe.model_dump(mode="json")},
    )


def load(folder: str | Path, *, chosen: Callable[[str], bool] = is_image) -> Result:
    """Read a saved result: arrays, recipe, report and the content of the model file.

    Parameters
    ----------
    folder
        The folder.
    chosen
        Which of the images are read, by their names in the folder.

    Raises
    ------
    InputError
        If the folder contains no result, or one of a task that is not installed.
    """
    folder = expanded(folder)
    recover(folder)
    for _ in range(_ATTEMPTS):
        before = _version(folder)
        try:
            result = _read(folder, chosen)
        except (InputError, OSError):
            if _version(folder) == before:
                raise
        else:
            if _version(folder) == before:
                return result
    raise InputError(f"The result in {folder} was replaced while it was read; try again")


def _version(folder: Path) -> tuple[int, int] | None:
    """Return what changes when another result takes the place of the one in a folder; None if there is none."""
    try:
        stat = (folder / REPORT).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _read(folder: Path, chosen: Callable[[str], bool]) -> Result:
    from napari_diner.tasks.registry import task

    try:
        report = read_json(folder / REPORT)
    except InputError:
        report = None
    files = report.get("files") if isinstance(report, dict) else None
    if not isinstance(report, dict) or not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        raise InputError(f"{folder} holds no result of napari-diner; give a folder with a {REPORT}")
    names = [Path(name).name for name in files]  # a report could name files elsewhere
    arrays = tuple(read_image_file(folder / name) for name in names if is_image(name) and chosen(name))
    values = read_yaml(folder / RECIPE)
    recipe = task(str(values.get("task"))).recipe_type.load(folder / RECIPE)
    weights, header = {}, {}
    if WEIGHTS in names:
        file = WeightsFile(folder / WEIGHTS)
        weights = {name: file.read(name) for name in file.shapes}
        header = dict(file.header)
    partial = bool(report.get("partial"))
    return Result(recipe.task, arrays, recipe, {**report, "files": names}, weights, header, partial)


def to_json(values: object) -> str:
    """Return values as standard JSON: NumPy numbers as plain ones, numbers that are not finite as null."""
    return json.dumps(_plain(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
