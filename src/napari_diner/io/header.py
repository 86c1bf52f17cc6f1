"""Headers of image files: number, size and type of frames before any pixel is read."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array, DType


@dataclass(frozen=True)
class Header:
    """Number, size, type and pixel size of frames.

    Parameters
    ----------
    frames, height, width
        Number of frames and their size in pixels.
    dtype
        Type of the stored values, in native byte order.
    pixel_size_um
        Distance between neighbouring pixels in micrometres; None if unknown.
    """

    frames: int
    height: int
    width: int
    dtype: DType
    pixel_size_um: float | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (N, Y, X) of the frames."""
        return self.frames, self.height, self.width

    @property
    def nbytes(self) -> int:
        """Bytes that the frames take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


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
    except PermissionError:
        raise InputError(f"{path} may not be read; change its permissions or copy it") from None
    except Exception as error:
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


def map_npy(path: Path) -> Array:
    """Return the array in a NumPy file without reading its values.

    Mapping checks the header against the length of the file, and never unpickles.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    with decoding(path):
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
