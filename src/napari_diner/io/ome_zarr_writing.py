"""Named arrays as OME-Zarr of version 0.4 or 0.5: region by region, at several resolutions, with units and origin."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel

from napari_diner.errors import InputError, OutputError
from napari_diner.io.arrays import Array, NamedArray
from napari_diner.io.header import decoding
from napari_diner.io.ome_zarr import NAMESPACE, opened_zarr

if TYPE_CHECKING:
    import zarr

Version = Literal["0.4", "0.5"]
_ORDER = "TCNSZYX"
"""Order of axes in OME-Zarr: times, then channels or another axis, then lengths."""
_TYPES = {"T": "time", "C": "channel", "S": "channel", "N": "frame"}
_CHUNK = {"Z": 16, "Y": 256, "X": 256}
"""Largest chunk, the part that is read at once; 1 along other axes."""
_SHARD = {"Z": 2, "Y": 4, "X": 4}
"""Chunks along each axis in a shard, a file of version 0.5, at most; also the regions that are written at once."""
_SMALLEST = 128
"""Size up to which an axis is not halved further."""

Region = tuple[slice, ...]


def write_zarr(
    path: Path, array: NamedArray, version: Version = "0.5", origin: Mapping[str, object] | None = None
) -> None:
    """Write an array as an OME-Zarr folder (https://ngff.openmicroscopy.org/0.5), deterministically.

    Each further level has half the size along the axes Z, Y and X that are longer than 128, and the mean of the
    values. Only a region of about 128 MB is in memory at a time, so that `array.data` can be anything that is sliced
    like an array, such as a file larger than the memory. In version 0.5, such regions are files (shards) of chunks that
    can be read individually.

    Parameters
    ----------
    path
        The folder, which must not exist.
    array
        Real numbers with at most one axis besides T, Z, Y and X: channels (C), colours (S) or frames (N). Colours are
        stored as channels; booleans are widened.
    version
        Version of OME-Zarr: 0.4 is based on Zarr 2, 0.5 on Zarr 3.
    origin
        Entries of the metadata about where the array comes from, for JSON.

    Raises
    ------
    OutputError
        If OME-Zarr does not support the axes.
    """
    import zarr

    order = stored_order(array.axes, array.name)
    axes = "".join(array.axes[place] for place in order)
    shape = tuple(array.data.shape[place] for place in order)
    group = zarr.open_group(str(path), mode="w-", zarr_format=2 if version == "0.4" else 3)
    steps: list[tuple[int, ...]] = []
    below: zarr.Array[Any] | None = None
    step = (1,) * len(shape)
    while below is None or any(
        axis in _SHARD and size > _SMALLEST for axis, size in zip(axes, below.shape, strict=True)
    ):
        factors = _factors(axes, shape) if below is not None else step
        shape = tuple(-(-size // factor) for size, factor in zip(shape, factors, strict=True))
        step = tuple(size * factor for size, factor in zip(step, factors, strict=True))
        level = _level(group, str(len(steps)), axes, shape, array.data.dtype)
        for region in _regions(axes, shape):
            level[region] = _part(array, order, region) if below is None else _halved(below, region, factors)
        steps.append(step)
        below = level
    scale = [array.scale_um[place] for place in order]
    image = {
        "name": array.name,
        "type": "mean",
        "axes": [_axis(letter) for letter in axes],
        "datasets": [{"path": str(number), **_placed(scale, step)} for number, step in enumerate(steps)],
    }
    own: dict[str, Any] = {"name": array.name, "axes": array.axes, "scale_um": list(array.scale_um), "unit": array.unit}
    if version == "0.4":
        metadata: dict[str, Any] = {"multiscales": [{"version": version, **image}]}
    else:
        metadata = {"ome": {"version": version, "multiscales": [image]}}
    own |= origin or {}
    group.attrs.update({**metadata, NAMESPACE: own})


def stored_order(axes: str, name: str) -> tuple[int, ...]:
    """Return the order of axes in OME-Zarr.

    Raises
    ------
    OutputError
        If OME-Zarr does not support them.
    """
    if set(axes) - set(_ORDER) or len(set(axes)) != len(axes) or len({*axes} & {*"CNS"}) > 1 or not {*"YX"} <= {*axes}:
        raise OutputError(
            f"OME-Zarr does not support the axes {axes!r} of {name}; there can be T, Z, Y and X, and one of C, N and S"
        )
    return tuple(sorted(range(len(axes)), key=lambda place: _ORDER.index(axes[place])))


def _level(
    group: zarr.Group, name: str, axes: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> zarr.Array[Any]:
    """Create the array of a level."""
    kind = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    chunks = _chunks(axes, shape)
    if group.metadata.zarr_format == 2:
        return group.create_array(
            name, shape=shape, dtype=kind, chunks=chunks, chunk_key_encoding={"name": "v2", "separator": "/"}
        )
    shards = _blocks(axes, shape)
    return group.create_array(
        name,
        shape=shape,
        dtype=kind,
        chunks=chunks,
        shards=shards,
        dimension_names=[axis.lower() for axis in _named(axes)],
    )


def _chunks(axes: str, shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(min(size, _CHUNK.get(axis, 1)) for axis, size in zip(axes, shape, strict=True))


def _blocks(axes: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the size of the regions that are written at once: whole chunks, and shards in version 0.5."""
    return tuple(
        chunk * min(-(-size // chunk), _SHARD.get(axis, 1))
        for axis, size, chunk in zip(axes, shape, _chunks(axes, shape), strict=True)
    )


def _regions(axes: str, shape: Sequence[int]) -> Iterator[Region]:
    blocks = _blocks(axes, shape)
    starts = [range(0, size, block) for size, block in zip(shape, blocks, strict=True)]
    for corner in itertools.product(*starts):
        yield tuple(
            slice(start, min(start + block, size)) for start, block, size in zip(corner, blocks, shape, strict=True)
        )


def _part(array: NamedArray, order: Sequence[int], region: Region) -> Array:
    """Return a region of an array, with its axes in the order of the file."""
    places = [order.index(place) for place in range(len(order))]
    return np.asarray(array.data[tuple(region[place] for place in places)]).transpose(order)


def _factors(axes: str, shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(2 if axis in _SHARD and size > _SMALLEST else 1 for axis, size in zip(axes, shape, strict=True))


def _halved(level: zarr.Array[Any], region: Region, factors: Sequence[int]) -> Array:
    """Return a region of the next level: means of neighbouring values; at an odd end, that of the last one alone."""
    values: Array = np.asarray(
        level[tuple(slice(part.start * k, part.stop * k) for part, k in zip(region, factors, strict=True))]
    )
    dtype = values.dtype
    for place, factor in enumerate(factors):
        if factor == 1:
            continue
        missing = -values.shape[place] % factor
        if missing:
            widths = [(0, missing if other == place else 0) for other in range(values.ndim)]
            values = np.pad(values, widths, mode="edge")
        paired = values.reshape(*values.shape[:place], -1, factor, *values.shape[place + 1 :])
        values = paired.mean(place + 1, dtype=None if dtype.kind == "f" else np.float64)
    return (np.rint(values) if dtype.kind in "ui" else values).astype(dtype)


def _named(axes: str) -> str:
    """Return the letters of axes by which other programs know them: colours are channels."""
    return axes.replace("S", "C")


def _axis(letter: str) -> dict[str, str]:
    kind = {"type": _TYPES[letter]} if letter in _TYPES else {"type": "space", "unit": "micrometer"}
    return {"name": _named(letter).lower(), **kind}


def _placed(scale: Sequence[float], step: Sequence[int]) -> dict[str, object]:
    """Return the place of a level: its spacings, and those of the centre of its first value."""
    scales = [size * factor for size, factor in zip(scale, step, strict=True)]
    transformations: list[dict[str, object]] = [{"type": "scale", "scale": scales}]
    if any(factor > 1 for factor in step):
        offsets = [size * (factor - 1) / 2 for size, factor in zip(scale, step, strict=True)]
        transformations.append({"type": "translation", "translation": offsets})
    return {"coordinateTransformations": transformations}


class _Own(BaseModel, extra="allow"):
    """Metadata outside the OME model, see `NamedArray`."""

    name: str
    axes: str
    scale_um: tuple[float, ...]
    unit: str


@dataclass(frozen=True)
class StoredImage:
    """An array written by `write_zarr`, whose values are read when they are needed."""

    name: str
    axes: str
    scale_um: tuple[float, ...]
    unit: str
    origin: Mapping[str, object]
    """Further metadata, see `write_zarr`."""
    levels: tuple[zarr.Array[Any], ...]
    """Levels, the full resolution first, with the axes in the order of OME-Zarr."""

    @classmethod
    def open(cls, path: str | Path) -> StoredImage:
        """Open a folder.

        Raises
        ------
        InputError
            If it cannot be read or was not written by `write_zarr`.
        """
        path = Path(path)
        with decoding(path):
            import zarr

            group, image = opened_zarr(path)
            entry = group.attrs.asdict().get(NAMESPACE)
            if entry is None:
                raise InputError(f"{path} was not written by napari-diner; open it as an ordinary image")
            own = _Own.model_validate(entry)
            levels = [group[dataset.path] for dataset in image.datasets]
            if {getattr(level, "ndim", 0) for level in levels} != {len(own.axes)} or len(own.scale_um) != len(own.axes):
                raise InputError(f"{path} is damaged; save it again")
            return cls(
                own.name,
                own.axes,
                own.scale_um,
                own.unit,
                dict(own.model_extra or {}),
                tuple(level for level in levels if isinstance(level, zarr.Array)),
            )

    @property
    def back(self) -> tuple[int, ...]:
        """Order that restores the axes of the array."""
        order = stored_order(self.axes, self.name)
        return tuple(order.index(place) for place in range(len(order)))

    def read(self) -> NamedArray:
        """Read all values of full resolution."""
        data = np.asarray(self.levels[0][...]).transpose(self.back)
        return NamedArray(self.name, data, self.axes, self.scale_um, self.unit)
