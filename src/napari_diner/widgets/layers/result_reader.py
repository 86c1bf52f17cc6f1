"""Reader of saved results: a folder, or one of its files, opens as the layers that the run had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diner.io.folder import RECIPE, REPORT
from napari_diner.widgets.fit.model_reader import is_fit

if TYPE_CHECKING:
    from napari_diner.io.arrays import NamedArray
    from napari_diner.tasks.result import Result
    from napari_diner.widgets.layers.layer_arguments import LayerArguments

LayerData = tuple[object, dict[str, object], str]


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return the function that opens results, or None if a path is not a result, judged by its report.

    Model files of fits have a reader of their own, which evaluates them on demand.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    belong = paths and all(folder_of(one) is not None for one in paths)
    return (
        read_results
        if belong and not any(Path(one).suffix == ".safetensors" and is_fit(one) for one in paths)
        else None
    )


def folder_of(path: str | Path) -> Path | None:
    """Return the folder of the result of a path, or None if there is none."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    return folder if (folder / REPORT).is_file() and (folder / RECIPE).is_file() else None


def read_results(path: str | Sequence[str]) -> list[LayerData]:
    """Return the layers of each path: one for an image file, and all of the result for any other file or a folder.

    Raises
    ------
    InputError
        If a result is damaged, or of a task that is not installed.
    """
    return [layer for one in ([path] if isinstance(path, str | Path) else path) for layer in _layers(Path(one))]


def _layers(path: Path) -> list[LayerData]:
    # napari asks for the reader of every file, so slow imports are deferred until here
    from napari_diner.tasks.saving import load
    from napari_diner.widgets.layers.result_layers import metadata_of

    result = load(folder_of(path) or path)
    arrays = [array for array in result.arrays if f"{array.name}.tif" == path.name] or list(result.arrays)
    layers: list[LayerData] = []
    # the last layer is on top
    for array in sorted(arrays, key=lambda array: -array.data.ndim):
        arguments = _arguments(result, array) | {"metadata": metadata_of(result, array)}
        if len(arrays) == 1:
            arguments["visible"] = True
        layers.append((arguments.pop("data"), arguments, "image"))
    return layers


def _arguments(result: Result, array: NamedArray) -> LayerArguments:
    from napari_diner.tasks.idt.recipe import IdtRecipe
    from napari_diner.widgets.idt.volume_layers import volume_arguments
    from napari_diner.widgets.layers.layer_arguments import layer_arguments

    return (
        volume_arguments(array, result.recipe)
        if isinstance(result.recipe, IdtRecipe) and array.axes == "ZYX"
        else layer_arguments(array)
    )
