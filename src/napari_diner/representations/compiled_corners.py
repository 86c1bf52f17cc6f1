"""Interpolation of one output at keys of two numbers, and its adjoint, compiled by numba: four keys at a time.

The four corners of each cell of the lattice are stored side by side, so that a key reads them at once, and adds to
their derivatives at once. Four keys are then turned into one vector for each corner, with which all four are computed
together.

Arrays are as in `compiled`, but flat: `corners` and `to_corners`, (G^2 · 4), hold for each point of the lattice, the
second coordinate of a key first in order, the values at this point, at the next one along the first coordinate, and at
the two that follow these along the second; cells without four corners are never read.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from napari_diner.loops import compiled, inlined
from napari_diner.representations.lanes import braid, load, spread, store, turned

# keys of a block, which stays in the cache of a core; a multiple of the keys that are processed together
_BLOCK = 512


def corners_of(values: Tensor, size: int) -> Tensor:
    """Return the corners of each cell, (G^2 · 4), of values at the points of a lattice, (G^2, 1)."""
    grid = values.view(size, size)
    corners = grid.new_zeros(size, size, 4)
    corners[..., 0] = grid
    corners[:, :-1, 1] = grid[:, 1:]
    corners[:-1, :, 2] = grid[1:]
    corners[:-1, :-1, 3] = grid[1:, 1:]
    return corners.view(-1)


def from_corners(to_corners: Tensor, size: int) -> Tensor:
    """Return the derivative by the values at the points, (G^2, 1), of that by the corners of cells, (G^2 · 4)."""
    here, right, up, across = to_corners.view(size, size, 4).unbind(-1)
    to_values = here.clone()
    to_values[:, 1:] += right[:, :-1]
    to_values[1:] += up[:-1]
    to_values[1:, 1:] += across[:-1, :-1]
    return to_values.view(-1, 1)


@compiled
def read(keys, corners, size, slope, offset, written, start, stop):  # type: ignore[no-untyped-def]
    """Write the outputs of keys `start` to `stop`; return 0."""
    cells, xs, ys = np.zeros(_BLOCK, np.int32), np.zeros(_BLOCK, np.float32), np.zeros(_BLOCK, np.float32)
    outputs = np.zeros(_BLOCK, np.float32)
    for first in range(start, stop, _BLOCK):
        count = min(_BLOCK, stop - first)
        _find(keys[2 * first : 2 * (first + count)], size, slope, offset, cells, xs, ys)
        # what is left of another block beyond the last key is computed, but not used
        for key in range(0, count, 4):
            near, in_near, far, in_far = _lines(corners, cells, key)
            x, y = load(xs, key, 4), load(ys, key, 4)
            low = near + x * in_near
            store(outputs, key, low + y * (far + x * in_far - low))
        written[first : first + count] = outputs[:count]
    return 0.0


@compiled
def adjoint(keys, corners, size, slope, offset, data, to_corners, to_keys, start, stop):  # type: ignore[no-untyped-def]
    """Take the gradient by the outputs, `data`, to that by the corners, which is added, and that by the keys."""
    cells, xs, ys = np.zeros(_BLOCK, np.int32), np.zeros(_BLOCK, np.float32), np.zeros(_BLOCK, np.float32)
    errors, gradients = np.zeros(_BLOCK, np.float32), np.zeros(2 * _BLOCK, np.float32)
    for first in range(start, stop, _BLOCK):
        count = min(_BLOCK, stop - first)
        _find(keys[2 * first : 2 * (first + count)], size, slope, offset, cells, xs, ys)
        errors[:count] = data[first : first + count]
        # keys are processed by four; what is left of another block must not count
        errors[count:] = np.float32(0)
        for key in range(0, count, 4):
            near, in_near, far, in_far = _lines(corners, cells, key)
            x, y, error = load(xs, key, 4), load(ys, key, 4), load(errors, key, 4)
            along_x = error * (in_near + y * (in_far - in_near)) * spread(slope[0], 4)
            along_y = error * (far + x * in_far - (near + x * in_near)) * spread(slope[1], 4)
            store(gradients, 2 * key, braid(along_x, along_y))
            up = error * y
            down = error - up
            to_right, to_across = down * x, up * x
            here, right, above, across = down - to_right, to_right, up - to_across, to_across
            _add(to_corners, cells[key], turned(here, right, above, across, 0))
            _add(to_corners, cells[key + 1], turned(here, right, above, across, 1))
            _add(to_corners, cells[key + 2], turned(here, right, above, across, 2))
            _add(to_corners, cells[key + 3], turned(here, right, above, across, 3))
        to_keys[2 * first : 2 * (first + count)] = gradients[: 2 * count]
    return 0.0


@inlined
def _find(some, size, slope, offset, cells, xs, ys):  # type: ignore[no-untyped-def]
    """Write where the corners of the cells of some keys are, and the places of the keys within the cells."""
    top, most = np.float32(size - 1), np.int32(size - 2)
    for key in range(len(some) // 2):
        x, y = some[2 * key] * slope[0] + offset[0], some[2 * key + 1] * slope[1] + offset[1]
        # comparisons with NaN are false
        x, y = x if x > 0 else np.float32(0), y if y > 0 else np.float32(0)
        x, y = x if x < top else top, y if y < top else top
        column, line = min(np.int32(x), most), min(np.int32(y), most)
        xs[key], ys[key] = x - np.float32(column), y - np.float32(line)
        cells[key] = (line * np.int32(size) + column) * np.int32(4)


@inlined
def _lines(corners, cells, key):  # type: ignore[no-untyped-def]
    """Return the values at the start of both lines of the cells of four keys, each followed by the difference along."""
    one, two = load(corners, cells[key], 4), load(corners, cells[key + 1], 4)
    three, four = load(corners, cells[key + 2], 4), load(corners, cells[key + 3], 4)
    near, far = turned(one, two, three, four, 0), turned(one, two, three, four, 2)
    return near, turned(one, two, three, four, 1) - near, far, turned(one, two, three, four, 3) - far


@inlined
def _add(array, place, amount):  # type: ignore[no-untyped-def]
    """Add a vector to an array from a place on."""
    store(array, place, load(array, place, 4) + amount)
