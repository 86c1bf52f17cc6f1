"""A step of Adam with all keys for a misfit, compiled by numba: interpolation, its adjoint and the step in one loop.

Keys are processed in blocks that stay in the cache of a core: places on the lattice; values, errors and derivatives;
and the step. So keys and their moments are read and written once, and derivatives by the keys never leave the cache.

Arrays are as in `compiled`, with two differences: `values` are flat and have `lanes` numbers for each group of outputs,
zero beyond the last output, and keys with their moments are flat.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from napari_diner.loops import compiled, inlined
from napari_diner.representations.lanes import (
    braid,
    braid_three,
    greatest,
    least,
    load,
    spread,
    square_root,
    store,
    sums,
)

# keys of a block; a multiple of the keys that are processed together, which are four
_BLOCK = 512


def lanes_for(outputs: int) -> int:
    """Return how many outputs are processed together, 4 or 8; arrays are padded to a multiple of it."""
    return 4 if outputs <= 4 else 8


@functools.cache
def step_loop(width: int, lanes: int, groups: int) -> Callable[..., float]:
    """Return the loop for keys of `width` numbers, 2 or 3, and values of `groups` times `lanes` numbers.

    ``(keys, values, size, slope, offset, data, weights, factor, to_values, averages, squares, rates, box, start,
    stop)``: as `compiled.Kernels.misfit`, but the keys take the step instead of giving their derivative.

    averages, squares
        Adam's moments of the gradient and of its square, flat like the keys; changed in place.
    rates
        Six numbers, see `compiled_step.rates`.
    box
        Infinity and minus infinity, (2, d); becomes the least and the greatest of each coordinate of the new keys.
    """
    pitch, together = lanes * groups, 8 * width
    block = _BLOCK

    @compiled
    def loop(  # type: ignore[no-untyped-def]
        keys, values, size, slope, offset, data, weights, factor, to_values, averages, squares, rates, box, start, stop
    ):
        row = size * pitch
        top, most = np.float32(size - 1), np.int32(size - 2)
        # of one block: cells, places within them, targets with the outputs of a key together, weights, derivatives
        cells, places = np.zeros(block, np.int32), np.zeros(block * width, np.float32)
        targets, factors = np.zeros(block * pitch, np.float32), np.zeros(block, np.float32)
        gradients, bounds = np.zeros(block * width, np.float32), np.zeros(2 * together, np.float32)
        zero = spread(np.float32(0), lanes)
        low, high = spread(np.float32(np.inf), together), spread(np.float32(-np.inf), together)
        total = 0.0
        for first in range(start, stop, block):
            count = min(block, stop - first)
            some = keys[width * first : width * (first + count)]
            for key in range(count):
                at, stride = np.int32(0), np.int32(pitch)
                for axis in range(width):
                    along, within = _place(some[width * key + axis], slope[axis], offset[axis], top, most)
                    at += stride * along
                    stride *= np.int32(size)
                    places[width * key + axis] = within
                cells[key] = at
            for channel in range(len(data)):
                of_channel = data[channel, first : first + count]
                for key in range(count):
                    targets[key * pitch + channel] = of_channel[key]
            # keys are processed by four; what is left of another block does not count
            for key in range(block):
                factors[key] = factor if key < count else np.float32(0)
            if weights.size:
                of_block = weights[first : first + count]
                for key in range(count):
                    factors[key] *= of_block[key]
            misfit = zero
            for key in range(0, count, 4):
                x0, y0, z0, s0 = _cell(
                    width, values, to_values, cells, row, size, pitch, lanes, places, key, targets, factors, zero
                )
                x1, y1, z1, s1 = _cell(
                    width, values, to_values, cells, row, size, pitch, lanes, places, key + 1, targets, factors, zero
                )
                x2, y2, z2, s2 = _cell(
                    width, values, to_values, cells, row, size, pitch, lanes, places, key + 2, targets, factors, zero
                )
                x3, y3, z3, s3 = _cell(
                    width, values, to_values, cells, row, size, pitch, lanes, places, key + 3, targets, factors, zero
                )
                misfit = misfit + ((s0 + s1) + (s2 + s3))
                along_x = sums(x0, x1, x2, x3) * spread(slope[0], 4)
                along_y = sums(y0, y1, y2, y3) * spread(slope[1], 4)
                if width == 2:
                    store(gradients, 2 * key, braid(along_x, along_y))
                else:
                    along_z = sums(z0, z1, z2, z3) * spread(slope[2], 4)
                    store(gradients, 3 * key, braid_three(along_x, along_y, along_z))
            store(bounds, 0, sums(misfit, misfit, misfit, misfit))
            total += bounds[0]
            low, high = _step(
                keys, gradients, averages, squares, rates, low, high, width * first, width * count, together
            )
        store(bounds, 0, low)
        store(bounds, together, high)
        for number in range(together):
            box[0, number % width] = min(box[0, number % width], bounds[number])
            box[1, number % width] = max(box[1, number % width], bounds[together + number])
        # the last keys of all may not fill a vector
        for number in range(max(width * start, width * stop - together), width * stop):
            box[0, number % width] = min(box[0, number % width], keys[number])
            box[1, number % width] = max(box[1, number % width], keys[number])
        return total / factor

    return loop


def rates(rate: float, betas: tuple[float, float], epsilon: float, step: int) -> Any:
    """Return what a step of Adam needs: ``1 − β₁, β₂, 1 − β₂, rate / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ), ε``, float32."""
    first, second = betas
    numbers = (1 - first, second, 1 - second, rate / (1 - first**step), (1 - second**step) ** -0.5, epsilon)
    return tuple(map(np.float32, numbers))


@compiled
def _place(key, slope, offset, top, most):  # type: ignore[no-untyped-def]
    """Return the cell along one coordinate and the place within it, from 0 to 1; see `compiled._place`."""
    place = key * slope + offset
    # comparisons with NaN are false
    place = place if place > 0 else np.float32(0)
    place = place if place < top else top
    cell = min(np.int32(place), most)
    return cell, place - np.float32(cell)


@inlined
def _cell(width, values, to_values, cells, row, size, pitch, lanes, places, own, targets, factors, zero):  # type: ignore[no-untyped-def]
    """Return the derivatives by one key, before they are summed over outputs, and the weighted squares.

    `own` is the number of the key in the block, `zero` a vector.
    """
    at, factor = cells[own], spread(factors[own], zero)
    if width == 2:
        return _cell_2d(values, to_values, at, row, pitch, lanes, places, own, targets, factor, zero)
    return _cell_3d(values, to_values, at, row, size * row, pitch, lanes, places, own, targets, factor, zero)


@inlined
def _cell_2d(values, to_values, at, row, pitch, lanes, places, own, targets, weight, zero):  # type: ignore[no-untyped-def]
    """Return this for keys of two numbers; `at` is the first corner of the key's cell."""
    x, y = spread(places[2 * own], zero), spread(places[2 * own + 1], zero)
    along_x = along_y = squares = zero
    for group in range(0, pitch, lanes):
        here = at + group
        above = here + row
        left, right = load(values, here, zero), load(values, here + pitch, zero)
        rise_left = load(values, above, zero) - left
        rise_right = load(values, above + pitch, zero) - right
        low, high = left + y * rise_left, right + y * rise_right
        difference = high - low
        error = low + x * difference - load(targets, own * pitch + group, zero)
        weighted = error * weight
        squares = squares + error * weighted
        along_x = along_x + weighted * difference
        along_y = along_y + weighted * (rise_left + x * (rise_right - rise_left))
        up = weighted * y
        _add_to_line(to_values, here, pitch, x, weighted - up)
        _add_to_line(to_values, above, pitch, x, up)
    return along_x, along_y, zero, squares


