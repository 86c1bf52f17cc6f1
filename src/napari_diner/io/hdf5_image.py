"""Images in HDF5 as the HDF5 Image and Palette Specification describes them: colours, palettes, and their origin.

Of an array with the attribute ``CLASS = "IMAGE"``, ``INTERLACE_MODE`` names the axis of the colours, ``DISPLAY_ORIGIN``
the corner of the first pixel, and ``PALETTE`` the colours that its numbers stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array

if TYPE_CHECKING:
    import h5py

_INTERLACED = {"INTERLACE_PIXEL": "YXS", "INTERLACE_LINE": "YSX", "INTERLACE_PLANE": "SYX"}
_FLIPS = {"UL": "", "UR": "X", "LL": "Y", "LR": "YX"}
"""Axes along which to flip an image to make it upright, by the corner of its first pixel."""
_LONGEST_PALETTE = 2**16


@dataclass(frozen=True)
class Hdf5Image:
    """What the attributes of an array say about it as an image."""

    axes: str = ""
    """Letters of its axes; empty if they are not named."""
    origin: str = "UL"
    """Corner of the first pixel."""
    greys: Array | None = None
    """Grey value of each number, (N,), if its palette is grey, but not a ramp of equal steps."""
    has_colours: bool = False
    """Whether its palette has colours."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Conversions of the array, in sentences without a full stop."""
        notes = []
        if self.origin != "UL":
            notes.append(f"images are flipped, as their first pixel is the corner {self.origin} (DISPLAY_ORIGIN)")
        if self.greys is not None:
            notes.append("the numbers are entries of a palette, and are read as its intensities")
        if self.has_colours:
            notes.append("the colours of its palette are taken for those of the display; its numbers are read")
        return tuple(notes)

    def values(self, path: Path, stored: Array, letters: str) -> Array:
        """Return the values of stored numbers whose axes have these letters, Y and X among them."""
        if self.greys is not None:
            if stored.size and int(stored.max()) >= len(self.greys):
                raise InputError(
                    f"{path} has a palette of {len(self.greys)} entries but holds the number {stored.max()}; convert "
                    "it to grey"
                )
            stored = self.greys[stored]
        flips = tuple(letters.index(axis) for axis in _FLIPS[self.origin])
        return np.flip(stored, flips) if flips else stored


def image_of(file: h5py.File, array: h5py.Dataset) -> Hdf5Image:
    """Return what the attributes of an array say about it as an image; nothing if they do not declare one."""
    attributes = array.attrs
    if _text(attributes, "CLASS") != "IMAGE":
        return Hdf5Image()
    is_coloured = _text(attributes, "IMAGE_SUBCLASS") == "IMAGE_TRUECOLOR" and array.ndim == 3
    axes = _INTERLACED.get(_text(attributes, "INTERLACE_MODE"), "") if is_coloured else ""
    if axes and array.shape[axes.index("S")] not in (3, 4):
        axes = ""
    origin = _text(attributes, "DISPLAY_ORIGIN")
    palette = _palette(file, array)
    is_grey = palette is not None and bool((palette == palette[:, :1]).all())
    greys = None
    if palette is not None and is_grey and not np.array_equal(palette[:, 0], np.arange(len(palette))):
        greys = palette[:, 0]
    return Hdf5Image(axes, origin if origin in _FLIPS else "UL", greys, palette is not None and not is_grey)


def _palette(file: h5py.File, array: h5py.Dataset) -> Array | None:
    """Return the palette of an array of indices, (N, 3); None if it has none."""
    import h5py

    reference = np.ravel(array.attrs.get("PALETTE", ()))
    is_indexed = _text(array.attrs, "IMAGE_SUBCLASS") in ("IMAGE_INDEXED", "") and array.dtype.kind == "u"
    if not is_indexed or not reference.size or not isinstance(reference[0], h5py.Reference) or not reference[0]:
        return None
    palette = file[reference[0]]
    if not isinstance(palette, h5py.Dataset) or palette.ndim != 2 or palette.dtype.kind != "u":
        return None
    if palette.shape[1] != 3 or not 0 < palette.shape[0] <= _LONGEST_PALETTE:
        return None
    values: Array = palette[()]
    return values


def _text(attributes: Mapping[str, Any], key: str) -> str:
    value = np.ravel(attributes.get(key, ""))
    first = value[0] if value.size else ""
    return first.decode("ascii", "replace") if isinstance(first, bytes) else str(first)
