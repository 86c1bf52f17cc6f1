"""Meaning of the numbers in a TIFF file: colour maps, white as zero, opacity, ImageJ's calibration, orientation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tifffile

from napari_diner.errors import InputError
from napari_diner.io.arrays import DType

Array: TypeAlias = npt.NDArray[Any]
"""Numbers or booleans."""

_OPACITY = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
_JPEG = (6, 7, 34892, 33007)
"""Compressions whose decoders convert luminance and chrominance to colours."""
_INTENSITIES = (
    *_GREY,
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.PALETTE,
    tifffile.PHOTOMETRIC.MASK,
    tifffile.PHOTOMETRIC.YCBCR,
    tifffile.PHOTOMETRIC.LINEAR_RAW,
)
"""Photometric interpretations that are read; others mean something else than light, or not in proportion."""
_OTHERS: dict[int, str] = {
    tifffile.PHOTOMETRIC.CIELAB: "CIE L*a*b*",
    tifffile.PHOTOMETRIC.ICCLAB: "ICC L*a*b*",
    tifffile.PHOTOMETRIC.ITULAB: "ITU L*a*b*",
    tifffile.PHOTOMETRIC.LOGL: "logarithms of luminance",
    tifffile.PHOTOMETRIC.LOGLUV: "logarithms of luminance",
    tifffile.PHOTOMETRIC.SEPARATED: "amounts of ink (CMYK)",
    tifffile.PHOTOMETRIC.CFA: "the mosaic of a colour camera",
}
_FLIPS = {1: "", 2: "X", 3: "YX", 4: "Y", 5: "", 6: "X", 7: "YX", 8: "Y"}
"""Axes along which to flip an image to make it upright, by the orientation in the header.

From 5 on, it is transposed first.
"""
_TRANSPOSED = 5
_POLYNOMIALS = 4
_UNCALIBRATED = 20
"""Numbers of ImageJ's calibration functions: below 4 polynomials of degree one to four, 20 for none."""


@dataclass(frozen=True)
class Meaning:
    """Conversion of the stored samples of an image to its values."""

    axes: str
    """Letters of the stored axes."""
    shape: tuple[int, ...]
    """Size along each of them."""
    stored: DType
    """Type of the samples."""
    white: int | None = None
    """The sample for black, if zero is white."""
    has_opacity: bool = False
    """Whether the last samples of grey pixels are opacity, which is dropped."""
    colour_maps: Sequence[Array] = ()
    """Colours (3, 2**bits) of each page of a palette image."""
    calibration: tuple[float, ...] = ()
    """Coefficients c₀, c₁, … of v = c₀ + c₁ s + c₂ s² + …; none for v = s."""
    orientation: int = 1
    """Orientation in the header: 1 is upright."""

    @property
    def is_grey_map(self) -> bool:
        """Whether all colour maps are grey."""
        return all((colours == colours[:1]).all() for colours in self.colour_maps)

    @property
    def named(self) -> list[tuple[str, int]]:
        """Letter and size of each axis of what `arranged` returns."""
        named = list(zip(self.axes, self.shape, strict=True))
        if self.has_opacity:
            named.pop(self._samples)
        if self.is_transposed:
            sizes = dict(named)
            named = [(axis, {"Y": sizes["X"], "X": sizes["Y"]}.get(axis, size)) for axis, size in named]
        return [*named, ("S", 3)] if self.colour_maps and not self.is_grey_map else named

    @property
    def is_transposed(self) -> bool:
        """Whether rows are stored as columns."""
        return self.orientation >= _TRANSPOSED

    @property
    def converts(self) -> bool:
        """Whether the values differ from the samples."""
        return self.white is not None or bool(self.colour_maps or self.calibration)

    @property
    def dtype(self) -> DType:
        """Type of the values."""
        if self.colour_maps:
            return np.dtype(np.uint8 if all(map(_is_of_8_bits, self.colour_maps)) else np.uint16)
        if not self.calibration:
            return self.stored
        if len(self.calibration) == 2 and all(c.is_integer() for c in self.calibration) and self.stored.kind in "ui":
            # integers stay integers: ImageJ's signed 16-bit images
            limits = np.iinfo(self.stored.str)
            ends = [self.calibration[0] + self.calibration[1] * limit for limit in (limits.min, limits.max)]
            signed = np.iinfo(f"i{self.stored.itemsize}")
            if signed.min <= min(ends) and max(ends) <= signed.max:
                return np.dtype(f"i{self.stored.itemsize}")
        return np.dtype(np.float32 if self.stored.itemsize <= 2 else np.float64)

    @property
    def notes(self) -> tuple[str, ...]:
        """Conversions of the samples, in sentences."""
        notes = []
        if self.white is not None:
            notes.append(f"zero is white according to the header, so {self.white} − v is read for each value v")
        if self.colour_maps:
            what = "intensities" if self.is_grey_map else "colours"
            notes.append(f"the numbers are entries of a colour map, and are read as its {what}")
        if self.calibration:
            terms = [f"{c:g}" + ("", " v", " v²", " v³", " v⁴")[power] for power, c in enumerate(self.calibration) if c]
            notes.append(f"ImageJ's calibration is applied: {' + '.join(terms) or '0'} for each value v")
        if self.orientation != 1:
            notes.append(f"images are rotated or flipped according to the orientation {self.orientation} in the header")
        return tuple(notes)

    def arranged(self, samples: Array) -> Array:
        """Return the stored samples upright and without opacity, and those of a palette as the colours of its map."""
        if self.colour_maps:
            samples = self._coloured(samples)
        elif self.has_opacity:
            samples = samples.take(0, axis=self._samples)
        y, x = (next(place for place, (axis, _) in enumerate(self.named) if axis == letter) for letter in "YX")
        flips = _FLIPS.get(self.orientation, "")
        if self.is_transposed:
            samples = samples.swapaxes(y, x)
        return np.flip(samples, tuple(y if axis == "Y" else x for axis in flips)) if flips else samples

    def values(self, samples: Array) -> Array:
        """Return the values of arranged samples."""
        if self.white is not None:
            return ~samples if samples.dtype.kind == "b" else self.white - samples
        if self.calibration:
            calibrated = np.polynomial.polynomial.polyval(samples.astype(np.float64), self.calibration)
            return calibrated.astype(self.dtype)
        return samples

    @property
    def _samples(self) -> int:
        return self.axes.index("S" if "S" in self.axes else "C")

    def _coloured(self, indices: Array) -> Array:
        pages = indices.reshape(len(self.colour_maps), -1)
        colours = np.stack([colours.T[page] for colours, page in zip(self.colour_maps, pages, strict=True)])
        if self.dtype == np.uint8:
            colours = (colours >> 8).astype(np.uint8)
        return colours[..., 0].reshape(self.shape) if self.is_grey_map else colours.reshape(*self.shape, 3)


