"""Reading data of any axes: images, colours, channels, volumes, time series.

As with stacks, the files' headers are read first and the values only on request, so that the caller can compare the
announced size with the free memory before allocating.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array, DType
from napari_diner.io.header import check_dtype, decoding, map_npy
from napari_diner.io.png import announced, read_pixels
from napari_diner.io.stacks import find_files, is_png
from napari_diner.io.tiff import check_length, pixel_sizes, z_step

_GUESSES = {0: "", 1: "Z", 2: "TZ", 3: "TCZ"}
"""Guesses of the axes before Y and X if a file does not name them."""
_COLOURED_GUESSES = {**_GUESSES, 1: "T"}
"""The same for colours: a stack of colour frames is more often a video than a volume."""
_LETTERS = "TZCYXS"
_WITH_OPACITY = 4
"""Number of colours of a pixel if the last is its opacity (alpha)."""
_COLOURED = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
"""Interpretations of the samples of a TIFF file as red, green, blue, and possibly opacity."""


@dataclass(frozen=True)
class SignalInfo:
    """Header of a signal in one or several files."""

    source: str
    """A file, a folder or a glob, as given."""
    paths: tuple[Path, ...]
    """The files, in natural order: one with everything, or one for each point of time."""
    shape: tuple[int, ...]
    """Size along each axis; axes of length one, other than Y and X, are dropped. Colours with opacity are announced as
    four and become three on reading if all pixels are opaque; see `may_hold`."""
    dtype: DType
    """Type of the values as stored, in native byte order."""
    axes: str
    """Letter of each axis, of ``TZCYXS``, or as named by the caller. Colours are the last axis, ``S``, of length three
    or four; samples that are not colours are channels, ``C``, before Y."""
    scale_um: tuple[float, ...]
    """Spacing along each axis in micrometres; 1.0 along axes that are not lengths, or if unknown."""
    has_axes: bool
    """Whether the files name their axes; otherwise they are guessed."""
    has_scale: bool
    """Whether the files give the distance between pixels."""
    file_bytes: int
    """Size of the files."""

    @property
    def nbytes(self) -> int:
        """Largest size in bytes of the array that `read_signal` returns."""
        return int(np.prod([self.dtype.itemsize, *self.shape], dtype=object))

    def may_hold(self, shape: tuple[int, ...]) -> bool:
        """Whether an array read from the files can have this shape: the announced one, or without opacity."""
        return shape == self.shape or (self._has_opacity and shape == (*self.shape[:-1], _WITH_OPACITY - 1))

    @property
    def _has_opacity(self) -> bool:
        return self.axes.endswith("S") and self.shape[-1] == _WITH_OPACITY and self.dtype.kind == "u"


def probe_signal(source: str | Path, axes: str = "") -> SignalInfo:
    """Read the headers of a signal, without its values.

    Parameters
    ----------
    source
        A TIFF (also OME and ImageJ), PNG or NumPy file, or a folder or glob of images, which are points in time in
        natural order.
    axes
        Letters of the axes, to override those of the file.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, its values are not real numbers, or `axes` do not match it.
    """
    path = Path(source).expanduser()
    paths = [path] if path.suffix.lower() == ".npy" else find_files(source)
    info = _probe_file(paths[0])
    if len(paths) > 1:
        if len(info.shape) > 2 + info.axes.endswith("S"):
            raise InputError(f"{paths[0]} holds a stack, but of several files each must hold one image; give it alone")
        for path in paths[1:]:
            other = _probe_file(path)
            if (other.shape, other.dtype) != (info.shape, info.dtype):
                raise InputError(
                    f"{paths[0]} holds {_described(info)} but {path} {_described(other)}; "
                    "give a glob of those that belong together"
                )
        info = replace(
            info, shape=(len(paths), *info.shape), axes="T" + info.axes, scale_um=(1.0, *info.scale_um), has_axes=False
        )
    info = replace(info, source=str(source), paths=tuple(paths), file_bytes=sum(path.stat().st_size for path in paths))
    if info.nbytes > np.iinfo(np.intp).max or min(info.shape, default=0) < 1:
        raise InputError(f"{source} announces {_described(info)}, which is impossible; its header is damaged")
    return _renamed(info, axes.upper()) if axes else info


def read_signal(info: SignalInfo) -> Array:
    """Return the values that `probe_signal` announced, in the type of the files.

    Opacity is dropped if all pixels of all files are opaque: a constant, which is always reproduced, would inflate the
    PSNR of a fit.

    Raises
    ------
    InputError
        If a file cannot be decoded.
    """
    if len(info.paths) == 1:
        data = _read_file(info.paths[0])
    else:
        data = np.empty(info.shape, info.dtype)
        for frame, path in zip(data, info.paths, strict=True):
            image = _read_file(path)
            if image.shape != frame.shape:
                raise InputError(f"{path} changed while it was read; try again")
            frame[...] = image
    if data.shape != info.shape:
        raise InputError(f"{info.source} changed while it was read; try again")
    if info._has_opacity and np.all(data[..., -1] == np.iinfo(info.dtype.str).max):
        data = data[..., :-1]
    return np.ascontiguousarray(data.astype(info.dtype, copy=False))


def _renamed(info: SignalInfo, axes: str) -> SignalInfo:
    """Return the information with other names of the axes, and the spacings that go with them."""
    if len(axes) != len(info.shape) or len(set(axes)) != len(axes) or set(axes) - set(_LETTERS + "N"):
        raise InputError(
            f"The axes {axes} do not match {info.source}, which holds {_described(info)}; name each once, with letters "
            "of TZCYXS"
        )
    spacing = dict(zip(info.axes, info.scale_um, strict=True))
    scale = tuple(spacing.get(axis, 1.0) for axis in axes)
    return replace(info, axes=axes, scale_um=scale, has_axes=True)


def _described(info: SignalInfo) -> str:
    return " × ".join(str(size) for size in info.shape) + f" values of type {info.dtype}"


def _probe_file(path: Path) -> SignalInfo:
    if path.suffix.lower() == ".npy":
        header = _probe_npy(path)
    else:
        header = _probe_png(path) if is_png(path) else _probe_tiff(path)
    dtype = check_dtype(path, header.dtype, "uif")
    spacings = tuple(header.scale_um.get(axis, 1.0) for axis in header.axes)
    return SignalInfo(
        str(path), (path,), header.shape, dtype, header.axes, spacings, header.has_axes, "X" in header.scale_um, 0
    )


def _read_file(path: Path) -> Array:
    if path.suffix.lower() == ".npy":
        with decoding(path):
            return np.array(map_npy(path))
    if is_png(path):
        return read_pixels(path)
    with decoding(path), _open(path) as tif:
        series = tif.series[0]
        named = _named(series)
        data = series.asarray().reshape([size for _, size in named])
        return data.transpose(_order(named))


def _open(path: Path) -> tifffile.TiffFile:
    # OME-XML may refer to other files of a set; only the values of this file are wanted
    return tifffile.TiffFile(path, _multifile=False)


class _Header(NamedTuple):
    """Header of one file."""

    shape: tuple[int, ...]
    dtype: DType
    axes: str
    has_axes: bool
    scale_um: Mapping[str, float] = {}
    """Spacings by the letters of the axes, as far as the file gives them."""


def _probe_tiff(path: Path) -> _Header:
    with decoding(path), _open(path) as tif:
        if not tif.series:
            raise InputError(f"{path} holds no image; choose another file")
        check_length(path, tif)
        series = tif.series[0]
        if len(tif.series) > 1:
            several = any(part.shape != series.shape for part in tif.series)
            content = "images of several sizes" if several else f"{len(tif.series)} separate series"
            raise InputError(f"{path} holds {content}; save the one you want as a file of its own")
        if series.dtype is None:
            raise InputError(
                f"{path} holds values of a type that cannot be read; save them as integers or real numbers"
            )
        stored = _named(series)
        named = [stored[place] for place in _order(stored)]
        unknown = [place for place, (letter, _) in enumerate(named) if letter not in _LETTERS]
        if len(unknown) > 3:
            raise InputError(f"{path} has {len(named)} axes, too many to guess; save it as OME-TIFF")
        axes = [letter for letter, _ in named]
        guess = (_COLOURED_GUESSES if "S" in axes else _GUESSES)[len(unknown)]
        free = dict.fromkeys(letter for letter in guess + "TZC" if letter not in axes)
        for place, letter in zip(unknown, free, strict=False):
            axes[place] = letter
        pixel, step = pixel_sizes(tif), z_step(tif)
        scale = dict(zip("YX", pixel, strict=True)) if pixel is not None else {}
        scale |= {"Z": step} if step is not None else {}
        return _Header(tuple(size for _, size in named), np.dtype(series.dtype), "".join(axes), not unknown, scale)


def _named(series: tifffile.TiffPageSeries) -> list[tuple[str, int]]:
    """Return tifffile's letter and the size of each stored axis, without axes of length one other than Y and X."""
    axes = zip(series.get_axes(False), series.get_shape(False), strict=True)
    named = [(letter, size) for letter, size in axes if letter in "YX" or size != 1]
    coloured = series.keyframe.photometric in _COLOURED and dict(named).get("S") in (3, 4)
    if not coloured and "C" not in dict(named):
        named = [("C" if letter == "S" else letter, size) for letter, size in named]
    return named


def _order(named: list[tuple[str, int]]) -> list[int]:
    """Return the order of the axes in which colours are last, preceded by Y and X."""
    ranks = {"Y": 1, "X": 2, "S": 3}
    return sorted(range(len(named)), key=lambda place: ranks.get(named[place][0], 0))


def _probe_png(path: Path) -> _Header:
    shape, dtype = announced(path)
    return _Header(shape, dtype, "YX" + "S" * (len(shape) == 3), True)


def _probe_npy(path: Path) -> _Header:
    array = map_npy(path)
    if not 2 <= array.ndim <= 5:
        raise InputError(f"{path} has the shape {array.shape}; give two to five axes")
    # three or four columns of bytes are colours
    if array.ndim > 2 and array.dtype == np.uint8 and array.shape[-1] in (3, _WITH_OPACITY):
        return _Header(array.shape, array.dtype, _COLOURED_GUESSES[array.ndim - 3] + "YXS", False)
    return _Header(array.shape, array.dtype, _GUESSES[array.ndim - 2] + "YX", array.ndim == 2)
