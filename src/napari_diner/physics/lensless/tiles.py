"""Wide fields tile by tile: each part of the sensor is computed from what diffraction can have carried there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Unpack

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import LenslessModel, ModelOptions, Pixels, Respond
from napari_diner.physics.lensless.sensor import Sensor

# beyond the reach of diffraction a window fades, so that opposite edges meet without a step that would shine far
_FADE_PX = 32
_WINDOWS_PX = (384, 480, 576, 768, 1024, 1152)
# time for each pixel of transforms and products of images of up to so many pixels, relative to small ones
_COSTS = ((800**2, 1.0), (1200**2, 1.2), (2100**2, 2.7))
_LARGEST_COST = 4.8
# tiles are only taken where they save so much
_WORTHWHILE = 0.8


@dataclass(frozen=True)
class _Span:
    """A tile along one axis."""

    first: int
    """First pixel."""
    count: int
    """Pixels."""
    start: int
    """First padded pixel of the window, from −P to P − 1 on a grid of P pixels, which repeats itself."""

    def of_sensor(self, sensor: Sensor) -> slice:
        """Return which pixels of the sensor these are."""
        return slice(self.first // sensor.binning, (self.first + self.count) // sensor.binning)


class TiledMultiHeight(LenslessModel):
    """The model of a wide field, see `LenslessModel`, computed in tiles of the sensor.

    The sensor is divided into tiles without overlap. The field on each is that of a window of the object which is
    wider on all sides by the spread of diffraction, the shifts of the frames and a little more: what lies beyond cannot
    have reached it. Windows overlap; the object is still one, and so are the adjoint, the gradient and the solution: no
    seams can arise, whatever the solver. Transforms of some hundred pixels stay within the caches of a processor, so
    that wide fields take half the time of one piece, and only the object, the frames and what a solver keeps take
    memory in proportion to the field.

    What is left out are the faint tails that the sharp end of the grid's frequencies gives every kernel, in one piece
    as well: some 10⁻⁵ of the amplitude where the object has little structure as fine as pixels, and some 10⁻³ where it
    has much.

    Parameters
    ----------
    shape, heights, options
        As in `LenslessModel`.
    window_px
        Pixels of a window along each axis; at least twice the overlap, rounded up to a size that transforms fast, and
        no larger than the padded field.
    """

    def __init__(
        self, shape: tuple[int, int], heights: Heights, window_px: int, **options: Unpack[ModelOptions]
    ) -> None:
        super().__init__(shape, heights, **options)
        sensor = self.sensor
        self.margin_px = margin_px(heights)
        """By how much a window is wider than its tile on each side, at least."""
        window_px = next_fast_len(max(window_px, 2 * self.margin_px + sensor.binning), real=True)
        padded = self.padding.padded_shape
        self.window = (min(window_px, padded[0]), min(window_px, padded[1]))
        """Pixels (Y, X) of a window."""
        rows, columns = (
            _spans(size, before, window, period, self.margin_px, sensor.binning)
            for size, before, window, period in zip(shape, self.padding.before, self.window, padded, strict=True)
        )
        self._tiles = [(row, column) for row in rows for column in columns]
        self.edges = tuple([0, *(span.first + span.count for span in spans)] for spans in (rows, columns))
        """Where tiles end, in pixels of the object: first rows, then columns, each from zero to the size."""
        fades = (_fade(window, period, self.margin_px) for window, period in zip(self.window, padded, strict=True))
        fade_rows, fade_columns = (fade.to(self.device, self.real_dtype) for fade in fades)
        self._fade = fade_rows[:, None] * fade_columns
        self._transfers = heights.transfers(self.window, self.dtype, self.device)
        # kept, as conjugating them anew for each tile takes a tenth of the time
        self._backwards = self._transfers.conj().resolve_conj()

    @property
    def tiles(self) -> int:
        """How many tiles there are."""
        return len(self._tiles)

    def transfer(self, frame: int) -> Tensor:
        """Return √(g_z/s) · H_z of a height on the padded grid, (Y', X'), computed anew each time."""
        return self.heights.transfer(frame, self.padding.padded_shape, self.dtype).to(self.device)

    def seen(self, field: Tensor) -> Iterator[tuple[int, Pixels, Tensor]]:
        """Propagate the object's field (Y, X), tile by tile, to one sensor plane after the other."""
        lit = self.padding.pad(self.lit(field))
        for rows, columns in self._tiles:
            spectrum = torch.fft.fft2(self._cut(lit, rows, columns))
            for frame in range(self.frames):
                U = torch.fft.ifft2(self._transfers[frame] * spectrum)
                yield frame, self._at(rows, columns), U[self._within(rows, columns)]

    def round_trip(self, field: Tensor, respond: Respond) -> Tensor:
        """Propagate a field to all sensors, and bring back what `respond` makes of it there."""
        lit = self.padding.pad(self.lit(field))
        total = torch.zeros_like(lit)
        for rows, columns in self._tiles:
            spectrum = torch.fft.fft2(self._cut(lit, rows, columns))
            at, within = self._at(rows, columns), self._within(rows, columns)
            back, wide = torch.zeros_like(spectrum), torch.zeros_like(spectrum)
            for frame in range(self.frames):
                U = torch.fft.ifft2(self._transfers[frame] * spectrum)
                wide[within] = respond(frame, at, U[within])
                back.addcmul_(self._backwards[frame], torch.fft.fft2(wide))
            self._add(total, torch.fft.ifft2(back), rows, columns)
        return self.lit_adjoint(self.padding.pad_adjoint(total))

    def collect(self, answer: Callable[[int, Pixels], Tensor]) -> Tensor:
        """Bring the fields that `answer` gives for each height back to the object, and add them up."""
        total = torch.zeros(self.padding.padded_shape, dtype=self.dtype, device=self.device)
        for rows, columns in self._tiles:
            at, within = self._at(rows, columns), self._within(rows, columns)
            back = torch.zeros(self.window, dtype=self.dtype, device=self.device)
            wide = torch.zeros_like(back)
            for frame in range(self.frames):
                wide[within] = answer(frame, at)
                back.addcmul_(self._backwards[frame], torch.fft.fft2(wide))
            self._add(total, torch.fft.ifft2(back), rows, columns)
        return self.lit_adjoint(self.padding.pad_adjoint(total))

    def _at(self, rows: _Span, columns: _Span) -> Pixels:
        """Return which pixels of the sensor a tile is."""
        return rows.of_sensor(self.sensor), columns.of_sensor(self.sensor)

    def _within(self, rows: _Span, columns: _Span) -> Pixels:
        """Return where a tile lies in its window."""
        top, left = self.padding.before
        y, x = top + rows.first - rows.start, left + columns.first - columns.start
        return slice(y, y + rows.count), slice(x, x + columns.count)

    def _cut(self, padded: Tensor, rows: _Span, columns: _Span) -> Tensor:
        """Return the window of a tile, faded, of a field on the padded grid, which repeats itself."""
        for axis, span in ((0, rows), (1, columns)):
            runs = _runs(span.start, self.window[axis], padded.shape[axis])
            pieces = [padded.narrow(axis, start, length) for _, start, length in runs]
            padded = pieces[0] if len(pieces) == 1 else torch.cat(pieces, axis)
        return padded * self._fade

    def _add(self, total: Tensor, window: Tensor, rows: _Span, columns: _Span) -> None:
        """Add a window, faded, to a field on the padded grid: the adjoint of `_cut`."""
        window = window * self._fade
        for to_row, from_row, height in _runs(rows.start, self.window[0], total.shape[0]):
            for to_column, from_column, width in _runs(columns.start, self.window[1], total.shape[1]):
                piece = window[to_row : to_row + height, to_column : to_column + width]
                total[from_row : from_row + height, from_column : from_column + width] += piece


