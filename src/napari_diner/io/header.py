"""What an image file says about itself before any pixel is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_diner.errors import InputError


@dataclass(frozen=True)
class Header:
    """Size, type and pixel size of the frames in one file.

    Parameters
    ----------
    frames, height, width
        Number of frames and their size in pixels.
    dtype
        Type of the values as stored, in native byte order.
    pixel_size_um
        Distance between neighbouring pixels in micrometres, or None if the file does not tell.
    """

    frames: int
    height: int
    width: int
    dtype: np.dtype[Any]
    pixel_size_um: float | None = None


@contextlib.contextmanager
def decoding(path: Path, what: str = "read") -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into an `InputError` that names the file.

    A decoder meets arbitrary bytes here and fails in as many ways (ValueError, KeyError, struct.error, zlib.error);
    running out of memory and our own errors pass through.
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
        raise InputError(f"{path} cannot be {what} ({reason}); it may be damaged, so save or copy it anew") from None


def check_dtype(path: Path, dtype: np.dtype[Any], kinds: str) -> np.dtype[Any]:
    """Return `dtype` in native byte order if its kind is one of `kinds` (letters as in ``numpy.dtype.kind``).

    Raises
    ------
    InputError
        If it is not: complex, boolean or structured values are no intensities.
    """
    if dtype.kind not in kinds:
        raise InputError(f"{path} holds values of type {dtype}; save them as integers or as real numbers")
    return dtype.newbyteorder("=")
