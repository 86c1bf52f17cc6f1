"""Wide fields in tiles: each part of the sensor is computed from the part of the object that diffracts into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Unpack

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import LenslessModel, ModelOptions, Pixels, Respond
from napari_diner.physics.lensless.sensor import BlurredSensor, Sensor

# beyond the reach of diffraction a window is tapered: a step between opposite edges would scatter far
_FADE_PX = 32
_WINDOWS_PX = (384, 480, 576, 768, 1024, 1152)
# relative time per pixel of transforms and products of images of up to so many pixels
_COSTS = ((800**2, 1.0), (1200**2, 1.2), (2100**2, 2.7))
_LARGEST_COST = 4.8
# tiles are used only if they reduce the time to this
_WORTHWHILE = 0.8


@dataclass(frozen=True)
class _Span:
    """A tile along one axis."""

    first: int
    """First pixel."""
    count: int
    """Pixels."""
    start: int
    """First padded pixel of the window, from −P to P − 1 on a periodic grid of P pixels."""

    def of_sensor(self, sensor: Sensor) -> slice:
        """Return the corresponding pixels of the sensor."""
        return slice(self.first // sensor.binning, (self.first + self.count) // sensor.binning)


class TiledMultiHeight(LenslessModel):
    """The model of a wide field, see `LenslessModel`, computed in tiles of the sensor.

    The sensor is divided into tiles without overlap. The field on each is computed from a window of the object, which
    is wider on all sides by the spread of diffraction, the shifts of the frames and a margin; nothing beyond it can
    reach the tile. Windows overlap, but there is one object, one adjoint and one gradient, so no seams arise with any
    solver. Transforms of some hundred pixels fit in the caches of a processor: wide fields take half the time of one
    piece, and only the object, the frames and the state of a solver need memory in proportion to the field.

    The tiles neglect the faint tails that the sharp cut-off of the grid's frequencies gives every kernel: about 10⁻⁵ of
    the amplitude if the object has little structure at the scale of pixels, and about 10⁻³ if it has much.

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
        """Minimum width by which a window exceeds its tile on each side."""
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
        """Boundaries of the tiles in pixels of the object, from zero to the size: rows, columns."""
        fades = (_fade(window, period, self.margin_px) for window, period in zip(self.window, padded, strict=True))
        fade_rows, fade_columns = (fade.to(self.device, self.real_dtype) for fade in fades)
        self._fade = fade_rows[:, None] * fade_columns
        self._transfers = heights.transfers(self.window, self.dtype, self.device)
        self._blurs = (
            []
            if heights.is_coherent
            else [heights.blur(frame, self.window, self.real_dtype).to(self.device) for frame in range(heights.frames)]
        )
        self._places = {_corner(self._at(*tile)): self._within(*tile) for tile in self._tiles}
        # stored, as conjugating them for each tile takes a tenth of the time
        self._backwards = self._transfers.conj().resolve_conj()

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self._tiles)

    def transfer(self, frame: int) -> Tensor:
        """Return √(g_z/s) · H_z of a height on the padded grid, computed at each call."""
        return self.heights.transfer(frame, self.padding.padded_shape, self.dtype).to(self.device)

    def sensor_at(self, frame: int, at: Pixels) -> Sensor:
        """Return the sensor of a tile; see `LenslessModel.sensor_at`."""
        if not self._blurs:
            return self.sensor
        return BlurredSensor(self.sensor.binning, blur=self._blurs[frame], within=self._places[_corner(at)])

    def propagated(self, field: Tensor) -> Iterator[tuple[int, Pixels, Tensor]]:
        """Propagate the object's field (Y, X), tile by tile, to one sensor plane after another."""
        lit = self.padding.pad(self.lit(field))
        for rows, columns in self._tiles:
            spectrum = torch.fft.fft2(self._cut(lit, rows, columns))
            for frame in range(self.frames):
                U = ifft2(self._transfers[frame] * spectrum)
                yield frame, self._at(rows, columns), U if self._blurs else U[self._within(rows, columns)]

    def round_trip(self, field: Tensor, respond: Respond) -> Tensor:
        """Return ``Σ_z A_z^H respond(A_z O)``; see `LenslessModel.round_trip`."""
        lit = self.padding.pad(self.lit(field))
        total = torch.zeros_like(lit)
        for rows, columns in self._tiles:
            spectrum = torch.fft.fft2(self._cut(lit, rows, columns))
            at, within = self._at(rows, columns), self._within(rows, columns)
            back, wide = torch.zeros_like(spectrum), torch.zeros_like(spectrum)
            for frame in range(self.frames):
                U = ifft2(self._transfers[frame] * spectrum)
                if self._blurs:
                    back += (self._backwards[frame] * torch.fft.fft2(respond(frame, at, U))).sum(0)
                    continue
                wide[within] = respond(frame, at, U[within])
                back.addcmul_(self._backwards[frame], torch.fft.fft2(wide))
            self._add(total, ifft2(back), rows, columns)
        return self.lit_adjoint(self.padding.pad_adjoint(total))

    def collect(self, answer: Callable[[int, Pixels], Tensor]) -> Tensor:
        """Return ``Σ_z A_z^H u_z``; see `LenslessModel.collect`."""
        total = torch.zeros(self.padding.padded_shape, dtype=self.dtype, device=self.device)
        for rows, columns in self._tiles:
            at, within = self._at(rows, columns), self._within(rows, columns)
            back = torch.zeros(self.window, dtype=self.dtype, device=self.device)
            wide = torch.zeros_like(back)
            for frame in range(self.frames):
                if self._blurs:
                    back += (self._backwards[frame] * torch.fft.fft2(answer(frame, at))).sum(0)
                    continue
                wide[within] = answer(frame, at)
                back.addcmul_(self._backwards[frame], torch.fft.fft2(wide))
            self._add(total, ifft2(back), rows, columns)
        return self.lit_adjoint(self.padding.pad_adjoint(total))

    def _at(self, rows: _Span, columns: _Span) -> Pixels:
        """Return the pixels of the sensor of a tile."""
        return rows.of_sensor(self.sensor), columns.of_sensor(self.sensor)

    def _within(self, rows: _Span, columns: _Span) -> Pixels:
        """Return the position of a tile in its window."""
        top, left = self.padding.before
        y, x = top + rows.first - rows.start, left + columns.first - columns.start
        return slice(y, y + rows.count), slice(x, x + columns.count)

    def _cut(self, padded: Tensor, rows: _Span, columns: _Span) -> Tensor:
        """Return the tapered window of a tile from a field on the padded, periodic grid."""
        for axis, span in ((0, rows), (1, columns)):
            runs = _runs(span.start, self.window[axis], padded.shape[axis])
            pieces = [padded.narrow(axis, start, length) for _, start, length in runs]
            padded = pieces[0] if len(pieces) == 1 else torch.cat(pieces, axis)
        return padded * self._fade

    def _add(self, total: Tensor, window: Tensor, rows: _Span, columns: _Span) -> None:
        """Add a window to a field on the padded grid: the adjoint of `_cut`."""
        window = window * self._fade
        for to_row, from_row, height in _runs(rows.start, self.window[0], total.shape[0]):
            for to_column, from_column, width in _runs(columns.start, self.window[1], total.shape[1]):
                piece = window[to_row : to_row + height, to_column : to_column + width]
                total[from_row : from_row + height, from_column : from_column + width] += piece


