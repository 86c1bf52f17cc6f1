"""Scale bars, texts and marks that a program has drawn into frames."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.io.arrays import Array

Mask = npt.NDArray[np.bool_]

DRAWN = "drawn into the frames like a scale bar or a text"
"""Description of `overlays` in notes."""
_FEWEST_FRAMES = 3
"""Number of different frames in which the same pixels cannot have the same value by chance."""
_LEAST, _MOST = 24, 0.2
"""Number of drawn pixels, and part of the field; less are broken pixels, and more is a flat background."""
_LETTER, _ALONE = 5, 10
"""Number of pixels of an area, without which it may be light or broken pixels unless it is near others: of the same
pixels in all frames, and of those in a single one."""
_MOST_AREAS = 2000
_STEP, _STEEP = 0.3, 0.7
"""Step at the edge of an area at the largest or smallest value, relative to this value or to that of the frame, and the
part of the edge that has it in most frames. Light that saturates a sensor, or is cut off at black, fades beyond."""
_EQUAL = 0.1
"""Part of the edge that may have the value of the area; light that is cut off has other borders in every frame."""
_SHARP, _SEVERAL, _PLACE = 0.9, 2, 0.2
"""Texts that change from frame to frame: part of the edge of letters that has this step, number of letters, and largest
part of the field that holds them."""
_CLEAR, _COUNTS = 0.02, 4.0
"""The same step for other values, relative to the mean of the frame, and in counts: a flat background has none."""
_AROUND, _STROKES, _NEAR = 2, 4, 32
"""Pixels around drawn ones that may be blended with them, half the distance between strokes of a letter, and pixels
around that may hold more of the same text."""
_SQUARE = np.ones((3, 3), bool)


def overlays(frames: Array) -> Mask:
    """Return the pixels that were drawn into frames, and those around that may be blended with them, (N, Y, X).

    These are areas of exactly one value with abrupt edges: the same in all frames, as scale bars, or in single frames
    at the largest or smallest value of the recording, as the letters of numbers and times.

    Parameters
    ----------
    frames
        Recorded intensities, (N, Y, X), of any type.
    """
    drawn = np.zeros(frames.shape, bool)
    # values that are not finite are refused elsewhere
    if min(frames.shape[1:]) < 4 * _AROUND or not np.isfinite(frames).all():
        return drawn
    different = _different(frames)
    low, high = float(frames.min()), float(frames.max())
    if low == high:
        return drawn
    if len(different) < _FEWEST_FRAMES:
        return drawn
    drawn |= _in_all(different, low, high)
    for value in (low, high):
        drawn |= _letters(frames, value)
    if np.any(drawn, axis=0).sum() < _LEAST:
        return np.zeros_like(drawn)
    return np.stack([_with_blended(page) if page.any() else page for page in drawn])


def _with_blended(drawn: Mask) -> Mask:
    """Return drawn pixels with those between the strokes of letters and around, (Y, X)."""
    far = _AROUND + _STROKES
    room = np.pad(drawn, far)  # nothing is beyond the edges
    whole = ndimage.binary_dilation(ndimage.binary_closing(room, _SQUARE, _STROKES), _SQUARE, _AROUND)
    return np.asarray(whole[far:-far, far:-far])


def described(drawn: Mask) -> str:
    """Return where drawn pixels, (N, Y, X), are, for messages."""
    there: Mask = np.any(drawn, axis=0)
    rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    return f"in rows {rows[0] + 1} to {rows[-1] + 1} and columns {columns[0] + 1} to {columns[-1] + 1}"


def _different(frames: Array) -> Array:
    """Return the frames without those that repeat others."""
    first: dict[bytes, int] = {}
    for number, frame in enumerate(frames):
        first.setdefault(hashlib.blake2b(np.ascontiguousarray(frame).data).digest(), number)
    return frames if len(first) == len(frames) else frames[list(first.values())]


def _in_all(frames: Array, low: float, high: float) -> Mask:
    """Return areas that are the same in all frames and end abruptly in most, (Y, X)."""
    found = np.zeros(frames.shape[1:], bool)
    same = (frames == frames[0]).all(0)
    if not 0 < same.mean() <= _MOST:
        return found
    areas, count = ndimage.label(same, _SQUARE)
    if count > _MOST_AREAS:
        return found
    drawn_with = set()
    for area, place in enumerate(ndimage.find_objects(areas), 1):
        box, inside = _with_margin(place, areas, area)
        if inside.sum() < _LETTER or _reaches_across(place, found.shape):
            continue
        values = frames[0][box][inside]
        value, is_cut = float(np.median(values)), values.min() <= low or values.max() >= high
        if not is_cut and (inside.sum() < _LEAST or values.min() != values.max()):
            continue
        edges = [_edge(frame[box], inside, value, _cut(frame, value) if is_cut else _clear(frame)) for frame in frames]
        if max(equal for equal, _ in edges) <= _EQUAL and float(np.median([steep for _, steep in edges])) >= _STEEP:
            found[box] |= inside
            drawn_with.add(value)
    more: Mask = _near(found) & same & np.isin(frames[0], [*drawn_with])
    return found | more


def _letters(frames: Array, value: float) -> Mask:
    """Return areas of a value that end abruptly, several in most frames and all in one small place, (N, Y, X)."""
    there = frames == value
    found, counts = np.zeros(frames.shape, bool), []
    if there.mean() > _PLACE / 2:
        return found
    for frame, equal, page in zip(frames, there, found, strict=True):
        areas, count = ndimage.label(equal, _SQUARE)
        counts.append(0)
        if not 0 < count <= _MOST_AREAS:
            continue
        step = _cut(frame, value)
        for area, place in enumerate(ndimage.find_objects(areas), 1):
            box, inside = _with_margin(place, areas, area)
            if inside.sum() >= _ALONE and _edge(frame[box], inside, value, step, blended=False)[1] >= _SHARP:
                page[box] |= inside
                counts[-1] += 1
    anywhere: Mask = np.any(found, axis=0)
    near, place = _near(anywhere), _near(anywhere, 0)
    is_there = there & near
    is_text = (
        np.median(counts) >= _SEVERAL
        and place.mean() <= _PLACE
        and (found.sum((1, 2)) >= _LEAST).mean() >= _STEEP
        and is_there.sum() >= (1 - _EQUAL) * there.sum()
    )
    return is_there if is_text else np.zeros(frames.shape, bool)


def _near(found: Mask, margin: int = _NEAR) -> Mask:
    """Return the rectangle around drawn pixels that may hold more of the same text, (Y, X)."""
    near = np.zeros_like(found)
    if found.any():
        rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
        top, left = max(rows[0] - margin, 0), max(columns[0] - margin, 0)
        near[top : rows[-1] + 1 + margin, left : columns[-1] + 1 + margin] = True
    return near


def _with_margin(place: tuple[slice, ...], areas: npt.NDArray[np.int_], number: int) -> tuple[tuple[slice, ...], Mask]:
    """Return the part of the field around an area that holds its edge, and the area in this part."""
    box = tuple(
        slice(max(side.start - _AROUND, 0), min(side.stop + _AROUND, size))
        for side, size in zip(place, areas.shape, strict=True)
    )
    return box, areas[box] == number


def _reaches_across(place: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    """Return whether an area reaches from one edge of the field to the other, as broken lines do."""
    return any(side.start == 0 and side.stop == size for side, size in zip(place, shape, strict=True))


def _edge(part: Array, inside: Mask, value: float, step: float, *, blended: bool = True) -> tuple[float, float]:
    """Return the parts of the edge of an area that have its value, and that differ from it by a step.

    The pixels next to the area may be blended with it, so that those beyond count as well.
    """
    near = ndimage.binary_dilation(inside, _SQUARE) & ~inside
    beyond = ndimage.binary_dilation(inside, _SQUARE, 2) & ~near & ~inside
    other = part != value
    steep = [
        float(np.mean(np.abs(part[ring & other].astype(np.float64) - value) > step))
        for ring in ((near, beyond) if blended else (near,))
        if (ring & other).any()
    ]
    return float(np.mean(~other[near])), max(steep, default=0.0)


def _cut(frame: Array, value: float) -> float:
    return _STEP * max(abs(value), abs(float(np.median(frame))))


def _clear(frame: Array) -> float:
    mean = abs(float(frame.mean(dtype=np.float64)))
    return max(_CLEAR * mean, _COUNTS if frame.dtype.kind in "ui" else 0.0)
