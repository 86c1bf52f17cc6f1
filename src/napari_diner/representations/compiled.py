"""Multilinear interpolation on the processor, compiled by numba: between the points of a lattice, and its adjoint.

The loops run without Python's lock, on parts of the keys that the caller gives to its threads. Keys outside the box of
the lattice are moved to its edge, as by ``grid_sample`` with ``padding_mode="border"``, and NaN to its lower edge: no
key makes a loop read or write beyond its arrays.

Arrays, all float32: `keys` (n, d), `values` (G^d, outputs) with the last coordinate of a key first in order, `outputs`
and `data` (outputs, n). `slope` and `offset`, (d,), turn a coordinate of a key into a place on the lattice, from 0 to
G - 1, where `size` is G.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from napari_diner.loops import compiled


class Kernels(NamedTuple):
    """The loops for keys of one width and values of one number of outputs."""

    read: Callable[..., float]
    """``(keys, values, size, slope, offset, outputs, start, stop)``.

    Writes the outputs of keys `start` to `stop`; returns 0.
    """
    adjoint: Callable[..., float]
    """``(keys, values, size, slope, offset, data, weights, factor, to_values, to_keys, start, stop)``.

    Takes the gradient by the outputs, `data`, to that by the values, which is added to `to_values`, and that by the
    keys, which is written to `to_keys`. `weights` and `factor` are ignored; returns 0.
    """
    misfit: Callable[..., float]
    """The same for the gradient of ``factor / 2 · Σ_i w_i |f_i - data_i|²``; returns the sum.

    `weights` is (n,), or empty for ones.
    """


@functools.cache
def kernels(width: int, outputs: int) -> Kernels:
    """Return the loops for keys of `width` numbers, 2 or 3, and values of `outputs` numbers.

    Both are constants of the loops, so that the compiler unrolls the innermost ones.
    """
    if width == 2:
        return Kernels(_read_2d(outputs), _adjoint_2d(outputs, misfit=False), _adjoint_2d(outputs, misfit=True))
    return Kernels(_read_3d(outputs), _adjoint_3d(outputs, misfit=False), _adjoint_3d(outputs, misfit=True))


@compiled
def _place(key, slope, offset, size):  # type: ignore[no-untyped-def]
    """Return the cell along one coordinate and the place within it, from 0 to 1."""
    place, top = key * slope + offset, np.float32(size - 1)
    # comparisons with NaN are false
    place = place if place > 0 else np.float32(0)
    place = place if place < top else top
    cell = min(np.int32(place), np.int32(size - 2))
    return cell, place - np.float32(cell)


def _read_2d(outputs: int) -> Callable[..., float]:
    @compiled
    def read(keys, values, size, slope, offset, written, start, stop):  # type: ignore[no-untyped-def]
        flat, row = values.reshape(-1), np.int32(size * outputs)
        for key in range(start, stop):
            column, x = _place(keys[key, 0], slope[0], offset[0], size)
            line, y = _place(keys[key, 1], slope[1], offset[1], size)
            at = line * row + column * np.int32(outputs)
            for channel in range(outputs):
                near = flat[at] + x * (flat[at + outputs] - flat[at])
                far = flat[at + row] + x * (flat[at + row + outputs] - flat[at + row])
                written[channel, key] = near + y * (far - near)
                at += 1
        return 0.0

    return read


def _adjoint_2d(outputs: int, *, misfit: bool) -> Callable[..., float]:
    @compiled
    def adjoint(keys, values, size, slope, offset, data, weights, factor, to_values, to_keys, start, stop):  # type: ignore[no-untyped-def]
        flat, towards, row = values.reshape(-1), to_values.reshape(-1), np.int32(size * outputs)
        total = 0.0
        for key in range(start, stop):
            column, x = _place(keys[key, 0], slope[0], offset[0], size)
            line, y = _place(keys[key, 1], slope[1], offset[1], size)
            at = line * row + column * np.int32(outputs)
            weight = weights[key] if misfit and weights.size else np.float32(1)
            along_x = along_y = squares = np.float32(0)
            for channel in range(outputs):
                in_near, in_far = flat[at + outputs] - flat[at], flat[at + row + outputs] - flat[at + row]
                near, far = flat[at] + x * in_near, flat[at + row] + x * in_far
                error = data[channel, key]
                if misfit:
                    error = near + y * (far - near) - error
                    squares += error * error
                    error *= weight * factor
                along_x += error * (in_near + y * (in_far - in_near))
                along_y += error * (far - near)
                to_far = error * y
                to_near = error - to_far
                towards[at] += to_near - to_near * x
                towards[at + outputs] += to_near * x
                towards[at + row] += to_far - to_far * x
                towards[at + row + outputs] += to_far * x
                at += 1
            to_keys[key, 0] = along_x * slope[0]
            to_keys[key, 1] = along_y * slope[1]
            total += float(squares * weight)
        return total

    return adjoint


def _read_3d(outputs: int) -> Callable[..., float]:
    @compiled
    def read(keys, values, size, slope, offset, written, start, stop):  # type: ignore[no-untyped-def]
        flat, row = values.reshape(-1), np.int32(size * outputs)
        sheet = np.int32(size) * row
        for key in range(start, stop):
            column, x = _place(keys[key, 0], slope[0], offset[0], size)
            line, y = _place(keys[key, 1], slope[1], offset[1], size)
            plane, z = _place(keys[key, 2], slope[2], offset[2], size)
            at = plane * sheet + line * row + column * np.int32(outputs)
            for channel in range(outputs):
                up = at + sheet
                near = flat[at] + x * (flat[at + outputs] - flat[at])
                far = flat[at + row] + x * (flat[at + row + outputs] - flat[at + row])
                low = near + y * (far - near)
                near = flat[up] + x * (flat[up + outputs] - flat[up])
                far = flat[up + row] + x * (flat[up + row + outputs] - flat[up + row])
                written[channel, key] = low + z * (near + y * (far - near) - low)
                at += 1
        return 0.0

    return read


def _adjoint_3d(outputs: int, *, misfit: bool) -> Callable[..., float]:
    @compiled
    def adjoint(keys, values, size, slope, offset, data, weights, factor, to_values, to_keys, start, stop):  # type: ignore[no-untyped-def]
        flat, towards, row = values.reshape(-1), to_values.reshape(-1), np.int32(size * outputs)
        sheet = np.int32(size) * row
        total = 0.0
        for key in range(start, stop):
            column, x = _place(keys[key, 0], slope[0], offset[0], size)
            line, y = _place(keys[key, 1], slope[1], offset[1], size)
            plane, z = _place(keys[key, 2], slope[2], offset[2], size)
            at = plane * sheet + line * row + column * np.int32(outputs)
            weight = weights[key] if misfit and weights.size else np.float32(1)
            along_x = along_y = along_z = squares = np.float32(0)
            for channel in range(outputs):
                up = at + sheet
                # differences along x within the four lines of the cell, and values on these lines
                in_near, in_far = flat[at + outputs] - flat[at], flat[at + row + outputs] - flat[at + row]
                up_near, up_far = flat[up + outputs] - flat[up], flat[up + row + outputs] - flat[up + row]
                near, far = flat[at] + x * in_near, flat[at + row] + x * in_far
                above, above_far = flat[up] + x * up_near, flat[up + row] + x * up_far
                low, high = near + y * (far - near), above + y * (above_far - above)
                error = data[channel, key]
                if misfit:
                    error = low + z * (high - low) - error
                    squares += error * error
                    error *= weight * factor
                to_up = error * z
                to_low = error - to_up
                along_x += to_low * (in_near + y * (in_far - in_near)) + to_up * (up_near + y * (up_far - up_near))
                along_y += to_low * (far - near) + to_up * (above_far - above)
                along_z += error * (high - low)
                to_far = to_low * y
                to_near = to_low - to_far
                towards[at] += to_near - to_near * x
                towards[at + outputs] += to_near * x
                towards[at + row] += to_far - to_far * x
                towards[at + row + outputs] += to_far * x
                to_far = to_up * y
                to_near = to_up - to_far
                towards[up] += to_near - to_near * x
                towards[up + outputs] += to_near * x
                towards[up + row] += to_far - to_far * x
                towards[up + row + outputs] += to_far * x
                at += 1
            to_keys[key, 0] = along_x * slope[0]
            to_keys[key, 1] = along_y * slope[1]
            to_keys[key, 2] = along_z * slope[2]
            total += float(squares * weight)
        return total

    return adjoint
