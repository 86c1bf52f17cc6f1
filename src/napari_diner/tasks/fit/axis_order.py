"""Checks of the order of the axes: images change alike along Y and X, otherwise along T or Z, and are not narrow."""

from __future__ import annotations

import itertools

import numpy as np

from napari_diner.tasks.fit.layout import Array
from napari_diner.tasks.fit.recipe import CHANNEL_AXES

# values along each axis that are looked at, the fewest, and the distances at which they are compared
_MOST, _FEWEST, _LAGS = 128, 6, (1, 2, 4, 8)
# Difference of the logarithms of mean square changes along Y and X, and the part of it by which another pair may
# differ. It is 0.01 to 0.2 in exchanged stacks; panned films, of which T is like a length, may be silent either way.
_UNLIKE, _ALIKE = 0.35, 0.2
# usual numbers of colours of a pixel, and the fewest pixels along the other axes
_COLOURS, _NO_COLOURS = (2, 3, 4), 16
# mean square change that counts, relative to the variance
_LEAST = 1e-6


def exchanged_axes(array: Array, axes: str, stored_axes: str = "") -> list[str]:
    """Return a warning if the data change along T or Z as they do along Y or X, but not alike along these two.

    Parameters
    ----------
    array
        The data.
    axes
        Letters of its axes; nothing is looked at if there is more than one other than Y, X and channels.
    stored_axes
        The same letters in the order of the file; empty if that is the order of `axes`.
    """
    others = [axis for axis in axes if axis not in "YX" and axis not in CHANNEL_AXES]
    if len(others) != 1 or others[0] not in "TZ":
        return []
    letters = f"{others[0]}YX"
    named = stored_axes or axes
    for place in reversed([place for place, axis in enumerate(axes) if axis in CHANNEL_AXES]):
        array = np.take(array, array.shape[place] // 2, place)
        axes = axes[:place] + axes[place + 1 :]
    volume = np.transpose(array, [axes.index(letter) for letter in letters])
    volume = volume[tuple(slice((size - _MOST) // 2 if size > _MOST else 0, None) for size in volume.shape)]
    volume = volume[tuple(slice(_MOST) for _ in letters)].astype(np.float64)
    variance = float(volume.var())
    if min(volume.shape) < _FEWEST or not variance:
        return []
    lags = [lag for lag in _LAGS if lag < min(volume.shape)]
    changes = [np.log([_change(volume, axis, lag) / variance + _LEAST for lag in lags]) for axis in range(3)]
    apart = {
        (one, other): float(np.sqrt(np.mean((changes[one] - changes[other]) ** 2)))
        for one, other in itertools.combinations(range(3), 2)
    }
    alike = min(apart, key=lambda pair: apart[pair])
    if alike == (1, 2) or apart[1, 2] < _UNLIKE or apart[alike] > _ALIKE * apart[1, 2]:
        return []
    (odd,) = {1, 2} - set(alike)
    first, like = letters[0], letters[alike[1]]
    order = {first: "Y", "Y": "X", "X": first} if odd == 2 else {first: "Y", "Y": first}
    stored = "".join(order.get(letter, letter) for letter in named)
    return [
        f"the data change along {first} as they do along {like}, but not along {letters[odd]}, as if axes were "
        f"exchanged; if they are, name the axes as stored, such as {stored} (axes)"
    ]


def narrow_images(shape: tuple[int, ...], axes: str, stored_axes: str = "") -> list[str]:
    """Return a warning if images are as wide as pixels have colours, which are probably their last axis.

    Parameters
    ----------
    shape, axes, stored_axes
        Size along each axis, and letters as for `exchanged_axes`.
    """
    first = next((axis for axis in "ZT" if axis in axes), None)
    if first is None or axes[-3:] != f"{first}YX" or shape[-1] not in _COLOURS or min(shape[-3:-1]) < _NO_COLOURS:
        return []
    order = {first: "Y", "Y": "X", "X": "S" if shape[-1] > min(_COLOURS) else "C"}
    stored = "".join(order.get(letter, letter) for letter in stored_axes or axes)
    return [
        f"the data are read as {shape[-3]} images of {shape[-2]}×{shape[-1]} pixels; if the axis of {shape[-1]} holds "
        f"colours or channels, name the axes as stored, such as {stored} (axes)"
    ]


def _change(volume: Array, axis: int, lag: int) -> float:
    moved = np.moveaxis(volume, axis, 0)
    return float(np.square(moved[lag:] - moved[:-lag]).mean())
