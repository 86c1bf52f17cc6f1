"""Reading data of any axes: images, colours, channels, volumes, time series.

As with stacks, what the files announce is read first and the numbers only when asked for, so that the caller can
compare the announced size with the free memory before anything is allocated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_diner.errors import InputError
from napari_diner.io import png
from napari_diner.io.header import check_dtype, decoding
from napari_diner.io.stacks import find_files
from napari_diner.io.tiff import SIGNATURES, check_length, pixel_sizes, z_step

_GUESSES = {0: "", 1: "Z", 2: "TZ", 3: "TCZ"}
"""Axes before Y and X that are guessed where a file does not name them."""
_COLOURED_GUESSES = {**_GUESSES, 1: "T"}
"""The same where there are colours: a stack of frames in colour is a video more often than a volume."""
_LETTERS = "TZCYXS"
_WITH_OPACITY = 4
"""Colours of a pixel where the last is its opacity (alpha)."""
_COLOURED = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
"""What a TIFF file says its samples are if they are red, green, blue, and perhaps opacity."""


@dataclass(frozen=True)
class SignalInfo:
    """What the files of a signal announce.

    Parameters
    ----------
    source
        What was named: a file, a folder or a glob.
    paths
        The files, in natural order: one with everything, or one for each point of time.
    shape
        Size along each axis; axes of one point, other than Y and X, are left out. Colours with opacity are announced as
        four, and are three once read if all pixels are opaque, which headers do not tell; see `may_hold`.
    dtype
        Type of the values as stored, in native byte order.
    axes
        Letter of each axis, of ``TZCYXS``, or what the caller named them. Colours are the last axis, ``S``, of three or
        four points; samples that are no colours are channels, ``C``, before Y.
    scale_um
        Spacing along each axis in micrometres; 1.0 along axes that are no lengths, or where the files do not tell.
    has_axes
        Whether the files name their axes; otherwise they are a guess.
    has_scale
        Whether the files tell the distance between pixels.
    file_bytes
        Size of the files.
    """

    source: str
    paths: tuple[Path, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: str
    scale_um: tuple[float, ...]
    has_axes: bool
    has_scale: bool
    file_bytes: int

    @property
    def nbytes(self) -> int:
        """Most bytes that the array which `read_signal` returns can have."""
        return int(np.prod([self.dtype.itemsize, *self.shape], dtype=object))

    def may_hold(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an array read from the files can have this shape: the one announced, or without opacity."""
        return shape == self.shape or (self._has_opacity and shape == (*self.shape[:-1], _WITH_OPACITY - 1))

    @property
    def _has_opacity(self) -> bool:
        return self.axes.endswith("S") and self.shape[-1] == _WITH_OPACITY and self.dtype.kind == "u"


def probe_signal(source: str | Path, axes: str = "") -> SignalInfo:
    """Read what a signal announces, without its values.

    Parameters
    ----------
    source
        A TIFF (also OME and ImageJ), PNG or NumPy file, or a folder or glob of images, which are points of time in
        natural order.
    axes
        Letters of the axes, where the caller knows better than the file.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, its values are no real numbers, or `axes` do not go with it.
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
        raise InputError(f"{source} announces {_described(info)}, which no image has; its header is damaged")
    return _renamed(info, axes.upper()) if axes else info


def read_signal(info: SignalInfo) -> npt.NDArray[Any]:
    """Return the values that `probe_signal` found, in the type of the files.

    Opacity is left out where all pixels of all files are opaque: it says nothing, and a number that is the same
    everywhere, and so always reproduced, would embellish the PSNR of a fit.

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
            found = _read_file(path)
            if found.shape != frame.shape:
                raise InputError(f"{path} changed while it was read; try again")
            frame[...] = found
    if data.shape != info.shape:
        raise InputError(f"{info.source} changed while it was read; try again")
    if info._has_opacity and (data[..., -1] == np.iinfo(info.dtype).max).all():
        data = data[..., :-1]
    return np.ascontiguousarray(data.astype(info.dtype, copy=False))


def _renamed(info: SignalInfo, axes: str) -> SignalInfo:
    """Return the information with the axes that the caller names, and the spacings that go with these."""
    if len(axes) != len(info.shape) or len(set(axes)) != len(axes) or set(axes) - set(_LETTERS + "N"):
        raise InputError(
            f"The axes {axes} do not go with {info.source}, which holds {_described(info)}; name each once, with "
            "letters of TZCYXS"
        )
    known = dict(zip(info.axes, info.scale_um, strict=True))
    scale = tuple(known.get(axis, 1.0) for axis in axes)
    return replace(info, axes=axes, scale_um=scale, has_axes=True)


def _described(info: SignalInfo) -> str:
    return " × ".join(str(size) for size in info.shape) + f" values of type {info.dtype}"


