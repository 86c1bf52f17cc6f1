"""Kernels for a graphics card, in Triton: interpolation between the points of a lattice, and search among its values.

A program works on a block of keys. Many keys add to the same point of the lattice, and the order in which they do so
differs from run to run; sums are therefore taken in whole numbers, which are the same in any order, in units chosen so
that the largest possible sum fits into 62 bits. To keep programs from waiting for each other, several copies of the
sums are kept.

Values have LANES numbers, a power of two, of which OUTPUTS count; the others are padding.

Keys outside the box of the lattice are moved to its edge, and NaN to its lower edge, as by the loops of
`napari_diner.representations.compiled`.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator, misc"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _place(keys, index, inside, axis, slope, offset, size, WIDTH: tl.constexpr):
    """Return the cell along one coordinate and the place within it, from 0 to 1."""
    place = tl.load(keys + index * WIDTH + axis, mask=inside, other=0.0) * tl.load(slope + axis) + tl.load(
        offset + axis
    )
    # comparisons with NaN are false
    place = tl.where(place > 0, place, 0.0)
    place = tl.where(place < size - 1, place, size - 1.0)
    cell = tl.minimum(place.to(tl.int32), size - 2)
    return cell, place - cell.to(tl.float32)


@triton.jit
def _cell(keys, index, inside, slope, offset, size, row, LANES: tl.constexpr, WIDTH: tl.constexpr):
    """Return where the values of the first corner of each key's cell begin, and the places within the cell."""
    column, x = _place(keys, index, inside, 0, slope, offset, size, WIDTH)
    line, y = _place(keys, index, inside, 1, slope, offset, size, WIDTH)
    at = line * row + column * LANES
    z = x
    if WIDTH == 3:
        plane, z = _place(keys, index, inside, 2, slope, offset, size, WIDTH)
        at += plane * size * row
    return at[:, None], x[:, None], y[:, None], z[:, None]


@triton.jit
def _line(values, at, used, x, LANES: tl.constexpr):
    """Return the values at a place between two neighbouring points, and their differences."""
    first = tl.load(values + at, mask=used, other=0.0)
    difference = tl.load(values + at + LANES, mask=used, other=0.0) - first
    return first + x * difference, difference


@triton.jit
def _add(sums, at, used, x, error, unit, LANES: tl.constexpr):
    """Add errors to two neighbouring points by their weights, as the nearest whole numbers."""
    second = error * x
    first = (error - second) * unit
    second = second * unit
    tl.atomic_add(sums + at, (first + tl.where(first > 0, 0.5, -0.5)).to(tl.int64), mask=used, sem="relaxed")
    second = (second + tl.where(second > 0, 0.5, -0.5)).to(tl.int64)
    tl.atomic_add(sums + at + LANES, second, mask=used, sem="relaxed")