def meaning(
    path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, named: Sequence[tuple[str, int]]
) -> Meaning:
    """Return the meaning of the samples of a series of pages.

    Parameters
    ----------
    path
        The file, for messages.
    tif
        The open file.
    series
        The pages.
    named
        Letter and size of each stored axis.

    Raises
    ------
    InputError
        If they are not intensities, or are ambiguous.
    """
    page = series.keyframe
    axes, shape = "".join(letter for letter, _ in named), tuple(size for _, size in named)
    stored = np.dtype(series.dtype).newbyteorder("=")
    if page.photometric not in _INTENSITIES:
        what = _OTHERS.get(page.photometric, f"samples of the photometric interpretation {int(page.photometric)}")
        raise InputError(f"{path} holds {what}, not intensities; convert it to grey")
    if page.photometric == tifffile.PHOTOMETRIC.YCBCR and page.compression not in _JPEG:
        raise InputError(f"{path} holds luminance and chrominance (YCbCr), not colours; convert it to grey or RGB")
    calibration = _calibration(path, tif.imagej_metadata, stored)
    maps: tuple[Array, ...] = ()
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        whole = [part.aspage() for part in series.pages if part is not None]
        maps = tuple(np.asarray(part.colormap) for part in whole if part.colormap is not None)
        if len(maps) != len(whole) or any(colours.shape != (3, 2**page.bitspersample) for colours in maps):
            raise InputError(f"{path} has a colour map that does not fit its pages; convert it to grey")
        if tif.imagej_metadata is not None and not all((colours == colours[:1]).all() for colours in maps):
            # ImageJ's look-up tables only affect the display; the numbers are the intensities
            maps = ()
    white: int | None = None
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and not calibration:
        if stored.kind not in "bu":
            raise InputError(
                f"{path} declares zero as white, but not which of its numbers of type {stored} is black; save it with "
                "black as zero"
            )
        white = 2 ** int(page.bitspersample) - 1
    extra = page.extrasamples
    has_opacity = page.photometric in _GREY and bool(extra) and all(one in _OPACITY for one in extra)
    orientation = page.tags.valueof("Orientation", 1)
    return Meaning(
        axes,
        shape,
        stored,
        white=white,
        has_opacity=has_opacity and page.samplesperpixel == 1 + len(extra) and max(map(axes.find, "SC")) >= 0,
        colour_maps=maps,
        calibration=() if maps else calibration,
        orientation=orientation if orientation in _FLIPS else 1,
    )


def _calibration(path: Path, metadata: Mapping[str, object] | None, stored: DType) -> tuple[float, ...]:
    """Return the coefficients of the calibration in ImageJ's metadata; empty if there is none.

    As in ImageJ, real numbers are already calibrated.
    """
    function = (metadata or {}).get("cf")
    if metadata is None or function is None or function == _UNCALIBRATED or stored.kind not in "ui":
        return ()
    coefficients = []
    for place in range(5):
        value = metadata.get(f"c{place}")
        if not isinstance(value, int | float):
            break
        coefficients.append(float(value))
    if function not in range(_POLYNOMIALS) or len(coefficients) < 2 or not np.isfinite(coefficients).all():
        raise InputError(
            f"{path} is calibrated by a function of ImageJ (cf={function}) that is not read; convert it in ImageJ with "
            "Image › Type › 32-bit, which applies it"
        )
    return () if coefficients == [0.0, 1.0] else tuple(coefficients)


def _is_of_8_bits(colours: Array) -> bool:
    """Whether a colour map holds 8-bit numbers v, stored as 257 v or 256 v."""
    low, high = colours & 0xFF, colours >> 8
    return bool((low == high).all() or not low.any())
