"""The array named in a recipe: in files, or in memory in their place. Does not import torch."""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_diner.device import check_memory
from napari_diner.errors import DinerError, InputError, one_line
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index, described_axes, view_of
from napari_diner.io.header import Header, unnamed_axes
from napari_diner.io.parts import split_part
from napari_diner.io.places import expanded
from napari_diner.io.signals import NOT_SQUARE
from napari_diner.io.stacks import check_axis_of_frames, grey, probe, read
from napari_diner.tasks.recipe import ArrayRecipe
from napari_diner.tasks.task import Frames


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Files that an array was read from, and remarks about it."""

    pixel_size_um: float | None = None
    """Distance between neighbouring pixels according to the files, or None."""
    source: str | None = None
    """File, folder or glob with the same values; None if there is none."""
    read_as: Mapping[str, str] = field(default_factory=dict)
    """Settings that select the array in these files."""
    files: tuple[str, ...] = ()
    """One file with everything, or one for each frame in order; empty if there are none."""
    notes: tuple[str, ...] = ()
    """Notes on conversions of the numbers in the files."""
    warnings: tuple[str, ...] = ()
    """Warnings about the array."""
    missing: str = ""
    """Numbers in the files that are read as NaN; see `napari_diner.io.header.Header`."""


@dataclass(frozen=True)
class StoredArray(Origin):
    """An array whose values are read on request."""

    shape: tuple[int, ...]
    """Size along each axis, in order."""
    axes: str
    """Letters of the axes; Y and X are last, and colours behind them."""
    load: Callable[[], Array]
    """Reads the values."""
    nbytes: int = 0
    """Bytes for reading; 0 if the values are in memory already."""
    scale_um: tuple[float, ...] = ()
    """Spacing along each axis in micrometres; empty if unknown."""
    is_copy: bool = False
    """Whether the values are in memory and supposedly the same as in `source`."""

    def values(self, again: Callable[[str], Array]) -> tuple[Array, str | None]:
        """Read the values, and return them with their source, which is None if its values differ.

        An array in memory may have been cropped, edited or computed from its file.

        Parameters
        ----------
        again
            Reads an array from a source, with the settings of `read_as`.
        """
        values = self.load()
        source = self.source
        if self.is_copy and source is not None:
            try:
                stored = again(source)
            except DinerError:
                return values, None
            if not same(stored, values):
                return values, None
        return values, source


def in_memory(recipe: ArrayRecipe, frames: Frames) -> StoredArray:
    """Return an array in place of files, with the axes and the part named in a recipe.

    Raises
    ------
    InputError
        If the recipe's axes do not match it.
    """
    dtype = np.dtype(frames.array.dtype)
    if frames.axes and len(frames.axes) != len(frames.shape):
        raise InputError(f"The axes {frames.axes} are {len(frames.axes)} but the data have {len(frames.shape)}")
    header = Header(frames.shape, dtype, frames.axes or unnamed_axes(frames.shape, dtype))
    view = view_of(header, "The array", recipe.axes, recipe.select)

    def load() -> Array:
        is_whole = all(isinstance(entry, slice) for entry in view.index)
        return view.ordered(computed(frames.array, None if is_whole else view.index))

    return StoredArray(
        shape=view.shape,
        axes=view.axes,
        load=load,
        nbytes=0 if isinstance(frames.array, np.ndarray) else header.nbytes,
        scale_um=tuple(frames.scale_um[place] for place in view.kept) if frames.scale_um else (),
        pixel_size_um=frames.pixel_size_um,
        source=frames.source,
        read_as=frames.read_as,
        is_copy=not frames.is_certain,
    )


def computed(array: Any, index: Index | None = None) -> Array:
    """Return an array, or a part of it, that may be lazy.

    Raises
    ------
    InputError
        If its values cannot be read, whatever the library behind it says.
    """
    if isinstance(array, np.ndarray):
        return array if index is None else np.asarray(array[index])
    try:
        return np.asarray(array if index is None else array[index])
    except (DinerError, MemoryError):
        raise
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise InputError(f"The values cannot be read ({reason}); check that the files behind them exist") from error


def stack_of(recipe: ArrayRecipe, stack: str | None, frames: Frames | None, pixel_size_um: float | None) -> StoredArray:
    """Return the frames of a recording, (N, Y, X), without reading them.

    Parameters
    ----------
    recipe
        Recipe with axes and selection.
    stack
        File, folder or glob.
    frames
        The array in its place, if there is one.
    pixel_size_um
        Pixel size of the recipe; None for that of the files.

    Raises
    ------
    InputError
        If it is missing, cannot be read, has further axes, or has pixels that are not square.
    """
    if frames is not None:
        array = in_memory(recipe, frames)
        if array.source is None and stack is not None:
            array = replace(array, source=stack, read_as={"axes": recipe.axes, "select": recipe.select})
        letters = array.axes.removesuffix("S")
        if len(letters) > 3:
            raise InputError(
                f"The stack has the axes {described_axes(array.axes, array.shape)}; give frames of one channel as "
                f"(N, Y, X), or choose along the others with {{field}}, such as {letters[-4]}=0",
                "select",
            )
        check_axis_of_frames(array.axes, array.shape, recipe.select, "the stack")
        if len(frames.shape) < 3:  # the check of the frames refuses it
            return array
        shape = ((1, *array.shape) if len(letters) == 2 else array.shape)[:3]
        part = replace(
            array, shape=shape, axes="NYX", load=lambda: grey(array.load(), array.axes, "The stack").reshape(shape)
        )
        sides = dict(zip(array.axes, array.scale_um, strict=False))
        return _with_square_pixels(_with_files(replace(part, files=frames.files)), "the stack", sides, pixel_size_um)
    if stack is None:
        raise InputError("There is no intensity stack; name a multi-page TIFF, a folder or a glob of images", "stack")
    check_there(recipe, stack, "stack")
    info = probe(stack, axes=recipe.axes, select=recipe.select)
    array = StoredArray(
        info.stack_shape,
        "NYX",
        lambda: read(info),
        info.nbytes,
        pixel_size_um=info.pixel_size_um,
        source=stack,
        files=info.files,
        notes=info.header.notes,
        missing=info.header.missing,
    )
    return _with_square_pixels(array, stack, info.header.scale_um, pixel_size_um)


def _with_square_pixels(
    array: StoredArray, name: str, scale_um: Mapping[str, float], pixel_size_um: float | None
) -> StoredArray:
    """Return an array with a warning if its pixels are not square but a pixel size is given.

    Raises
    ------
    InputError
        If none is given.
    """
    if not {"Y", "X"} <= scale_um.keys() or math.isclose(scale_um["Y"], scale_um["X"], rel_tol=NOT_SQUARE):
        return array
    sides = f"not square ({scale_um['Y']:.5g} × {scale_um['X']:.5g} µm)"
    if pixel_size_um is None:
        raise InputError(
            f"The pixels of {name} are {sides}; resample the frames, or give {{field}} if that is wrong",
            "pixel_size_um",
        )
    doubt = f"the pixels of {name} are {sides}, but are taken as squares of {pixel_size_um:g} µm"
    return replace(array, warnings=(*array.warnings, doubt))


def check_there(recipe: ArrayRecipe, source: str, field: str) -> None:
    """Check that the data of a recipe saved with a result still exist.

    Raises
    ------
    InputError
        If they are not.
    """
    path = expanded(split_part(source)[0])
    if recipe.input_sha256 and not glob.has_magic(str(path)) and not path.exists():
        raise InputError(
            f"{source} does not exist; names in this recipe are relative to its folder, so put the data there, "
            "or name them with {field}",
            field,
        )


def _with_files(array: StoredArray) -> StoredArray:
    """Return an array in memory with the metadata of the files with the same frames."""
    try:
        info = probe(array.source, **array.read_as) if array.source else None
    except InputError:
        info = None  # the array takes precedence
    if info is None or math.prod(info.stack_shape) != math.prod(array.shape):
        return array
    array = replace(array, files=info.files)
    if not info.header.notes:
        return array
    if same(read(info), array.load()):
        return replace(array, notes=info.header.notes, missing=info.header.missing)
    note = "; ".join(info.header.notes)
    doubt = f"the layer does not hold what its file means ({note}); open {array.source} with the button of the dock"
    return replace(array, warnings=(doubt,))


def read_stack(source: str, read_as: Mapping[str, str]) -> Array:
    """Read the frames of a recording from files, (N, Y, X), if they fit the memory."""
    info = probe(source, **read_as)
    check_memory(info.nbytes, f"The stack in {source}")
    return read(info)


def same(one: Array, other: Array) -> bool:
    """Return whether arrays have the same values of the same type, in whatever byte order."""
    alike = one.shape == other.shape and one.dtype.newbyteorder("=") == other.dtype.newbyteorder("=")
    return alike and bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
