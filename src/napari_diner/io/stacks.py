"""Reading stacks of frames: first the headers of the files, then the pixels.

The two are separate, so that the caller can compare the announced size with the free memory before allocating.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.io.axes import described_axes, parse_selection
from napari_diner.io.files import find_files
from napari_diner.io.header import Header
from napari_diner.io.signals import SignalInfo, read_signal

_PLANES = "N"
"""Axis of colours according to the header of a file, whose planes count as frames unless they are equal."""
_NO_FRAMES = "TPC"
"""Times, positions and channels, which are no frames of one recording in an array that has an axis of frames."""
LEAST_SIDE = 8
"""Least height and width of frames in pixels."""
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""Smallest and largest number of single precision, in which frames are processed."""


@dataclass(frozen=True)
class StackInfo(SignalInfo):
    """Header of a stack in one or several files."""

    of_booleans: ClassVar[np.dtype[Any]] = np.dtype(bool)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.stack_shape[0]

    @property
    def stack_shape(self) -> tuple[int, int, int]:
        """Number of frames and their size, (N, Y, X); grey frames may be stored in colours."""
        *frames, height, width = self.shape[:-1] if self.axes.endswith("S") else self.shape
        return math.prod(frames), height, width

    @staticmethod
    def _suitable(header: Header, *, alone: bool) -> Header:
        # some programs store a stack of three or four frames as the colours of one image, in planes
        sizes = dict(zip(header.axes, header.shape, strict=False))
        images = math.prod(size for axis, size in sizes.items() if axis not in "YXS")
        if "S" in header.axes.split("Y")[0] and alone and images == 1:
            return replace(header, axes=header.axes.replace("S", _PLANES))
        return header


def probe(source: str | Path, *, axes: str = "", select: str = "", kinds: str = "uif") -> StackInfo:
    """Read the headers of a stack, without its pixels.

    Parameters
    ----------
    source
        A file of a format in `napari_diner.io.formats`, ``file::name`` for an array of several, or a folder or glob of
        images with one frame each, in the order of `napari_diner.io.files.find_files`.
    axes
        Letters of the axes as stored, to override those of the files; frames are the one besides Y and X.
    select
        Positions along further axes; see `napari_diner.io.axes.view_of`.
    kinds
        Allowed kinds of values, as letters of ``numpy.dtype.kind``.

    Raises
    ------
    InputError
        If there is no such file, or the files cannot be read, hold values that are not intensities, differ in shape or
        type, or have more than one axis besides Y and X.
    """
    info = StackInfo.of(source, find_files(source), axes, select, kinds)
    letters = info.axes.removesuffix("S")
    if len(letters) > 3:
        shortest = min(zip(info.shape, letters[:-2], strict=False))[1]
        raise InputError(
            f"{source} has the axes {described_axes(info.axes, info.shape)}, but a stack has one axis of frames; "
            f"choose along the others with {{field:select}}, such as {shortest}=0, or name the axes as "
            "stored in {field:axes}",
            "select",
        )
    check_axis_of_frames(info.axes, info.shape, select, str(source))
    return info


def check_axis_of_frames(axes: str, shape: tuple[int, ...], select: str, source: str) -> None:
    """Check that the axis of frames has not been selected away, so that another one would be taken for it.

    Parameters
    ----------
    axes, shape
        Letters and sizes of the axes that are left.
    select
        The selection that led to them; see `napari_diner.io.axes.view_of`.
    source
        Name in messages.

    Raises
    ------
    InputError
        If it has.
    """
    left = axes[0]
    if left in _NO_FRAMES and shape[0] > 1 and parse_selection(select).get("N") is not None:
        raise InputError(
            f"Frames are along N in {source}, of which one is chosen, so that points along {left} would be taken for "
            f"frames; choose along {left} instead, such as {left}=0, or name the axes as stored in {{field:axes}}",
            "select",
        )


