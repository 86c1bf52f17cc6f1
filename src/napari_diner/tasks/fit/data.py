"""The data of a fit: reading, checks, and conversion to samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.device import check_memory
from napari_diner.errors import DinerError, InputError
from napari_diner.io.arrays import Array
from napari_diner.io.formats import IMAGES
from napari_diner.io.signals import SignalInfo, probe_signal, read_signal
from napari_diner.tasks.fit.axis_order import exchanged_axes, narrow_images
from napari_diner.tasks.fit.layout import Layout
from napari_diner.tasks.fit.memory import plan
from napari_diner.tasks.fit.range import jumps, range_of
from napari_diner.tasks.fit.recipe import FitRecipe, check_axes
from napari_diner.tasks.memory import MemoryPlan
from napari_diner.tasks.stored_array import check_there, computed, in_memory, same
from napari_diner.tasks.task import Frames

_USUAL_AXES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}
_LARGEST_EXACT_BITS = 16


@dataclass(frozen=True)
class FitData:
    """Data to fit, as recorded."""

    data: npt.NDArray[Any]
    """Image, stack, volume or video, in the type of its source."""
    axes: str = ""
    """Letters of its axes in order; empty for the usual ones, as in ZYX."""
    scale_um: tuple[float, ...] = ()
    """Spacing along each axis in micrometres, 1.0 along axes that are not lengths; empty for 1.0 throughout."""
    source: str | None = None
    """File, folder or glob of the data."""
    source_bytes: int | None = None
    """Size of those files."""
    stored_axes: str = ""
    """Letters of the axes in the order in which the source stores them; empty if that is the order of `axes`."""
    read_as: Mapping[str, str] = field(default_factory=dict)
    """Settings that select these data in the source."""
    missing: str = ""
    """Numbers in the source that are read as NaN; see `napari_diner.io.header.Header`."""

    @property
    def frames(self) -> Array:
        """The data, as those of a recording are called."""
        return self.data


def planned(recipe: FitRecipe, frames: Frames | None = None) -> MemoryPlan:
    """Return the planned memory of a fit; see `napari_diner.tasks.task.Task.plan`."""
    if frames is None:
        info = _header(recipe)
        return plan(recipe, info.shape, info.axes, info.dtype, info.nbytes)
    array = in_memory(recipe, frames)
    return plan(recipe, array.shape, array.axes, np.dtype(frames.array.dtype), array.nbytes)


def _header(recipe: FitRecipe) -> SignalInfo:
    if recipe.image is None:
        raise InputError(f"There is nothing to fit; name a {IMAGES} file, or a folder of frames")
    check_there(recipe, recipe.image, "image")
    return probe_signal(recipe.image, recipe.axes, recipe.select)


def assemble(recipe: FitRecipe, frames: Frames | None = None) -> FitData:
    """Return the data of a recipe; see `napari_diner.tasks.task.Task.assemble`.

    Lazy arrays are read after a check that they fit the memory.

    Raises
    ------
    DinerError
        As for `napari_diner.tasks.task.Task.assemble`.
    """
    planned(recipe, frames).check()
    if frames is None:
        info = _header(recipe)
        # of a part, the size in the files is unknown
        size = None if recipe.select else info.file_bytes
        stored_axes, missing = info.view.stored_axes, info.header.missing
        return FitData(read_signal(info), info.axes, info.scale_um, recipe.image, size, stored_axes, missing=missing)
    named = bool(recipe.axes or recipe.select or frames.axes)
    array = in_memory(recipe, frames)
    if not named:
        array = replace(array, load=lambda: computed(frames.array), axes="", scale_um=frames.scale_um)
    values = array.load()
    source = frames.source or recipe.image
    file = None if source is None or frames.is_certain else _file_of(values, source, frames.read_as)
    if file is None:
        source = source if frames.is_certain else None
        return FitData(values, array.axes, array.scale_um, source, None, recipe.axes, frames.read_as)
    stored_axes = file.view.renamed(array.axes) if named else ""
    facts = file.source, file.file_bytes, stored_axes, frames.read_as, file.header.missing
    return FitData(values, array.axes, array.scale_um, *facts)


def _file_of(values: Array, source: str, read_as: Mapping[str, str]) -> SignalInfo | None:
    """Return the header of the files with these values, or None if the files have changed."""
    try:
        info = probe_signal(source, **read_as)
        check_memory(info.nbytes, _described(info.shape))
        return info if info.may_hold(values.shape) and same(read_signal(info), values) else None
    except DinerError:
        return None


def with_axes(recipe: FitRecipe, data: FitData) -> FitData:
    """Return data with all axes and spacings: those of the recipe, of the data, or the usual ones.

    Raises
    ------
    InputError
        If the axes do not match the data.
    """
    array = np.asarray(data.data)
    axes = data.axes or recipe.axes
    if not axes:
        coloured = array.ndim > 2 and array.shape[-1] in (3, 4) and array.dtype == np.uint8
        plain = _USUAL_AXES.get(array.ndim - coloured)
        if plain is None:
            raise InputError(
                f"Data of shape {_described(array.shape)} have no usual axes; name them by {{field}}, as in TCZYX",
                "axes",
            )
        axes = plain + "S" * coloured
    try:
        check_axes(axes)
    except ValueError as error:
        raise InputError(f"The axes {axes} cannot be used: {error}") from None
    if len(axes) != array.ndim:
        raise InputError(
            f"The axes {axes} are {len(axes)} but the data, {_described(array.shape)}, have {array.ndim}; "
            "name each axis in {field}",
            "axes",
        )
    if array.size == 0:
        raise InputError("The data are empty; choose another file")
    scale = list(data.scale_um or (1.0,) * array.ndim)
    for place, axis in enumerate(axes):
        if axis in "YX" and recipe.pixel_size_um is not None:
            scale[place] = recipe.pixel_size_um
        if axis == "Z" and recipe.z_step_um is not None:
            scale[place] = recipe.z_step_um
    return replace(data, data=array, axes=axes, scale_um=tuple(scale))


def layout_of(recipe: FitRecipe, data: FitData) -> tuple[Layout, list[str]]:
    """Check data with named axes; return their layout as samples, and warnings about their range.

    Raises
    ------
    InputError
        If the data are not real numbers, not finite, or cannot be reproduced bit for bit if the recipe asks for that.
    """
    array = data.data
    if array.dtype.kind not in "uif":
        cure = "give integers or real numbers"
        if array.dtype.kind == "b":
            cure = "convert the mask to 8 bits, with the values 0 and 1"
        elif array.dtype.kind == "c":
            cure = "give amplitude and phase, or real and imaginary part, as channels"
        raise InputError(f"The data are of type {array.dtype}; {cure}")
    if array.dtype.itemsize > (8 if array.dtype.kind == "f" else 4):
        raise InputError(f"The data are of type {array.dtype}, too wide for an image file; convert to 32 bits or less")
    if recipe.bit_exact and (array.dtype.kind == "f" or array.dtype.itemsize * 8 > _LARGEST_EXACT_BITS):
        raise InputError(
            f"Data of type {array.dtype} cannot be reproduced bit for bit, only integers of up to 16 bits can; "
            "leave out {field}",
            "bit_exact",
        )
    low, high, warnings = range_of(array, data.missing)
    order = data.axes, data.stored_axes
    warnings += [*jumps(array, data.axes), *exchanged_axes(array, *order), *narrow_images(array.shape, *order)]
    layout = Layout(
        axes=data.axes,
        shape=array.shape,
        dtype=array.dtype.name,
        scale_um=data.scale_um,
        low=low,
        high=high,
        separate=recipe.channels == "separate" or recipe.bit_exact,
    )
    return layout, warnings


def _described(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape)