def margin_px(heights: Heights) -> int:
    """Return by how much windows must be wider than their tiles on each side."""
    return heights.reach_px + _FADE_PX


def fastest_window_px(heights: Heights, padded_shape: tuple[int, int]) -> int | None:
    """Return the window that a processor computes a wide field with in the least time, or None if one piece is faster.

    Larger windows have less overlap for their size; but images beyond some megabytes no longer stay in the caches, and
    beyond some tens their memory is asked for anew each time.
    """
    margin = margin_px(heights)
    times = {}
    for window in _WINDOWS_PX:
        if 2 * margin < window < min(padded_shape):
            tiles = math.prod(-(-size // (window - 2 * margin)) for size in padded_shape)
            times[window] = tiles * _cost(window * window)
    best = min(times, key=times.__getitem__, default=None)
    return None if best is None or times[best] > _WORTHWHILE * _cost(math.prod(padded_shape)) else best


def _cost(pixels: int) -> float:
    """Return the time to transform and multiply images of so many pixels, in arbitrary units."""
    return pixels * next((cost for most, cost in _COSTS if pixels <= most), _LARGEST_COST)


def _spans(size: int, before: int, window: int, period: int, margin: int, unit: int) -> list[_Span]:
    """Divide an axis into tiles as equal as can be, each of whole `unit`s and within a window."""
    if window == period:
        return [_Span(0, size, 0)]
    units = size // unit
    count = -(-units // max((window - 2 * margin) // unit, 1))
    edges = [unit * (units * number // count) for number in range(count + 1)]
    spans = []
    for first, last in pairwise(edges):
        start = before + first - (window - (last - first)) // 2
        spans.append(_Span(first, last - first, start))
    return spans


def _fade(window: int, period: int, margin: int) -> Tensor:
    """Return the weights of a window along one axis, float64: one but for the outermost pixels."""
    if window == period:
        return torch.ones(window, dtype=torch.float64)
    edge = torch.arange(window, dtype=torch.float64)
    edge = torch.minimum(edge, edge.flip(0))
    return 0.5 * (1 - torch.cos(torch.pi * ((edge + 0.5) / _FADE_PX).clamp_max(1)))


def _runs(start: int, length: int, period: int) -> list[tuple[int, int, int]]:
    """Return the stretches of a window on an axis that repeats itself: place in it, place on the axis, length."""
    runs, place = [], 0
    while place < length:
        at = (start + place) % period
        run = min(length - place, period - at)
        runs.append((place, at, run))
        place += run
    return runs
