"""Checks of frames: constant, repeated, without light, or of another exposure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.preprocess.borders import margins
from napari_diner.preprocess.overlays import overlays
from napari_diner.preprocess.pixels import fill, finite_values
from napari_diner.preprocess.saturation import black_level
from napari_diner.wording import digits

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]

_COUNTS = 20
"""Frames with values of this or more contain counts instead of fractions of full scale."""
_FEWEST_STEPS = 1000
"""Number of steps of single precision that the range of frames must have."""
_MOST_VALUES, _HARD = 16, 0.9
"""Values of a mask that is no image, and part of its pixels with the two most frequent ones of another."""
FEW_PIXELS = 0.25
"""Part of the field below which a mask is probably inverted."""
_NEGATIVE = 0.2
"""Part of negative pixels above which they are not caused by noise about zero."""
_DARK = 0.2
"""Relative brightness below which a frame may be without light."""
_STRUCTURELESS = 0.1
"""Correlation of neighbouring pixels below which a frame is noise."""
_STRUCTURED = 0.3
"""Correlation of neighbouring pixels from which most frames show a sample."""
OTHER_EXPOSURE = 0.03
"""Relative difference in brightness that samples and optics do not explain where all light is recorded."""


def check_not_constant(frames: Array, mask: Mask | None = None) -> None:
    """Check that no frame has the same value everywhere.

    Raises
    ------
    InputError
        If one has.
    """
    values = [frame if mask is None else frame[mask[number]] for number, frame in enumerate(frames)]
    constant = [number for number, pixels in enumerate(values) if pixels.min() == pixels.max()]
    if not constant:
        return
    first = float(values[constant[0]].max())
    what = "all zero" if first == 0 else f"{first:g} in all pixels"
    text = f"Frame {constant[0] + 1} is {what}"
    if len(constant) == len(frames) > 1:
        raise InputError(f"{text}, and no other frame shows anything either; check that these are the right data")
    others = constant[1:]
    if others:
        text += f", and {numbered(others)} {'has' if len(others) == 1 else 'have'} one value in all pixels, too"
    them = "them" if others else "it"
    numbers = ",".join(str(number + 1) for number in constant)
    raise InputError(f"{text}; leave {them} out with {{field:leave_out}} {numbers}")


def check_finite(frames: Array, missing: str = "", valid: Mask | None = None) -> None:
    """Check that frames, (N, Y, X), have values that are finite.

    Parameters
    ----------
    frames
        The frames.
    missing
        Numbers in the file that were read as NaN, for the message; empty if there are none.
    valid
        True at the pixels that count, (N, Y, X), of frames that may be masked; None if they may not.

    Raises
    ------
    InputError
        If they do not.
    """
    for number, frame in enumerate(frames):
        bad = ~np.isfinite(frame) if valid is None else ~np.isfinite(frame) & valid[number]
        if not bad.any():
            continue
        cure = "give a mask" if valid is not None else f"leave the frame out with {{field:leave_out}} {number + 1}"
        if missing:
            pixels = "1 pixel" if bad.sum() == 1 else f"{bad.sum():,} pixels"
            raise InputError(
                f"{pixels} of frame {number + 1} hold {missing}; delete this declaration if such values were "
                f"recorded, otherwise {cure}"
            )
        raise InputError(
            f"Frame {number + 1} holds values that are not finite (NaN or infinity); correct it, or {cure}"
        )


def check_same_type(image: Array, name: str, other: Array, other_name: str) -> None:
    """Check that two images have the same unit, as one is subtracted from the other or divides it.

    Real numbers may be means of many frames in the unit of these.

    Raises
    ------
    InputError
        If they contain integers of different sizes, or real numbers between 0 and 1 and integers.
    """
    if image.dtype.kind in "ui" and other.dtype.kind in "ui":
        differ = image.dtype.itemsize != other.dtype.itemsize
    else:
        real = [part for part in (image, other) if part.dtype.kind == "f"]
        whole = [part for part in (image, other) if part.dtype.kind in "ui"]
        differ = bool(real and whole) and float(np.max(real[0])) <= 1 < float(np.max(whole[0])) / _COUNTS
    if differ:
        raise InputError(
            f"The {name} is of type {image.dtype} with values up to {np.max(image):.6g}, but the {other_name} of type "
            f"{other.dtype} up to {np.max(other):.6g}; save both in the same type and unit"
        )


def check_resolved(frames: Array, valid: Mask | None = None) -> None:
    """Check that light on an offset keeps its digits in single precision.

    Raises
    ------
    InputError
        If it does not.
    """
    if frames.dtype.itemsize < 4 or not frames.size:
        return
    values = finite_values(frames if valid is None or valid.all() else frames[valid])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if 0 < high - low < _FEWEST_STEPS * float(np.finfo(np.float32).eps) * abs(high):
        raise InputError(
            f"The frames vary by {digits(high - low, 3)} on an offset of {low:.6g}, too little for single precision; "
            "subtract the offset, as with preprocess.dark"
        )


def identical(frames: Array) -> list[list[int]]:
    """Return the numbers, from zero, of frames that are identical, group by group."""
    groups: dict[bytes, list[int]] = {}
    for number, frame in enumerate(frames):
        groups.setdefault(hashlib.blake2b(np.ascontiguousarray(frame).data).digest(), []).append(number)
    return [group for group in groups.values() if len(group) > 1]


def repeated(frames: Array) -> list[str]:
    """Return a warning about frames that are identical to others."""
    equal = identical(frames)
    if not equal:
        return []
    named = ", and ".join(numbered(group) for group in equal[:3])
    return [f"{named} are identical; one recording was probably saved twice (leave_out drops frames)"]


def without_light(frames: Array, offset: float = 0.0) -> list[int]:
    """Return the numbers, from zero, of frames that are far darker than the others and contain only noise.

    Parameters
    ----------
    frames
        (N, Y, X).
    offset
        Grey level of the camera without light.
    """
    if len(frames) < 3:
        return []
    # the median over rows is robust against a few outlying pixels
    means = np.array([np.median(frame.mean(axis=1, dtype=np.float64)) for frame in frames]) - offset
    usual = np.median(means)
    if usual <= 0:  # the offset is wrong, and says nothing about single frames
        return []
    dark = np.flatnonzero(means < _DARK * usual)
    return [int(number) for number in dark if _neighbour_correlation(frames[number]) < _STRUCTURELESS]


def only_noise(frames: Array) -> list[tuple[list[int], str]]:
    """Return the frames of nothing but noise while most show a sample: numbers from zero, and a warning."""
    correlations = np.array([_neighbour_correlation(frame) for frame in frames])
    odd = np.flatnonzero(correlations < _STRUCTURELESS)
    if len(frames) < 3 or not odd.size or np.median(correlations) < _STRUCTURED:
        return []
    verb = "shows" if odd.size == 1 else "show"
    return [(odd.tolist(), f"{numbered(odd)} {verb} nothing but noise, unlike the others (leave_out drops frames)")]


def exposures(brightness: Vector, unknown: Vector | float = 0.0) -> list[str]:
    """Return a warning about frames of another exposure, if all frames should be equally bright.

    Parameters
    ----------
    brightness
        Mean of each frame, (N,).
    unknown
        Part of the light of each frame that may be missing in its mean, (N,).
    """
    relative = brightness / np.median(brightness)
    odd = np.flatnonzero(np.abs(relative - 1) > OTHER_EXPOSURE + np.max(unknown))
    if not odd.size:
        return []
    worst = odd[np.argmax(np.abs(np.log(np.maximum(relative[odd], 1e-9))))]
    return [
        f"the brightness of {numbered(odd)} differs as with another exposure (frame {worst + 1} has "
        f"{digits(100 * relative[worst], 3)} % of the usual one); equalise_gains estimates and removes such differences"
    ]


def check_intensities(frames: Array) -> None:
    """Check that frames can be intensities.

    Raises
    ------
    InputError
        If many pixels are negative, as in contrasts or logarithms.
    """
    share = float(np.mean(frames < 0))
    if share > _NEGATIVE:
        raise InputError(
            f"{share:.0%} of the values of the frames are negative, as in contrasts, I / I₀ − 1, or logarithms, but "
            "intensities are not; give the frames as they were recorded"
        )


def black(frames: Array) -> list[str]:
    """Return a warning about frames whose dark parts, other than margins and texts, are cut off; see `black_level`."""
    unrecorded = margins(frames) | overlays(frames)
    if unrecorded.any():
        frames = np.stack([fill(*page) for page in zip(frames, ~unrecorded, strict=True)])
    level = black_level(frames)
    if level is None:
        return []
    value, cut = level
    share = float(np.mean(frames[cut] == value))
    return [
        f"{digits(100 * share)} % of the pixels of {numbered(cut)} hold {value:g}, and hardly any a little more: what "
        "was darker is cut off; subtract less from the frames, or mask where there is no light"
    ]


def mask_doubts(mask: Mask) -> list[str]:
    """Return a warning about a mask, True at valid pixels, that leaves almost nothing, or masks nothing."""
    share = float(mask.mean())
    if share == 1:
        return ["the mask is nowhere zero, and so masks nothing; make it zero where pixels must be ignored"]
    if share >= FEW_PIXELS:
        return []
    return [f"the mask leaves only {share:.1%} of the pixels; it must be non-zero at valid pixels, not the reverse"]


def graded(mask: Array) -> list[str]:
    """Return a warning about a mask of many values, as an image has; edges may be smooth, and areas numbered."""
    values, counts = np.unique(mask, return_counts=True)
    if len(values) <= _MOST_VALUES or np.sort(counts)[-2:].sum() > _HARD * mask.size:
        return []
    return [
        f"the mask holds {len(values):,} different values, as an image does, of which all but zero mark valid pixels; "
        "check that it is the right file, or make it zero where pixels must be ignored"
    ]


def _neighbour_correlation(frame: Array) -> float:
    values = frame.astype(np.float64)
    values -= values.mean()
    square = float(np.mean(values**2))
    return float(np.mean(values[:, 1:] * values[:, :-1])) / square if square else 1.0


def numbered(numbers: Sequence[int] | npt.NDArray[np.int64], most: int = 8) -> str:
    """Return frames, numbered from zero, in words and numbered from one: ``"frames 1, 2 and 5"``."""
    shown = [str(number + 1) for number in numbers[:most]]
    if len(numbers) == 1:
        return f"frame {shown[0]}"
    if len(numbers) > most:
        return f"frames {', '.join(shown)} and {len(numbers) - most} more"
    return f"frames {', '.join(shown[:-1])} and {shown[-1]}"
