"""The array that a recipe names: in files, or in memory in their place. Free of torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.io.axes import described_axes, view_of
from napari_diner.io.header import Header, unnamed_axes
from napari_diner.io.stacks import probe, read
from napari_diner.tasks.recipe import ArrayRecipe
from napari_diner.tasks.task import Frames


@dataclass(frozen=True)
class StoredArray:
    """An array whose values are read on request."""

    shape: tuple[int, ...]
    """Size along each axis, in order."""
    axes: str
    """Letters of the axes; Y and X are last, and colours behind them."""
    load: Callable[[], Array]
    """Reads the values."""
    nbytes: int = 0
    """Bytes that reading takes; 0 if the values are in memory already."""
    scale_um: tuple[float, ...] = ()
    """Spacing along each axis in micrometres; empty if unknown."""
    pixel_size_um: float | None = None
    """Spacing along X, or None if it is unknown."""
    source: str | None = None
    """File, folder or glob that holds the same values; None if there is none."""
    read_as: Mapping[str, str] = field(default_factory=dict)
    """Settings with which these files give the array."""


def in_memory(recipe: ArrayRecipe, frames: Frames) -> StoredArray:
    """Return an array that takes the place of files, with the axes and the part that a recipe names.

    Raises
    ------
    InputError
        If the recipe's axes do not go with it.
    """
    dtype = np.dtype(frames.array.dtype)
    if frames.axes and len(frames.axes) != len(frames.shape):
        raise InputError(f"The axes {frames.axes} are {len(frames.axes)} but the data have {len(frames.shape)}")
    header = Header(frames.shape, dtype, frames.axes or unnamed_axes(frames.shape, dtype))
    view = view_of(header, "The array", recipe.axes, recipe.select)

    def load() -> Array:
        values = frames.array if all(isinstance(entry, slice) for entry in view.index) else frames.array[view.index]
        return view.ordered(np.asarray(values))

    return StoredArray(
        shape=view.shape,
        axes=view.axes,
        load=load,
        nbytes=0 if isinstance(frames.array, np.ndarray) else header.nbytes,
        scale_um=tuple(frames.scale_um[place] for place in view.kept) if frames.scale_um else (),
        pixel_size_um=frames.pixel_size_um,
        source=frames.source,
        read_as=frames.read_as,
    )


def stack_of(recipe: ArrayRecipe, stack: str | None, frames: Frames | None) -> StoredArray:
    """Return the frames of a recording, (N, Y, X), without reading them.

    Parameters
    ----------
    recipe
        How the array is stored.
    stack
        File, folder or glob.
    frames
        The array that takes its place, if there is one.

    Raises
    ------
    InputError
        If there is none, it cannot be read, or has further axes.
    """
    if frames is not None:
        array = in_memory(recipe, frames)
        others = array.axes[:-3] if not array.axes.endswith("S") else array.axes
        if others:
            raise InputError(
                f"The stack has the axes {described_axes(array.axes, array.shape)}; give frames of one channel as "
                f"(N, Y, X), or choose along the others with {{field}}, such as {others[-1]}=0",
                "select",
            )
        return array
    if stack is None:
        raise InputError("There is no intensity stack; name a multi-page TIFF, a folder or a glob of images", "stack")
    info = probe(stack, axes=recipe.axes, select=recipe.select)
    return StoredArray(
        info.stack_shape, "NYX", lambda: read(info), info.nbytes, pixel_size_um=info.pixel_size_um, source=stack
    )