def _probe_file(path: Path) -> SignalInfo:
    found: tuple[tuple[int, ...], np.dtype[Any], str, dict[str, float], bool]
    if path.suffix.lower() == ".npy":
        found = _probe_npy(path)
    else:
        with decoding(path), path.open("rb") as file:
            start = file.read(8)
        if start == png.SIGNATURE:
            found = _probe_png(path)
        elif start[:4] in SIGNATURES:
            found = _probe_tiff(path)
        else:
            raise InputError(f"{path} is neither a TIFF nor a PNG file, whatever its name says; convert it to TIFF")
    shape, dtype, axes, scale, has_axes = found
    dtype = check_dtype(path, dtype, "uif")
    spacings = tuple(scale.get(axis, 1.0) for axis in axes)
    return SignalInfo(str(path), (path,), shape, dtype, axes, spacings, has_axes, "X" in scale, 0)


def _read_file(path: Path) -> npt.NDArray[Any]:
    if path.suffix.lower() == ".npy":
        with decoding(path):
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    with decoding(path), path.open("rb") as file:
        start = file.read(8)
    if start == png.SIGNATURE:
        return png.read_pixels(path)
    with decoding(path), _open(path) as tif:
        series = tif.series[0]
        named = _named(series)
        data = series.asarray().reshape([size for _, size in named])
        return data.transpose(_order(named))


def _open(path: Path) -> tifffile.TiffFile:
    # OME-XML may send the reader to other files of the same set; the values are those of the file that was named
    return tifffile.TiffFile(path, _multifile=False)


def _probe_tiff(path: Path) -> tuple[tuple[int, ...], np.dtype[Any], str, dict[str, float], bool]:
    with decoding(path), _open(path) as tif:
        if not tif.series:
            raise InputError(f"{path} holds no image; choose another file")
        check_length(path, tif)
        series = tif.series[0]
        if len(tif.series) > 1 and any(part.shape != series.shape for part in tif.series):
            raise InputError(f"{path} holds images of several sizes; save the one that is meant as a file of its own")
        if len(tif.series) > 1:
            raise InputError(f"{path} holds {len(tif.series)} separate series; save the one that is meant as a file")
        if series.dtype is None:
            raise InputError(
                f"{path} holds values of a type that cannot be read; save them as integers or real numbers"
            )
        stored = _named(series)
        named = [stored[place] for place in _order(stored)]
        unknown = [place for place, (letter, _) in enumerate(named) if letter not in _LETTERS]
        if len(unknown) > 3:
            raise InputError(f"{path} has {len(named)} axes, more than can be told apart; save it as OME-TIFF")
        axes = [letter for letter, _ in named]
        guess = (_COLOURED_GUESSES if "S" in axes else _GUESSES)[len(unknown)]
        free = [letter for letter in guess + "TZC" if letter not in axes]
        free = list(dict.fromkeys(free))
        for place, letter in zip(unknown, free, strict=False):
            axes[place] = letter
        scale: dict[str, float] = {}
        pixel, step = pixel_sizes(tif), z_step(tif)
        if pixel is not None:
            scale |= {"Y": pixel[0], "X": pixel[1]}
        if step is not None:
            scale["Z"] = step
        return tuple(size for _, size in named), np.dtype(series.dtype), "".join(axes), scale, not unknown


def _named(series: tifffile.TiffPageSeries) -> list[tuple[str, int]]:
    """Return tifffile's letter and the size of each axis as stored, but of those that have one point only Y and X."""
    axes = zip(series.get_axes(False), series.get_shape(False), strict=True)
    named = [(letter, size) for letter, size in axes if letter in "YX" or size != 1]
    coloured = series.keyframe.photometric in _COLOURED and dict(named).get("S") in (3, 4)
    if not coloured and "C" not in dict(named):
        named = [("C" if letter == "S" else letter, size) for letter, size in named]
    return named


def _order(named: list[tuple[str, int]]) -> list[int]:
    """Return the places of the axes in the order wanted: colours last, and before them Y and X."""
    ranks = {"Y": 1, "X": 2, "S": 3}
    return sorted(range(len(named)), key=lambda place: ranks.get(named[place][0], 0))


def _probe_png(path: Path) -> tuple[tuple[int, ...], np.dtype[Any], str, dict[str, float], bool]:
    shape, dtype = png.announced(path)
    return shape, dtype, "YX" + "S" * (len(shape) == 3), {}, True


def _probe_npy(path: Path) -> tuple[tuple[int, ...], np.dtype[Any], str, dict[str, float], bool]:
    with decoding(path):
        # mapping compares the header with the length of the file, and unpickles nothing
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not 2 <= array.ndim <= 5:
        raise InputError(f"{path} has the shape {array.shape}; give two to five axes")
    # three or four columns of bytes are colours
    if array.ndim > 2 and array.dtype == np.uint8 and array.shape[-1] in (3, _WITH_OPACITY):
        return array.shape, array.dtype, _COLOURED_GUESSES[array.ndim - 3] + "YXS", {}, False
    return array.shape, array.dtype, _GUESSES[array.ndim - 2] + "YX", {}, array.ndim == 2