@inlined
def _cell_3d(values, to_values, at, row, sheet, pitch, lanes, places, own, targets, weight, zero):  # type: ignore[no-untyped-def]
    """Return this for keys of three numbers; `sheet` is the distance of values along the last."""
    x, y, z = spread(places[3 * own], zero), spread(places[3 * own + 1], zero), spread(places[3 * own + 2], zero)
    along_x = along_y = along_z = squares = zero
    for group in range(0, pitch, lanes):
        here = at + group
        above = here + sheet
        near, near_x = _line(values, here, pitch, x)
        far, far_x = _line(values, here + row, pitch, x)
        up_near, up_near_x = _line(values, above, pitch, x)
        up_far, up_far_x = _line(values, above + row, pitch, x)
        low, high = near + y * (far - near), up_near + y * (up_far - up_near)
        error = low + z * (high - low) - load(targets, own * pitch + group, zero)
        weighted = error * weight
        squares = squares + error * weighted
        up = weighted * z
        down = weighted - up
        along_x = along_x + down * (near_x + y * (far_x - near_x)) + up * (up_near_x + y * (up_far_x - up_near_x))
        along_y = along_y + down * (far - near) + up * (up_far - up_near)
        along_z = along_z + weighted * (high - low)
        down_far, up_away = down * y, up * y
        _add_to_line(to_values, here, pitch, x, down - down_far)
        _add_to_line(to_values, here + row, pitch, x, down_far)
        _add_to_line(to_values, above, pitch, x, up - up_away)
        _add_to_line(to_values, above + row, pitch, x, up_away)
    return along_x, along_y, along_z, squares


@inlined
def _line(values, at, pitch, x):  # type: ignore[no-untyped-def]
    """Return the value on a line between two points, and the difference along it."""
    left = load(values, at, x)
    difference = load(values, at + pitch, x) - left
    return left + x * difference, difference


@inlined
def _add_to_line(to_values, at, pitch, x, amount):  # type: ignore[no-untyped-def]
    """Add to the derivatives by the values at both ends of a line."""
    to_right = amount * x
    store(to_values, at, load(to_values, at, x) + (amount - to_right))
    store(to_values, at + pitch, load(to_values, at + pitch, x) + to_right)


@inlined
def _step(keys, gradients, averages, squares, rates, low, high, start, count, together):  # type: ignore[no-untyped-def]
    """Take the step with `count` numbers of keys from `start` on; return the extent of the keys so far.

    `low` and `high` are vectors of `together` numbers, a multiple of the numbers in a key.
    """
    fresh, keep, fresh_square, rate, correction, epsilon = rates
    whole = count - count % together
    for at in range(0, whole, together):
        here = start + at
        gradient, average = load(gradients, at, low), load(averages, here, low)
        average = average + spread(fresh, low) * (gradient - average)
        square = load(squares, here, low) * spread(keep, low) + spread(fresh_square, low) * (gradient * gradient)
        size = square_root(square) * spread(correction, low) + spread(epsilon, low)
        key = load(keys, here, low) - spread(rate, low) * average / size
        store(averages, here, average)
        store(squares, here, square)
        store(keys, here, key)
        low, high = least(low, key), greatest(high, key)
    for at in range(whole, count):
        here, one = start + at, gradients[at]
        averages[here] += fresh * (one - averages[here])
        squares[here] = squares[here] * keep + fresh_square * (one * one)
        keys[here] -= rate * averages[here] / (np.sqrt(squares[here]) * correction + epsilon)
    return low, high
