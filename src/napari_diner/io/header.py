"""Headers of files: shape, type and axes of the array in a file, without its values."""

from __future__ import annotations

import contextlib
import errno
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import DType

UNNAMED = "?"
"""Letter of an axis that a file does not name."""
_COLOURS = (3, 4)
_FULLEST = 2**28
_LARGEST_EXPANSION = 400


@dataclass(frozen=True)
class Header:
    """The array in a file, as stored."""

    shape: tuple[int, ...]
    """Size along each axis."""
    dtype: DType
    """Type of the values, in native byte order."""
    axes: str
    """Letter of each axis, as in OME; ``?`` where the file does not name it, and ``s`` where it probably holds colours,
    ``S``.
    """
    scale_um: Mapping[str, float] = field(default_factory=dict)
    """Spacings in micrometres by the letters of the axes, as far as the file gives them."""
    notes: tuple[str, ...] = ()
    """Conversions of the stored numbers and other notes, in sentences without a full stop."""
    missing: str = ""
    """Stored numbers that are read as NaN, and what declares them to be no data, for messages; empty if none are."""

    @property
    def nbytes(self) -> int:
        """Bytes of the values in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def unnamed_axes(shape: tuple[int, ...], dtype: DType) -> str:
    """Return the axes of an array without names: rows and columns last, behind them 8-bit colours, if any."""
    if len(shape) > 2 and shape[-1] == 1:
        return unnamed_axes(shape[:-1], dtype) + UNNAMED
    # three or four columns of bytes are colours
    colours = "s" * (len(shape) > 2 and dtype == np.uint8 and shape[-1] in _COLOURS)
    return UNNAMED * (len(shape) - 2 - len(colours)) + "YX" + colours


def column_axes(shape: tuple[int, ...], dtype: DType) -> str:
    """Return the axes of an array of MATLAB, which has rows and columns first; see `unnamed_axes`."""
    colours = "s" * (len(shape) > 2 and dtype == np.uint8 and shape[-1] in _COLOURS)
    return "YX" + UNNAMED * (len(shape) - 2 - len(colours)) + colours


def named_axes(names: Sequence[str]) -> str:
    """Return the letters of axes with names, such as ``"time"`` or ``"y"``; ``?`` where it is unknown or not unique."""
    letters = [name[:1].upper() for name in names]
    return "".join(letter if letter in "TZCNYX" and letters.count(letter) == 1 else UNNAMED for letter in letters)


def check_expansion(path: Path, nbytes: int, stored: int) -> None:
    """Check that a file is not too small for what it announces, as with damaged and malicious headers.

    Recorded values are compressed to a hundredth at best.

    Raises
    ------
    InputError
        If the values would be several hundred times as large as the file.
    """
    if nbytes > max(_FULLEST, _LARGEST_EXPANSION * stored):
        raise InputError(
            f"{path} announces {nbytes / 2**30:.3g} GiB of values but holds only {stored / 2**20:.3g} MiB; its header "
            "is damaged, so save it again"
        )


@contextlib.contextmanager
def decoding(path: Path, what: str = "read") -> Iterator[None]:
    """Convert any exception that a decoder raises for a damaged file to an `InputError` that names the file.

    Decoders fail in many ways on arbitrary bytes (ValueError, KeyError, struct.error, zlib.error). Running out of
    memory and our own errors pass through.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name a file in it") from None
    except PermissionError:
        raise InputError(f"{path} may not be read; change its permissions or copy it") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            raise MemoryError from None
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        if "imagecodecs" in reason:
            raise InputError(
                f"{path} is compressed in a way that needs another library; pip install imagecodecs, or save it "
                "uncompressed"
            ) from None
        raise InputError(f"{path} cannot be {what} ({reason}); it may be damaged, so save or copy it again") from None


def check_dtype(path: Path, dtype: DType, kinds: str) -> DType:
    """Return `dtype` in native byte order if its kind is one of `kinds` (letters as in ``numpy.dtype.kind``).

    Raises
    ------
    InputError
        If it is not: complex, boolean and structured values are not intensities.
    """
    if dtype.kind not in kinds:
        raise InputError(f"{path} holds values of type {dtype}; save them as integers or real numbers")
    return dtype.newbyteorder("=")