def read(info: StackInfo) -> Array:
    """Return the frames announced by `probe`, (N, Y, X), in the type of the files.

    Raises
    ------
    InputError
        If a file cannot be decoded or is a colour image.
    """
    frames = grey(read_signal(info), info.axes, info.source)
    if _PLANES in info.header.axes and not info.axes.endswith("S") and (frames == frames[:1]).all():
        return frames[:1]
    return frames.reshape(info.stack_shape)


def grey(frames: Array, axes: str, source: str) -> Array:
    """Return frames without the axis of colours, which must be equal.

    Parameters
    ----------
    frames
        The frames.
    axes
        Letters of their axes; colours are last, if there are any.
    source
        Name in messages.

    Raises
    ------
    InputError
        If the colours differ.
    """
    if axes.endswith("S"):
        if not (frames[..., :3] == frames[..., :1]).all():
            raise InputError(
                f"{source} is a colour image; convert it to grey, or choose a colour with {{field}}, such as S=1",
                "select",
            )
        return frames[..., 0]
    return frames


def frames_last(shape: tuple[int, ...], axes: str = "") -> str | None:
    """Return a warning if the first axis of frames, (N, Y, X), is probably not the one that counts them.

    Parameters
    ----------
    shape
        Shape of the frames.
    axes
        Names of the axes given by the user, which are trusted.
    """
    if axes or len(shape) != 3:
        return None
    count, height, width = shape
    short, name = (width, "YXN") if width < height else (height, "NYX")
    if count < max(height, width) / 2 or max(height, width) < 2 * short:
        return None
    which = "last" if name == "YXN" else "first"
    return (
        f"{count} frames of {height}×{width} pixels are more frames than pixels along one side; if the file holds "
        f"{short} frames along its {which} axis, set axes to {name}"
    )


def check_frames_first(shape: tuple[int, ...], count: int, axes: str = "") -> None:
    """Check that the first axis of a stack, (N, Y, X), matches the number of settings per frame.

    Parameters
    ----------
    shape
        Shape of the stack.
    count
        Number of distances or directions; 0 if unknown.
    axes
        Names of the axes given by the user, which are trusted.

    Raises
    ------
    InputError
        If another axis matches.
    """
    # a single image has as many rows as there are frames only by chance
    if axes or len(shape) != 3 or shape[0] in (1, count) or count not in shape[1:] or count < 2:
        return
    cure = "YXN" if count == shape[2] else "NYX"
    raise InputError(
        f"The stack has {shape[0]} frames of {shape[1]}×{shape[2]} pixels, but {count} are described; if its frames "
        f"are along another axis, name the axes as stored in {{field}}, such as {cure}",
        "axes",
    )


def check_frames(frames: Array) -> None:
    """Check that an array can be a stack of frames, (N, Y, X), of intensities.

    Raises
    ------
    InputError
        If it has other axes, values of another type or beyond single precision, or frames of fewer than 8×8 pixels.
    """
    if frames.ndim != 3:
        raise InputError(f"The stack has {frames.ndim} dimensions; give frames of one channel as (N, Y, X)")
    if frames.dtype.kind not in "uif":
        raise InputError(f"The stack contains values of type {frames.dtype}; give integers or real numbers")
    if min(frames.shape[1:]) < LEAST_SIDE:
        raise InputError(
            f"The frames have only {frames.shape[1]}×{frames.shape[2]} pixels; give at least {LEAST_SIDE}×{LEAST_SIDE}"
        )
    if frames.dtype.itemsize > 4:
        # other checks handle NaN and infinity
        largest = float(np.abs(frames).max(where=np.isfinite(frames), initial=0))
        if largest > _LARGEST or 0 < largest < _SMALLEST:
            size = "large" if largest > _LARGEST else "small"
            raise InputError(
                f"The values of the stack, up to {largest:.4g}, are too {size} for single precision; multiply them "
                "by a constant"
            )


def checksum(array: Array) -> str:
    """Return the SHA-256 of an array's type, shape and values in hexadecimal, regardless of byte order and layout."""
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    digest = hashlib.sha256(f"{little.dtype.str} {little.shape} ".encode())
    digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()
