"""Reader of model files: a fit opens as a layer that is evaluated on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.folder import WEIGHTS
from napari_diner.io.weights import WeightsFile

if TYPE_CHECKING:
    import dask.array

    from napari_diner.tasks.fit.model import FitModel

LayerData = tuple["dask.array.Array", dict[str, object], str]
COLOURS = (3, 4)
"""Numbers of colour components that napari can show."""


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return the function that opens a file, or None if it is not a fit; only its header is read, without torch."""
    paths = [path] if isinstance(path, str | Path) else list(path)
    return read_fits if paths and all(map(is_fit, paths)) else None


def is_fit(path: str | Path) -> bool:
    """Return whether a file is a fit of napari-diner, of any version."""
    try:
        header = WeightsFile(path).header
    except InputError:
        return False
    return header.get("format") == "napari-diner" and header.get("task") == "fit"


def read_fits(path: str | Sequence[str]) -> list[LayerData]:
    """Return a layer for each model file.

    Raises
    ------
    InputError
        If a file is damaged, or of another version.
    """
    return [layer_of(one) for one in ([path] if isinstance(path, str | Path) else path)]


def layer_of(path: str | Path) -> LayerData:
    """Return the data of a fit, not yet evaluated, with the arguments of their layer.

    The data are a dask array with a chunk for each plane, so that stepping through a volume evaluates only the planes
    that are shown and reads only their part of the file.

    Raises
    ------
    InputError
        If the file is damaged, or of another version.
    """
    # torch takes seconds to load, and napari asks for the reader of every file
    import dask.array

    from napari_diner.tasks.fit.model import FitModel
    from napari_diner.widgets.layers.layer_arguments import axis_labels, units_of

    model = FitModel.open(path)
    layout = model.layout
    data = lazily(model)
    axes, scale = layout.axes, layout.scale_um
    rgb = axes.endswith("S") and layout.shape[-1] in COLOURS
    if axes.endswith("S") and not rgb:
        # colours that napari cannot show become channels with a slider
        data = dask.array.moveaxis(data, -1, 0)
        axes, scale = "C" + axes[:-1], (1.0, *scale[:-1])
    letters = axes.removesuffix("S")
    file = Path(path)
    arguments: dict[str, object] = {
        "name": file.absolute().parent.name if file.name == WEIGHTS else file.stem,
        "rgb": rgb,
        "scale": scale[: len(letters)],
        "units": units_of(letters, scale if model.recipe.pixel_size_um is None else ()),
        "axis_labels": axis_labels(letters),
        "metadata": {
            "recipe": model.recipe.model_dump(mode="json"),
            "report": {"task": "fit", "model_bytes": model.file_bytes, "bits_per_pixel": model.bits_per_pixel},
            "unit": "1",
        },
    }
    if not rgb:
        high = layout.high if layout.high > layout.low else layout.low + 1
        arguments |= {"colormap": "gray", "contrast_limits": (layout.low, high)}
    return data, arguments, "image"


class Planes:
    """A model that can be sliced like an array, with real numbers as float32, since napari does not show float64.

    Parameters
    ----------
    model
        The model.
    """

    def __init__(self, model: FitModel) -> None:
        self._model = model
        self.shape = model.shape
        self.ndim = len(model.shape)
        self.dtype = model.dtype if model.dtype.kind in "ui" else np.dtype(np.float32)

    def __getitem__(self, index: tuple[slice | int, ...]) -> npt.NDArray[np.generic]:
        return self._model.evaluate(index).astype(self.dtype, copy=False)


def lazily(model: FitModel) -> dask.array.Array:
    """Return the data of a model as a dask array with a chunk for each plane, colours whole."""
    import dask.array

    planes = Planes(model)
    whole = 3 if model.axes.endswith("S") else 2
    chunks = (1,) * (planes.ndim - whole) + planes.shape[-whole:]
    # one plane at a time, since each uses all cores; a random name, since the file may change
    empty = np.empty((0,) * planes.ndim, planes.dtype)
    return dask.array.from_array(planes, chunks, name=False, lock=True, asarray=False, fancy=False, meta=empty)
