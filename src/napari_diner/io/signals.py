"""Reading data of any axes: images, colours, channels, volumes, time series.

The headers of the files are read first and the values on request, so that the caller can compare the announced size
with the free memory before allocating.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array, DType
from napari_diner.io.axes import View, described_axes, view_of
from napari_diner.io.files import find_files
from napari_diner.io.formats import located, probe_file, read_file
from napari_diner.io.header import Header, check_dtype

NOT_SQUARE = 1e-3
"""Relative difference of height and width above which pixels are not square."""
_WITH_OPACITY = 4
"""Number of colours of a pixel whose last one is opacity (alpha)."""


@dataclass(frozen=True)
class SignalInfo:
    """Header of data in one or several files."""

    source: str
    """A file, a folder or a glob, as given."""
    files: tuple[str, ...]
    """The files, in the order of `find_files`: one with everything, or one per time point."""
    header: Header
    """Of each file."""
    each: View
    """Selection from each file, if there are several."""
    view: View
    """Selection from all files."""
    dtype: DType
    """Type of the returned values, in native byte order."""
    of_booleans: ClassVar[np.dtype[Any]] = np.dtype(np.uint8)
    """Type of booleans on reading, as 0 and 255."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, without the names of arrays in them."""
        return tuple(located(file)[0] for file in self.files)

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis; axes of length one, other than Y and X, are dropped.

        Colours with opacity are announced as four and become three on reading if all pixels are opaque; see `may_hold`.
        """
        return self.view.shape

    @property
    def axes(self) -> str:
        """Letter of each axis; Y and X are last, and behind them only colours, ``S``, of length three or four."""
        return self.view.axes

    @property
    def scale_um(self) -> tuple[float, ...]:
        """Spacing along each axis in micrometres; 1.0 along axes that are not lengths, or if unknown."""
        return tuple(self.header.scale_um.get(axis, 1.0) for axis in self.axes)

    @property
    def has_axes(self) -> bool:
        """Whether the files, or the caller, name the axes; otherwise they are guessed."""
        return self.view.has_axes

    @property
    def has_scale(self) -> bool:
        """Whether the files give the distance between pixels."""
        return "X" in self.header.scale_um

    @property
    def file_bytes(self) -> int:
        """Size of the files."""
        return sum(path.stat().st_size for path in self.paths)

    @property
    def nbytes(self) -> int:
        """Largest size in bytes of the array that `read_signal` returns."""
        return int(np.prod([self.dtype.itemsize, *self.shape], dtype=object))

    @property
    def pixel_size_um(self) -> float | None:
        """Distance between neighbouring pixels in micrometres, if they are square and the files give it."""
        x, y = (self.header.scale_um.get(axis) for axis in "XY")
        return x if x is not None and y is not None and math.isclose(x, y, rel_tol=NOT_SQUARE) else None

    def may_hold(self, shape: tuple[int, ...]) -> bool:
        """Whether an array read from the files can have this shape: the announced one, or without opacity."""
        return shape == self.shape or (self.has_opacity and shape == (*self.shape[:-1], _WITH_OPACITY - 1))

    @property
    def has_opacity(self) -> bool:
        """Whether the last colour may be opacity."""
        return self.axes.endswith("S") and self.shape[-1] == _WITH_OPACITY and self.dtype.kind == "u"

    @classmethod
    def of(
        cls, source: str | Path, files: Sequence[str], axes: str = "", select: str = "", kinds: str = "buif"
    ) -> Self:
        """Read the headers of files that belong together; see `probe_signal`."""
        header = cls._suitable(probe_file(files[0]), alone=len(files) == 1)
        dtype = check_dtype(Path(files[0]), header.dtype, kinds)
        each = view = view_of(header, str(source), "" if len(files) > 1 else axes, "" if len(files) > 1 else select)
        if len(files) > 1:
            if len(each.shape) > 2 + each.axes.endswith("S"):
                raise InputError(
                    f"{files[0]} holds a stack, but of several files each must hold one image; give that file alone, "
                    "or a glob that excludes it"
                )
            for file in files[1:]:
                other = cls._suitable(probe_file(file), alone=False)
                if (other.shape, other.dtype) != (header.shape, header.dtype):
                    raise InputError(
                        f"{files[0]} holds {_described(header)} but {file} {_described(other)}; crop them to one size "
                        "and save them alike, or give a glob of those that belong together"
                    )
            whole = Header((len(files), *each.shape), header.dtype, "?" + each.axes, header.scale_um)
            whole = replace(whole, axes="T" + each.axes)
            view = replace(view_of(whole, str(source), axes, select), has_axes=bool(axes))
        info = cls(str(source), tuple(files), header, each, view, cls.of_booleans if dtype.kind == "b" else dtype)
        if info.nbytes > np.iinfo(np.intp).max or min(info.shape, default=0) < 1:
            raise InputError(f"{source} announces {_described(header)}, which is impossible; its header is damaged")
        return info

    @staticmethod
    def _suitable(header: Header, *, alone: bool) -> Header:
        """Return the header of a file, with the axes resolved for this kind of data."""
        return header


def probe_signal(source: str | Path, axes: str = "", select: str = "") -> SignalInfo:
    """Read the headers of a signal, without its values.

    Parameters
    ----------
    source
        A file of a format in `napari_diner.io.formats`, ``file::name`` for an array of several, or a folder or glob of
        images, which are points in time, in the order of `find_files`.
    axes
        Letters of the axes as stored, to override those of the files.
    select
        Positions along some of them; see `napari_diner.io.axes.view_of`.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, its values are not real numbers, or `axes` or `select` do
        not match it.
    """
    info = SignalInfo.of(source, find_files(source), axes, select)
    if "P" in info.axes:
        raise InputError(
            f"{source} has the axes {described_axes(info.axes, info.shape)}; choose a position with {{field}}, such as "
            "P=0",
            "select",
        )
    return info


def read_signal(info: SignalInfo) -> Array:
    """Return the values announced by `probe_signal`, in the type of the files.

    Opacity is dropped if all pixels of all files are opaque, since a constant channel would inflate the
    PSNR of a fit.

    Raises
    ------
    InputError
        If a file cannot be decoded.
    """
    if len(info.files) == 1:
        data = info.view.ordered(read_file(info.files[0], info.view.index))
    else:
        data = info.view.ordered(_together(info)[info.view.index])
    if data.shape != info.shape:
        raise InputError(f"{info.source} changed while it was read; try again")
    if data.dtype != info.dtype and data.dtype.kind == "b":
        data = data * np.uint8(255)
    if info.has_opacity and np.all(data[..., -1] == np.iinfo(info.dtype.str).max):
        data = data[..., :-1]
    return np.ascontiguousarray(data.astype(info.dtype, copy=False))


def _together(info: SignalInfo) -> Array:
    """Return the images of several files as one array."""
    images = np.empty((len(info.files), *info.each.shape), info.header.dtype)
    for image, file in zip(images, info.files, strict=True):
        values = info.each.ordered(read_file(file, info.each.index))
        if values.shape != image.shape:
            raise InputError(f"{file} changed while it was read; try again")
        image[...] = values
    return images


def _described(header: Header) -> str:
    return f"{'×'.join(map(str, header.shape))} values of type {header.dtype}"
