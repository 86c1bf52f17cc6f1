"""Reading OME-Zarr (NGFF) folders of version 0.4 and 0.5: the image of full resolution, its axes and its spacings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, Field

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.header import UNNAMED, Header, check_expansion, decoding, unnamed_axes
from napari_diner.io.parts import SEPARATOR
from napari_diner.io.units import micrometres

if TYPE_CHECKING:
    import zarr

_LONGEST = 2**24


def is_zarr(path: Path, start: bytes = b"") -> bool:
    """Return whether a folder is a Zarr array or group."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def probe_zarr(path: Path, name: str = "") -> Header:
    """Read the header of the named array, or of the image of full resolution.

    Raises
    ------
    InputError
        If it is damaged, or holds no image; or zarr is not installed.
    """
    with decoding(path):
        array, image = _array(path, name)
        shape, dtype = tuple(int(size) for size in array.shape), np.dtype(array.dtype)
        if image is None or len(image.axes) != len(shape):
            header = Header(shape, dtype, unnamed_axes(shape, dtype))
        else:
            header = Header(shape, dtype, image.letters(), image.scale_um())
    check_expansion(path, header.nbytes, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
    return header


def read_zarr(path: Path, name: str, index: Index) -> Array:
    """Return part of an array."""
    with decoding(path):
        return np.asarray(_array(path, name)[0][index])


class _Axis(BaseModel):
    """An axis of an image."""

    name: str = ""
    unit: str = ""


class _Transformation(BaseModel):
    """A coordinate transformation from positions in an array to physical ones."""

    scale: tuple[float, ...] = ()


class _Level(BaseModel):
    """An array of an image, at one resolution."""

    path: str
    coordinateTransformations: tuple[_Transformation, ...] = ()  # noqa: N815 (of the format)


class _Image(BaseModel):
    """An image at several resolutions, the full one first."""

    axes: tuple[_Axis | str, ...] = ()
    datasets: tuple[_Level, ...] = Field(min_length=1)
    coordinateTransformations: tuple[_Transformation, ...] = ()  # noqa: N815 (of the format)

    def letters(self) -> str:
        """Return the letters of the axes."""
        names = [axis if isinstance(axis, str) else axis.name for axis in self.axes]
        letters = [name[:1].upper() for name in names]
        return "".join(axis if axis in "TZCYX" and letters.count(axis) == 1 else UNNAMED for axis in letters)

    def scale_um(self) -> dict[str, float]:
        """Return the spacings at full resolution by the letters of the axes."""
        spacings = {}
        for place, (letter, axis) in enumerate(zip(self.letters(), self.axes, strict=True)):
            size = None if isinstance(axis, str) else micrometres(axis.unit)
            for step in (*self.datasets[0].coordinateTransformations, *self.coordinateTransformations):
                if size is not None and len(step.scale) == len(self.axes):
                    size *= step.scale[place]
            if size is not None and letter in "ZYX" and math.isfinite(size) and size > 0:
                spacings[letter] = size
        return spacings


def _array(path: Path, name: str) -> tuple[zarr.Array[Any], _Image | None]:
    """Return an array, and its image if it is the full resolution of one."""
    try:
        import zarr
    except ImportError:
        raise InputError(f"{path} is a Zarr folder, which needs another library; pip install zarr") from None
    for file in (path / "zarr.json", path / ".zattrs", path / ".zmetadata"):
        if file.is_file() and file.stat().st_size > _LONGEST:
            raise InputError(f"{path} holds metadata of more than 16 MiB; it is damaged, so save it again")
    place = zarr.open(str(path), mode="r")
    image = None
    if isinstance(place, zarr.Group) and not name:
        attributes = place.attrs.asdict()
        # version 0.5 uses a separate key
        entries = attributes.get("ome", attributes)
        images = entries.get("multiscales") if isinstance(entries, Mapping) else None
        if not isinstance(images, list) or not images:
            listed = ", ".join(sorted(key for key, _ in place.members(max_depth=0))[:8]) or "nothing"
            raise InputError(
                f"{path} holds {listed} but no OME-Zarr image; name an array in it, as in {path.name}{SEPARATOR}name"
            )
        image = _Image.model_validate(images[0])
        name = image.datasets[0].path
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise InputError(f"{path} refers to an array outside of it; save it again")
    for part in name.split("/") if name else ():
        if not isinstance(place, zarr.Group) or part not in place:
            raise InputError(f"{path} holds no array {quoted(name)}; see the folder for the names in it")
        place = place[part]
    if isinstance(place, zarr.Group):
        return _array(path / name, "")
    return place, image
