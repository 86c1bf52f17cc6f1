"""Checks of dark, flat and empty fields: whether frames can be corrected by them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.preprocess.saturation import saturation_levels
from napari_diner.wording import digits

Floats = npt.NDArray[np.float32]

_BLOCKS = 8
"""Parts of the field along each axis whose brightness is compared: a sample averages out in them."""
_UNEVEN = 0.02
"""Standard deviation of the logarithm of a reference from which its pattern can be recognised in the frames."""
_FOLLOWS, _CERTAIN = 0.5, 4.0
"""Frames follow a reference with a slope of one; below this, by so many standard errors, they do not."""
_SATURATED = 0.001
"""Part of saturated pixels that matters."""
_MOSTLY = 0.5
"""Part of the pixels with the largest value above which a reference is overexposed rather than flat."""
_TILE_PX, _SIGMAS = 8, 4.0
"""Size of the squares whose means are compared with a dark frame, and standard errors that are not noise."""
_BELOW_DARK, _NEGATIVE = 0.03, 0.01
"""Part of the field, and depth relative to the mean light, from which negative light is worth a warning."""
_SAMPLED = 100_000
"""Largest number of values that are compared with each other."""
_OUTLYING, _TOO_STRONG = 6.0, 2.0
"""Largest values of a pattern relative to the median, without dead pixels; and strength of one of another range."""
_SHIFTED, _VALUES = 4, 4
"""Smallest common factor of values with fewer bits, and number of different values that show it."""


def doubts(reference: Array, divisor: Floats, frames: Array, name: str) -> list[str]:
    """Return sentences about a reference that is saturated, or whose pattern the frames do not show.

    The logarithms of both, in blocks, lie on a line of slope one if the frames were recorded with the light, and on the
    sensor, of the reference.

    Parameters
    ----------
    reference
        As recorded, cropped as the frames, (Y, X) or (N, Y, X).
    divisor
        The reference without the dark frame, relative to its mean, cropped as the frames.
    frames
        Recorded intensities, (N, Y, X).
    name
        Of the reference.
    """
    texts = []
    (level,) = saturation_levels(reference.reshape(1, *reference.shape[-2:])) if reference.ndim == 2 else (math.inf,)
    largest = float(reference.max())
    if largest > reference.min() and np.mean(reference == largest) > _MOSTLY:
        level = largest
    share = float(np.mean(reference >= level))
    if share > _SATURATED:
        texts.append(
            f"{digits(100 * share, 3)} % of the pixels of the {name} are saturated at {level:g}, and do not correct "
            "the frames; record it with a shorter exposure"
        )
    pattern = _blocks(divisor if divisor.ndim == 2 else divisor.mean(0))
    light = _blocks(frames.mean(0, dtype=np.float64))
    if pattern is None or light is None or pattern.std() < _UNEVEN:
        return texts
    x, y = pattern - pattern.mean(), light - light.mean()
    way = _other_way(x, y)
    if way:
        return [*texts, f"the frames show the pattern of the {name} {way}; turn the file as the frames"]
    slope = float((x * y).sum() / (x * x).sum())
    error = float((y - slope * x).std() / (x.std() * math.sqrt(x.size)))
    if slope + _CERTAIN * error < _FOLLOWS:
        change = f"{digits(abs(10 * slope))} % {'brighter' if slope > 0 else 'darker'}"
        texts.append(
            f"the frames do not show the pattern of the {name}: where it is 10 % brighter, they are {change} on "
            "average; it may be mirrored, or of another recording, or the frames are corrected already"
        )
    return texts


def check_no_frame(reference: Array, frames: Array, name: str) -> None:
    """Check that a reference is not one of the frames that it should correct.

    Raises
    ------
    InputError
        If it is.
    """
    for page in reference.reshape(-1, *reference.shape[-2:]):
        for number, frame in enumerate(frames, 1):
            if np.array_equal(page[:1], frame[:1]) and np.array_equal(page, frame):
                raise InputError(f"The {name} is the same image as frame {number}; check which file is which")


def dark_doubts(dark: Array, image: Array, name: str) -> list[str]:
    """Return sentences about a dark frame that is brighter than parts of an image, or has another number of bits.

    Parameters
    ----------
    dark
        Recorded without light, (Y, X) or (N, Y, X).
    image
        Recorded with light, (Y, X) or (N, Y, X).
    name
        Of the image.
    """
    light = image - dark
    rows, columns = (size // _TILE_PX * _TILE_PX for size in light.shape[-2:])
    tiles = light[..., :rows, :columns].reshape(-1, rows // _TILE_PX, _TILE_PX, columns // _TILE_PX, _TILE_PX)
    means, errors = tiles.mean((2, 4)), tiles.std((2, 4)) / _TILE_PX
    least = _NEGATIVE * float(np.mean(image, dtype=np.float64))
    share = float(np.mean(means < -np.maximum(_SIGMAS * errors, least))) if means.size else 0.0
    if share > _BELOW_DARK:
        return [
            f"the dark frame is brighter than the {name} in {digits(100 * share, 3)} % of the area; it may be of "
            "another gain, exposure or number of bits"
        ]
    stronger = _pattern_in(dark, image)
    if stronger > 0:
        return [
            f"the fine pattern of the dark frame is {digits(stronger)} times as strong in the {name} as in the dark "
            "frame itself, as if it were of fewer bits or of a shorter exposure"
        ]
    factors = [_common_factor(values) for values in (dark, image)]
    factor = max(factors)
    if factor < _SHIFTED or not 0 < min(factors) < factor:
        return []
    if factors[1] == factor and factor * float(dark.mean()) > float(image.mean()):
        return []
    shifted, other = ("dark frame", name) if factors[0] == factor else (name, "dark frame")
    return [
        f"the values of the {shifted} are multiples of {factor}, as of fewer bits that were shifted, and those of the "
        f"{other} are not; multiply them by {factor}, unless they are means of several frames"
    ]


def _pattern_in(dark: Array, image: Array) -> float:
    """Return how strongly an image shows the fine pattern of a dark frame, if too strongly; zero otherwise.

    Noise of the dark frame lowers the slope of the regression; the pattern of a right one has a slope of one at most.
    """
    pattern, shown = (_fine(values) for values in (dark, image))
    limit = _OUTLYING * float(np.median(np.abs(pattern)))
    typical = np.abs(pattern) <= limit
    x, y = pattern[typical], shown[typical]
    square = float((x * x).sum())
    if square == 0:
        return 0.0
    slope = float((x * y).sum()) / square
    error = float((y - slope * x).std()) / math.sqrt(square)
    return slope if slope - _CERTAIN * error > _TOO_STRONG else 0.0


def _fine(values: Array) -> npt.NDArray[np.float64]:
    """Return the detail between neighbouring pixels of an image, or of the mean of several, (Y, X)."""
    mean = values.reshape(-1, *values.shape[-2:]).mean(0, dtype=np.float64)
    return np.asarray(mean - ndimage.uniform_filter(mean, 3, mode="nearest"))


def _common_factor(values: Array) -> int:
    """Return the largest power of two that divides all values; zero if they are not whole, or too few differ."""
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values) or len(np.unique(whole.ravel()[:: 1 + whole.size // _SAMPLED])) < _VALUES:
        return 0
    bits = int(np.bitwise_or.reduce(whole, axis=None))
    return bits & -bits


def _other_way(pattern: npt.NDArray[np.float64], light: npt.NDArray[np.float64]) -> str:
    """Return how the light shows a pattern turned or mirrored, and not as it is; empty if it does not.

    Both are logarithms minus their mean, (B, B), and the light is fitted by both ways round together.
    """
    flips = {
        "mirrored from left to right": pattern[:, ::-1],
        "mirrored from top to bottom": pattern[::-1],
        "turned by 180°": pattern[::-1, ::-1],
    }
    found = {}
    for way, turned in flips.items():
        both = np.stack([pattern.ravel(), turned.ravel()])
        inverse = np.linalg.pinv(both @ both.T)
        slopes = inverse @ (both @ light.ravel())
        left = light.ravel() - slopes @ both
        more = slopes[1] - slopes[0]
        error = math.sqrt(max(inverse[0, 0] + inverse[1, 1] - 2 * inverse[0, 1], 0.0)) * float(left.std())
        if slopes[0] < _FOLLOWS < slopes[1] and more > _CERTAIN * error:
            found[way] = float(left.std())
    return min(found, key=found.__getitem__, default="")


def _blocks(image: npt.NDArray[np.floating]) -> npt.NDArray[np.float64] | None:
    """Return the logarithm of the brightness of blocks, (B, B); None of small or dark images."""
    rows, columns = (size // _BLOCKS for size in image.shape)
    if min(rows, columns) == 0:
        return None
    part = image[: rows * _BLOCKS, : columns * _BLOCKS].reshape(_BLOCKS, rows, _BLOCKS, columns)
    means = part.mean((1, 3), dtype=np.float64)
    return np.asarray(np.log(means)) if (means > 0).all() else None
