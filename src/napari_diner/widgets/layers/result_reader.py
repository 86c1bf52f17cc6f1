"""Reader of saved results: a folder, or one of its files, opens as the layers that the run had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diner.io.folder import RECIPE, REPORT
from napari_diner.io.ome_zarr import is_written_here, is_zarr
from napari_diner.widgets.fit.model_reader import is_fit

if TYPE_CHECKING:
    from napari_diner.io.arrays import NamedArray
    from napari_diner.tasks.result import Result
    from napari_diner.widgets.layers.layer_arguments import LayerArguments

LayerData = tuple[object, dict[str, Any], str]
_LARGE = 2**29
"""Bytes of an image beyond which it is shown in several resolutions."""


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return the function that opens results, or None if a path is not a result, judged by its report.

    Model files of fits have a reader of their own, which evaluates them on demand.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    belong = paths and all(folder_of(one) is not None or is_written_here(Path(one)) for one in paths)
    return (
        read_results
        if belong and not any(Path(one).suffix == ".safetensors" and is_fit(one) for one in paths)
        else None
    )


def folder_of(path: str | Path) -> Path | None:
    """Return the folder of the result of a path, or None if there is none."""
    folder = Path(path) if Path(path).is_dir() and not is_zarr(Path(path)) else Path(path).parent
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
    from napari_diner.tasks.idt.regions import DEVIATIONS
    from napari_diner.tasks.saving import load

    folder = folder_of(path)
    if folder is None:  # an image that was moved or rendered
        return [_lazy_layer(path, None)]
    result = load(folder, chosen=lambda name: not name.endswith(".zarr"))
    stored = [folder / name for name in result.report["files"] if name.endswith(".zarr")]
    arrays = [array for array in result.arrays if f"{array.name}.tif" == path.name]
    images = [image for image in stored if image.name == path.name]
    if not arrays and not images:
        arrays = [array for array in result.arrays if array.name != DEVIATIONS]
        images = [image for image in stored if not image.name.startswith(DEVIATIONS)]
    layers = [*(_layer(result, array) for array in arrays), *(_lazy_layer(image, result) for image in images)]
    if len(layers) == 1:
        layers[0][1]["visible"] = True
    # the last layer is on top; those that are hidden at first are below
    return sorted(layers, key=lambda layer: (layer[1].get("visible", True), -len(layer[1]["axis_labels"])))


def _layer(result: Result, array: NamedArray) -> LayerData:
    from napari_diner.widgets.layers.result_layers import metadata_of, with_remarks

    arguments = _arguments(result, array) | {"metadata": metadata_of(result, array)}
    arguments["name"] = with_remarks(array.name, ["partial"] * result.partial)
    return arguments.pop("data"), arguments, "image"


def _lazy_layer(path: Path, result: Result | None) -> LayerData:
    """Return the layer of an image in OME-Zarr, whose values are read as they are shown.

    A large image has all its levels, of which napari reads the one that suits the zoom; colours and contrast are
    those of the smallest level.
    """
    import dask.array
    import numpy as np

    from napari_diner.io.arrays import NamedArray
    from napari_diner.io.ome_zarr_writing import StoredImage
    from napari_diner.widgets.layers.layer_arguments import layer_arguments

    image = StoredImage.open(path)
    small = NamedArray(
        image.name, np.asarray(image.levels[-1][...]).transpose(image.back), image.axes, image.scale_um, image.unit
    )
    if result is None:
        arguments = layer_arguments(small) | {"metadata": {**image.origin, "unit": image.unit}}
    else:
        _, arguments, _ = _layer(result, small)
    arguments.pop("data", None)
    levels = [dask.array.from_zarr(level).transpose(image.back) for level in image.levels]
    if levels[0].dtype.kind == "f":
        levels = [level.astype(np.float32) for level in levels]
    is_large = levels[0].nbytes > _LARGE
    return levels if is_large else levels[0], arguments | {"multiscale": is_large}, "image"


def _arguments(result: Result, array: NamedArray) -> LayerArguments:
    from napari_diner.tasks.idt.recipe import IdtRecipe
    from napari_diner.widgets.idt.volume_layers import volume_arguments
    from napari_diner.widgets.layers.layer_arguments import layer_arguments, units_of

    if getattr(result.recipe, "pixel_size_um", None) is None:
        return layer_arguments(array) | {"units": units_of(array.axes.removesuffix("S"), array.scale_um)}
    if not isinstance(result.recipe, IdtRecipe):
        return layer_arguments(array)
    if array.axes.endswith("ZYX"):
        return volume_arguments(array, result.recipe)
    # as after the run: it would cover the volume
    return layer_arguments(array) | {"visible": array.name != "residual"}
