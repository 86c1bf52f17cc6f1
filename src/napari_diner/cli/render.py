"""The command that evaluates a saved fit: as a whole, in part, or at another sampling."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from cyclopts import Parameter

from napari_diner import memory
from napari_diner.cli.output import OUTPUT, Quiet, ReplaceFile, check_file, file_written
from napari_diner.errors import InputError, OutputError, quoted
from napari_diner.io.folder import check_space
from napari_diner.tasks.fit.region import HIGHEST_ORDER

if TYPE_CHECKING:
    from napari_diner.tasks.fit.region import Index
    from napari_diner.tasks.fit.rendering import Rendering

_PLACE = re.compile(r"\s*([A-Za-z])\s*=\s*([-+\d:\s]+)")


def render(
    model: Annotated[Path, Parameter(help="The model.safetensors of a fit, or the folder that contains it.")],
    /,
    *,
    output: Annotated[
        Path, OUTPUT, Parameter(help="TIFF file, or OME-Zarr folder (.ome.zarr) of any size, for the rendering.")
    ],
    region: Annotated[
        str,
        Parameter(help="Part to evaluate, by the letters of the axes, e.g. z=3,y=10:50,x=::2; default: all."),
    ] = "",
    zoom: Annotated[
        str,
        Parameter(help="Samples per sample of the data: one number for Y and X, or one per axis except colours."),
    ] = "1",
    order: Annotated[int, Parameter(help="Order of the splines between the samples of a DINER, 0 to 5.")] = 1,
    overwrite: ReplaceFile = False,
    quiet: Quiet = False,
) -> int:
    """Evaluate a saved fit: as a whole, in part, or at another sampling."""
    is_zarr = output.suffix.lower() == ".zarr"
    if is_zarr and output.exists():
        raise OutputError(f"The output {output} exists, and folders are not replaced; choose another name")
    if is_zarr and find_spec("zarr") is None:
        raise OutputError(f"The output {output} needs another library; pip install zarr, or write a TIFF file")
    check_file(output, overwrite, "TIFF", (".tif", ".tiff", ".zarr"), [model])
    factors = _numbers(zoom)
    if not 0 <= order <= HIGHEST_ORDER:
        raise InputError(f"The order of the splines is {order}; choose one from 0 to {HIGHEST_ORDER}")
    from napari_diner.tasks.fit.model import FitModel

    saved = FitModel.open(model)
    rendering = saved.rendering(parse_region(region, saved.axes, saved.shape), factors, order)
    if not is_zarr:
        cure = f"write it to an OME-Zarr folder, such as {output.stem}.ome.zarr"
        memory.check(rendering.nbytes, "This rendering", cure)
    check_space(output.parent, rendering.nbytes)
    with file_written(output, lambda path: (_write_zarr if is_zarr else _write_tiff)(path, rendering), overwrite):
        if not quiet:
            sizes = " × ".join(str(size) for size in rendering.shape)
            print(f"{sizes} ({rendering.axes}, {rendering.dtype}) in {output}")
    return 0


def _write_tiff(path: Path, rendering: Rendering) -> None:
    from napari_diner.io.arrays import NamedArray
    from napari_diner.io.ometiff import write_array

    write_array(path, NamedArray("rendering", rendering[()], rendering.axes, rendering.scale_um))


def _write_zarr(path: Path, rendering: Rendering) -> None:
    from napari_diner.io.arrays import Array, NamedArray
    from napari_diner.io.ome_zarr_writing import write_zarr

    # each region is computed when it is written
    write_zarr(path, NamedArray("rendering", cast(Array, rendering), rendering.axes, rendering.scale_um))


def parse_region(text: str, axes: str, shape: tuple[int, ...]) -> list[Index]:
    """Return the index for a region such as ``"z=3,y=10:50"``, with one entry for each axis.

    A number is one position and drops its axis; ``start:stop:step`` is as in Python, except that positions outside the
    data are errors; other axes are complete.

    Raises
    ------
    InputError
        If it cannot be parsed, names an unknown axis or one axis twice, lies outside the data, or is not at least a
        plane.
    """
    index: dict[str, Index] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _PLACE.fullmatch(part)
        numbers = match[2].split(":") if match else []
        try:
            values = [int(number) if number.strip() else None for number in numbers]
        except ValueError:
            values = []
        if match is None or not 1 <= len(values) <= 3 or (len(values) == 1 and values[0] is None):
            raise InputError(f"The region {quoted(part)} is not understood; write it as in z=3,y=10:50,x=::2")
        axis = match[1].upper()
        if axis not in axes:
            raise InputError(f"The model has no axis {axis}; its axes are {_described(axes, shape)}")
        if axis in index:
            raise InputError(f"The region names the axis {axis} twice; name each once")
        size = shape[axes.index(axis)]
        if any(value is not None and not -size <= value <= size for value in values[:2]):
            raise InputError(f"The region {quoted(part)} lies outside; {axis} goes from 0 to {size - 1}")
        start = values[0]
        if len(values) > 1 or start is None:
            index[axis] = slice(*values)
            if values[2:] == [0] or not range(size)[index[axis]]:
                raise InputError(f"The region {quoted(part)} is empty; {axis} goes from 0 to {size - 1}")
            continue
        if start == size:
            raise InputError(f"The region {quoted(part)} lies outside; {axis} goes from 0 to {size - 1}")
        if axis in "YX":
            raise InputError(
                f"The region {quoted(part)} leaves no image; write {axis.lower()}={start}:{start + 1 or ''}"
            )
        index[axis] = start
    return [index.get(axis, slice(None)) for axis in axes]


def _numbers(text: str) -> float | list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"The zoom {quoted(text)} is not a number; write it as in 2, or 1,2,2 for ZYX") from None
    return numbers[0] if len(numbers) == 1 else numbers


def _described(axes: str, shape: tuple[int, ...]) -> str:
    return ", ".join(f"{axis} ({size})" for axis, size in zip(axes, shape, strict=True))
