"""Reading OME-Zarr (NGFF) folders of version 0.4 and 0.5: the image of full resolution, its axes and its spacings."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, Field

from napari_diner.errors import InputError, quoted
from napari_diner.io.arrays import Array
from napari_diner.io.axes import Index
from napari_diner.io.header import Header, check_expansion, decoding, named_axes, unnamed_axes
from napari_diner.io.packing import Packing, packing
from napari_diner.io.parts import SEPARATOR
from napari_diner.io.search import METADATA_OF_ZARR
from napari_diner.io.texts import read_json
from napari_diner.io.units import micrometres

if TYPE_CHECKING:
    import zarr

NAMESPACE = "napari-diner"
"""Key of the attribute for metadata outside the OME model."""
_LONGEST = 2**24
# bytes; the last four are the number of all bytes
_BLOSC_HEADER = 16
_FEWEST_PIXELS, _MOST_CHUNKS = 1000, 50_000
"""Values of a chunk below which an array may have only so many of them."""
_METADATA = frozenset({*METADATA_OF_ZARR, ".zattrs"})
_VALUES = re.compile(r"\d+(\.\d+)*|c")
"""Names of files with values."""


def is_zarr(path: Path, start: bytes = b"") -> bool:
    """Return whether a folder is a Zarr array or group."""
    # os.path raises nothing where it may not look
    return os.path.isdir(path) and any(os.path.isfile(path / name) for name in METADATA_OF_ZARR)  # noqa: PTH112, PTH113


def is_written_here(path: Path) -> bool:
    """Return whether a folder is an image in OME-Zarr that this package wrote, judged by its metadata alone."""
    for name in ("zarr.json", ".zattrs"):
        with contextlib.suppress(InputError):
            values = read_json(path / name)
            attributes = values.get("attributes", values) if isinstance(values, dict) else None
            return isinstance(attributes, dict) and NAMESPACE in attributes
    return False


def zarr_files(folder: Path) -> set[str]:
    """Return the files of a Zarr folder, relative to it and with slashes; other files may be in it as well."""
    files = (path for path in folder.rglob("*") if path.name in _METADATA or _VALUES.fullmatch(path.name))
    return {path.relative_to(folder).as_posix() for path in files if path.is_file() or path.is_symlink()}


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
        packed = _packing(path, array)
        _check_division(path, array)
        is_named = image is not None and len(image.axes) == len(shape)
        axes, scale = (image.letters(), image.scale_um()) if image and is_named else (unnamed_axes(shape, dtype), {})
        notes = (*packed.notes, *_absent(array))
        header = Header(shape, packed.dtype(dtype), axes, scale, notes, packed.declared)
    check_expansion(path, header.nbytes, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
    return header


def read_zarr(path: Path, name: str, index: Index) -> Array:
    """Return part of an array.

    Raises
    ------
    InputError
        If it cannot be decoded.
    """
    with decoding(path):
        array, _ = _array(path, name)
        _check_chunks(array, index)
        return _packing(path, array).values(np.asarray(array[index]))


def _packing(path: Path, array: zarr.Array[Any]) -> Packing:
    return packing(path, f"/{array.path}", array.attrs.asdict(), np.dtype(array.dtype))


def _check_division(path: Path, array: zarr.Array[Any]) -> None:
    """Check that an array is not divided into very many tiny chunks, each of which takes as long as a large one.

    Raises
    ------
    InputError
        If it is.
    """
    pixels = math.prod(array.chunks)
    count = math.prod(-(-size // step) for size, step in zip(array.shape, array.chunks, strict=True))
    if pixels < _FEWEST_PIXELS and count > _MOST_CHUNKS:
        sizes = "×".join(map(str, array.chunks))
        raise InputError(f"{path} is divided into {count:,} chunks of {sizes} values; save it with larger chunks")


def _absent(array: zarr.Array[Any]) -> list[str]:
    """Return a note on chunks without a file, as after an interrupted recording, or where all values are equal."""
    from zarr.storage import LocalStore

    if not isinstance(array.store, LocalStore):
        return []
    count = math.prod(-(-size // step) for size, step in zip(array.shape, array.shards or array.chunks, strict=True))
    folder = array.store.root / array.path
    stored = sum(file.is_file() and file.name not in _METADATA for file in folder.rglob("*"))
    if not 0 < stored < count:
        return []
    return [f"{count - stored} of its {count} chunks are not stored, and are read as {array.fill_value}"]


def _check_chunks(array: zarr.Array[Any], index: Index) -> None:
    """Check that the chunks of a part are whole files: zarr waits for pipes, and Blosc reads beyond the end of a file.

    Raises
    ------
    InputError
        If one is not, or if there is none at all.
    """
    from zarr.storage import LocalStore

    if not isinstance(array.store, LocalStore):
        return
    steps = array.shards or array.chunks
    is_blosc = array.shards is None and any("blosc" in type(codec).__name__.lower() for codec in array.compressors)
    along = (
        range(-(-size // step)) if isinstance(at, slice) else [at // step]
        for at, size, step in zip(index, array.shape, steps, strict=True)
    )
    is_stored = False
    for place in itertools.product(*along):
        file = array.store.root / array.path / array.metadata.encode_chunk_key(place)
        if not file.exists():  # it holds the fill value only
            continue
        is_stored = True
        if not file.is_file():
            raise InputError(f"{file} is a folder, a device or a pipe, not a chunk; copy the image again")
        if is_blosc:
            with file.open("rb") as opened:
                header = opened.read(_BLOSC_HEADER)
            if int.from_bytes(header[12:], "little") != file.stat().st_size:
                raise InputError(f"The chunk {file} is truncated; copy the image again")
    if not is_stored:
        raise InputError(
            f"{array.store.root / array.path} holds no values where it is read, only its description; copy or "
            "record the image again, or choose another part"
        )


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

    def pixel_size(self) -> float:
        """Return the product of the spacings along all axes, infinite if none are given."""
        scales = [step.scale for step in self.coordinateTransformations if step.scale]
        size = math.prod(itertools.chain.from_iterable(scales)) if scales else math.inf
        return math.inf if math.isnan(size) else size


class _Image(BaseModel):
    """An image at several resolutions."""

    axes: tuple[_Axis | str, ...] = ()
    datasets: tuple[_Level, ...] = Field(min_length=1)
    coordinateTransformations: tuple[_Transformation, ...] = ()  # noqa: N815 (of the format)

    @property
    def full(self) -> _Level:
        """The array of full resolution: that of the smallest pixels, and the first of those that say no size.

        The format demands that it comes first, which not all programs heed.
        """
        return min(self.datasets, key=_Level.pixel_size)

    def letters(self) -> str:
        """Return the letters of the axes."""
        return named_axes([axis if isinstance(axis, str) else axis.name for axis in self.axes])

    def scale_um(self) -> dict[str, float]:
        """Return the spacings at full resolution by the letters of the axes."""
        spacings = {}
        for place, (letter, axis) in enumerate(zip(self.letters(), self.axes, strict=True)):
            size = None if isinstance(axis, str) else micrometres(axis.unit)
            for step in (*self.full.coordinateTransformations, *self.coordinateTransformations):
                if size is not None and len(step.scale) == len(self.axes):
                    size *= step.scale[place]
            if size is not None and letter in "ZYX" and math.isfinite(size) and size > 0:
                spacings[letter] = size
        return spacings


def opened_zarr(path: Path) -> tuple[zarr.Group, _Image]:
    """Open a folder, and the description of the image in it.

    Raises
    ------
    InputError
        If it holds no image, or zarr is not installed.
    """
    place = _opened(path)

    import zarr

    image = _image_in(place)
    if not isinstance(place, zarr.Group) or image is None:
        raise InputError(f"{path} holds no OME-Zarr image; give a folder that does")
    return place, image


def _opened(path: Path) -> zarr.Array[Any] | zarr.Group:
    if not is_installed():
        raise InputError(f"{path} is a Zarr folder, which needs another library; pip install zarr")
    for file in (path / "zarr.json", path / ".zattrs", path / ".zmetadata"):
        if file.exists() and not file.is_file():
            raise InputError(f"{file} is a folder, a device or a pipe; copy the image again")
        if file.is_file() and file.stat().st_size > _LONGEST:
            raise InputError(f"{path} holds metadata of more than 16 MiB; it is damaged, so save it again")
    import zarr

    return zarr.open(str(path), mode="r")


def is_installed() -> bool:
    """Return whether zarr is installed."""
    return find_spec("zarr") is not None


def _image_in(place: zarr.Array[Any] | zarr.Group) -> _Image | None:
    """Return the description of the image in a group, if there is one."""
    attributes = place.attrs.asdict()
    # version 0.5 uses a separate key
    entries = attributes.get("ome", attributes)
    images = entries.get("multiscales") if isinstance(entries, Mapping) else None
    return _Image.model_validate(images[0]) if isinstance(images, list) and images else None


def _array(path: Path, name: str) -> tuple[zarr.Array[Any], _Image | None]:
    """Return an array, and its image if it is the full resolution of one."""
    place = _opened(path)

    import zarr

    image = None
    if isinstance(place, zarr.Group) and not name:
        image = _image_in(place)
        if image is None:
            listed = ", ".join(sorted(key for key, _ in place.members(max_depth=0))[:8]) or "nothing"
            raise InputError(
                f"{path} holds {listed} but no OME-Zarr image; name an array in it, as in {path.name}{SEPARATOR}name"
            )
        name = image.full.path
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise InputError(f"{path} refers to an array outside of it; save it again")
    for part in name.split("/") if name else ():
        if not isinstance(place, zarr.Group) or part not in place:
            raise InputError(f"{path} holds no array {quoted(name)}; see the folder for the names in it")
        place = place[part]
    if isinstance(place, zarr.Group):
        return _array(path / name, "")
    return place, image