def _corner(at: Pixels) -> tuple[int, int]:
    """Return the first pixel of a part of the sensor."""
    return at[0].start, at[1].start


def margin_px(heights: Heights) -> int:
    """Return the width by which windows must exceed their tiles on each side."""
    return heights.reach_px + _FADE_PX


def fastest_window_px(heights: Heights, padded_shape: tuple[int, int]) -> int | None:
    """Return the fastest window for a wide field on a processor, or None if one piece is faster.

    Larger windows overlap less for their size, but images beyond some megabytes no longer fit in the caches, and beyond
    some tens of megabytes their memory is allocated anew each time.
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
    """Divide an axis into tiles of nearly equal size, each of whole `unit`s and within a window."""
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
    """Return the weights of a window along one axis, float64: one except for the outermost pixels."""
    if window == period:
        return torch.ones(window, dtype=torch.float64)
    edge = torch.arange(window, dtype=torch.float64)
    edge = torch.minimum(edge, edge.flip(0))
    return 0.5 * (1 - torch.cos(torch.pi * ((edge + 0.5) / _FADE_PX).clamp_max(1)))


def _runs(start: int, length: int, period: int) -> list[tuple[int, int, int]]:
    """Return the stretches of a window on a periodic axis: position in the window, position on the axis, length."""
    runs, place = [], 0
    while place < length:
        at = (start + place) % period
        run = min(length - place, period - at)
        runs.append((place, at, run))
        place += run
    return runs