@triton.jit
def read(
    keys, values, slope, offset, outputs, count, size,
    WIDTH: tl.constexpr, OUTPUTS: tl.constexpr, LANES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the values at keys, (n, WIDTH), to `outputs`, (OUTPUTS, n)."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, LANES)[None, :]
    inside = index < count
    used = inside[:, None] & (channel < OUTPUTS)
    row = size * LANES
    at, x, y, z = _cell(keys, index, inside, slope, offset, size, row, LANES, WIDTH)
    at += channel
    near, _ = _line(values, at, used, x, LANES)
    far, _ = _line(values, at + row, used, x, LANES)
    value = near + y * (far - near)
    if WIDTH == 3:
        at += size * row
        near, _ = _line(values, at, used, x, LANES)
        far, _ = _line(values, at + row, used, x, LANES)
        value += z * (near + y * (far - near) - value)
    tl.store(outputs + channel * tl.cast(count, tl.int64) + index[:, None], value, mask=used)


@triton.jit
def back(
    keys, values, slope, offset, data, weights, factor, unit, sums, to_keys, squares, count, size, points,
    WIDTH: tl.constexpr, OUTPUTS: tl.constexpr, LANES: tl.constexpr, MISFIT: tl.constexpr, WEIGHTED: tl.constexpr,
    COPIES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Take a gradient by the outputs, (OUTPUTS, n), to those by values and keys.

    The gradient is `data`, or with MISFIT that of ``factor / 2 · Σ_i w_i |f_i − data_i|²``. That by the values is
    added to `sums`, (COPIES, points, LANES), in units of ``factor / unit``, that by the keys is written to `to_keys`,
    (n, WIDTH), and the sums ``Σ w |f − data|²`` of the blocks to `squares`.

    All outputs of a key are added by one instruction, which the memory takes as one since they lie together.
    """
    block = tl.program_id(0)
    index = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, LANES)[None, :]
    inside = index < count
    used = inside[:, None] & (channel < OUTPUTS)
    row = size * LANES
    sheet = size * row
    at, x, y, z = _cell(keys, index, inside, slope, offset, size, row, LANES, WIDTH)
    at += channel
    own = sums + (block % COPIES) * points * LANES
    scale = tl.load(unit)
    error = tl.load(data + channel * tl.cast(count, tl.int64) + index[:, None], mask=used, other=0.0)
    near, in_near = _line(values, at, used, x, LANES)
    far, in_far = _line(values, at + row, used, x, LANES)
    value = near + y * (far - near)
    if WIDTH == 3:
        above, up_near = _line(values, at + sheet, used, x, LANES)
        above_far, up_far = _line(values, at + sheet + row, used, x, LANES)
        high = above + y * (above_far - above) - value
        value += z * high
    if MISFIT:
        error = tl.where(used, value - error, 0.0)
        square = error * error
        if WEIGHTED:
            weight = tl.load(weights + index, mask=inside, other=0.0)[:, None]
            square *= weight
            error *= weight
        tl.store(squares + block, tl.sum(square))
    to_low = error
    along_x = tl.zeros((BLOCK, LANES), tl.float32)
    along_y = tl.zeros((BLOCK, LANES), tl.float32)
    if WIDTH == 3:
        to_up = error * z
        to_low = error - to_up
        along_x = to_up * (up_near + y * (up_far - up_near))
        along_y = to_up * (above_far - above)
        along_z = tl.sum(error * high, 1)
        tl.store(to_keys + index * WIDTH + 2, factor * along_z * tl.load(slope + 2), mask=inside)
        to_far = to_up * y
        _add(own, at + sheet, used, x, to_up - to_far, scale, LANES)
        _add(own, at + sheet + row, used, x, to_far, scale, LANES)
    to_far = to_low * y
    _add(own, at, used, x, to_low - to_far, scale, LANES)
    _add(own, at + row, used, x, to_far, scale, LANES)
    along_x += to_low * (in_near + y * (in_far - in_near))
    along_y += to_low * (far - near)
    tl.store(to_keys + index * WIDTH, factor * tl.sum(along_x, 1) * tl.load(slope), mask=inside)
    tl.store(to_keys + index * WIDTH + 1, factor * tl.sum(along_y, 1) * tl.load(slope + 1), mask=inside)


@triton.jit
def _gap(low, high, chunk, least, most, axis, OUTPUTS: tl.constexpr):
    """Return the square of the gap along one output between the box of a chunk and that of the targets."""
    below = tl.load(low + chunk * OUTPUTS + axis) - most
    above = least - tl.load(high + chunk * OUTPUTS + axis)
    gap = tl.maximum(tl.maximum(below, above), 0.0)
    return gap * gap


@triton.jit
def nearest(
    targets, order, values, low, high, starts, chosen, count,
    CHUNKS: tl.constexpr, CHUNK: tl.constexpr, OUTPUTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the index of the value, of (CHUNKS · CHUNK, OUTPUTS), that is nearest to each target, of (OUTPUTS, n).

    `order` puts targets that are near each other one after the other, as the values are. Each block of targets passes
    over the chunks of values from that of `starts` on, and leaves out those whose box, from `low` to `high`, (CHUNKS,
    OUTPUTS), is further away than what it has already. OUTPUTS is at most 3.
    """
    block = tl.program_id(0)
    index = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    where = tl.load(order + tl.minimum(index, count - 1))
    t0 = tl.load(targets + where)
    t1, t2 = t0, t0
    if OUTPUTS > 1:
        t1 = tl.load(targets + tl.cast(count, tl.int64) + where)
    if OUTPUTS > 2:
        t2 = tl.load(targets + 2 * tl.cast(count, tl.int64) + where)
    least0, most0, least1, most1 = tl.min(t0, 0), tl.max(t0, 0), tl.min(t1, 0), tl.max(t1, 0)
    least2, most2 = tl.min(t2, 0), tl.max(t2, 0)
    least = tl.full((BLOCK,), float("inf"), tl.float32)
    best = tl.zeros((BLOCK,), tl.int32)
    bound = tl.max(least, 0)
    start = tl.load(starts + block)
    for step in range(0, CHUNKS):
        chunk = (start + step) % CHUNKS
        gap = _gap(low, high, chunk, least0, most0, 0, OUTPUTS)
        if OUTPUTS > 1:
            gap += _gap(low, high, chunk, least1, most1, 1, OUTPUTS)
        if OUTPUTS > 2:
            gap += _gap(low, high, chunk, least2, most2, 2, OUTPUTS)
        if gap < bound:
            for ahead in tl.static_range(CHUNK):
                point = chunk * CHUNK + ahead
                away = tl.load(values + point * OUTPUTS) - t0
                distance = away * away
                if OUTPUTS > 1:
                    away = tl.load(values + point * OUTPUTS + 1) - t1
                    distance += away * away
                if OUTPUTS > 2:
                    away = tl.load(values + point * OUTPUTS + 2) - t2
                    distance += away * away
                is_nearer = distance < least
                least = tl.where(is_nearer, distance, least)
                best = tl.where(is_nearer, point, best)
            bound = tl.max(least, 0)
    tl.store(chosen + where, best, mask=index < count)
