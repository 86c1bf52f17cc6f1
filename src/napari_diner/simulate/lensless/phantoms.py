"""Phantom of a thin specimen: cells, fibres and test patterns on a periodic grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.ndimage import fourier_gaussian

Image = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.int_]

_SMOOTHING_PX = 1.2  # leaves 1e-3 of the edges, which are about a pixel wide, at the Nyquist frequency
_AREA_PER_CELL = 1500  # in square pixels
_SHAPES_APART = 1.05


@dataclass(frozen=True)
class Phantom:
    """A thin specimen."""

    amplitude: Image
    """Transmitted amplitude, (Y, X), float64, at most 1."""
    phase: Image
    """Phase delay in radians, (Y, X), float64, at least 0."""


def specimen(
    shape: tuple[int, int],
    *,
    phase_range_rad: float,
    amplitude_min: float,
    smoothing_px: float = _SMOOTHING_PX,
    seed: int = 0,
) -> Phantom:
    """Draw a microscope slide: stained cells and fibres, an absorbing star, transparent bars.

    The field is periodic; objects at an edge continue at the opposite one. Amplitude and phase share the outlines of
    cells and fibres but not their interiors: nuclei absorb more than they delay, granules do one or the other, the star
    is in the amplitude only, the bars and the slow undulation of the slide are in the phase only. There is structure at
    all scales, from the whole field down to the smoothing.

    Parameters
    ----------
    shape
        Pixels (Y, X).
    phase_range_rad
        The phase ranges from 0 to this.
    amplitude_min
        The amplitude ranges from this to 1.
    smoothing_px
        Standard deviation of the final Gaussian smoothing, which limits the band: ``exp(−2π² σ² f²)`` at f cycles per
        pixel.
    seed
        Seed of the random drawing.
    """
    canvas = _Canvas(shape, np.random.default_rng(seed))
    canvas.add_slide()
    canvas.add_fibres()
    canvas.add_star()
    canvas.add_bars()
    canvas.add_cells()
    absorption = _stretched(_smoothed(canvas.absorption, smoothing_px))
    phase = _stretched(_smoothed(canvas.delay, smoothing_px))
    return Phantom(np.exp(math.log(amplitude_min) * absorption), phase_range_rad * phase)


@dataclass
class _Canvas:
    """Absorption and delay drawn so far, in arbitrary units, and the places that are taken."""

    shape: tuple[int, int]
    random: np.random.Generator
    absorption: Image = field(init=False)
    delay: Image = field(init=False)
    taken: Image = field(init=False, default_factory=lambda: np.empty((0, 3)))
    """Centre (y, x) and radius of each compact object."""

    def __post_init__(self) -> None:
        self.absorption = np.zeros(self.shape)
        self.delay = np.zeros(self.shape)

    def add_slide(self) -> None:
        """Add the slow undulation of slide and mounting medium, a few periods over the field."""
        y, x = (np.arange(size) * 2 * np.pi / size for size in self.shape)
        for frequency_y, frequency_x in ((0, 1), (1, 0), (1, 1), (1, -1), (2, 1), (1, -2)):
            wave = frequency_y * y[:, None] + frequency_x * x[None, :]
            strength = 0.07 / math.hypot(frequency_y, frequency_x)
            self.delay += strength * np.cos(wave + self.random.uniform(0, 2 * np.pi))
            self.absorption += 0.2 * strength * np.cos(wave + self.random.uniform(0, 2 * np.pi))

    def add_fibres(self) -> None:
        """Add wavy fibres that cross the whole field: bright cores that delay, dark outlines that absorb."""
        for index in range(max(2, round(sum(self.shape) / 128))):
            radius = self.random.uniform(1.2, 2.6)
            pixels, distance = self._beside_wave(radius + 2, across=index % 2 == 0)
            inside = np.clip(1 - (distance / radius) ** 2, 0, None)
            self.delay[pixels] += 0.16 * radius * np.sqrt(inside)
            self.absorption[pixels] += self.random.uniform(0.1, 0.35) * _edge(np.abs(distance - radius) - 0.5)

    def _beside_wave(self, reach: float, across: bool) -> tuple[tuple[Pixels, Pixels], Image]:
        """Return the pixels near a random periodic curve, across the field or down, and their distances from it.

        All pixels nearer than `reach` are included.
        """
        along, beside = self.shape[::-1] if across else self.shape
        place = np.arange(along) * 2 * np.pi / along
        winding = int(self.random.integers(-1, 2))
        curve = self.random.uniform(0, beside) + winding * beside * np.arange(along) / along
        slope = np.full(along, winding * beside / along)
        for frequency in (1, 2, 3, 5):
            height, start = 0.05 * beside * self.random.uniform(0.3, 1) / frequency, self.random.uniform(0, 2 * np.pi)
            curve += height * np.sin(frequency * place + start)
            slope += height * frequency * 2 * np.pi / along * np.cos(frequency * place + start)
        steepness = np.sqrt(1 + slope**2)
        most = min(math.ceil(reach * float(steepness.max())) + 1, (beside - 1) // 2)
        aside: Pixels = (np.round(curve).astype(np.int_) + np.arange(-most, most + 1)[:, None]) % beside
        distance = np.abs(_wrapped(aside - curve, beside)) / steepness
        onwards: Pixels = np.broadcast_to(np.arange(along), aside.shape)
        return ((aside, onwards) if across else (onwards, aside)), distance

    def add_star(self) -> None:
        """Add an absorbing Siemens star, as on a resolution target."""
        radius = min(34.0, 0.17 * min(self.shape))
        y, x, rows, columns = self._room(radius, whole=True)
        distance, angle = np.hypot(y, x), np.arctan2(y, x)
        spokes = 16 if radius > 20 else 8
        # distance in pixels to the nearest edge of a spoke, negative inside one
        to_edge = distance * np.arcsin(np.clip(np.cos(spokes * angle), -1, 1)) / spokes
        ring = _edge(np.abs(distance - radius) - 1.2)
        star = np.maximum(_edge(to_edge) * _edge(distance - radius), ring)
        self.absorption[rows, columns] += 1.3 * star

    def add_bars(self) -> None:
        """Add groups of three transparent bars, as etched into glass, from 5 pixels wide down to 1.5."""
        widths = (5.0, 3.5, 2.5, 2.0, 1.5) if min(self.shape) >= 160 else (3.0, 2.0)
        reach = 2.5 * widths[0] + 2.5 * widths[1] + 4
        y, x, rows, columns = self._room(1.2 * reach, whole=True)
        drawn = np.zeros(np.broadcast_shapes(y.shape, x.shape))
        top, side = -reach, 0
        for width in widths:
            left = (-5.5 * width - 1, 1.5)[side]
            bars = np.zeros_like(drawn)
            for bar in range(3):
                start = left + 2 * bar * width
                bars += _box(x, start, start + width) * _box(y, top, top + 5 * width)
            drawn = np.maximum(drawn, bars)
            side = 1 - side
            if side == 0:
                top += 5 * width + 4
        self.delay[rows, columns] += 0.45 * drawn

    def add_cells(self) -> None:
        """Add cells where there is room: body, membrane, nucleus with nucleoli, granules."""
        for _ in range(max(2, self.shape[0] * self.shape[1] // _AREA_PER_CELL)):
            radius = self.random.uniform(7, 16)
            if 3 * radius > min(self.shape):
                radius = min(self.shape) / 4
            self._add_cell(radius)

    def _add_cell(self, radius: float) -> None:
        random = self.random
        y, x, rows, columns = self._room(radius)
        stretch, tilt = random.uniform(0.75, 1.0), random.uniform(0, np.pi)
        along, beside = np.cos(tilt) * x + np.sin(tilt) * y, np.cos(tilt) * y - np.sin(tilt) * x
        angle = np.arctan2(beside, along)
        outline = np.ones_like(angle)
        for lobes in (2, 3, 5):
            outline += random.uniform(0, 0.16) / lobes * np.cos(lobes * angle + random.uniform(0, 2 * np.pi))
        reach = radius * outline
        distance = np.hypot(along, beside / stretch)
        body = np.clip(1 - (distance / reach) ** 2, 0, None)
        membrane = _edge(np.abs(distance - reach) - 0.6)
        stain = random.uniform(0.5, 1.3)
        delay = random.uniform(0.35, 0.7) * body**0.6 + 0.15 * membrane
        absorption = 0.1 * stain * body**0.3 + 0.2 * membrane

        size = radius * random.uniform(0.3, 0.45)
        side, away = random.uniform(0, 2 * np.pi), radius * random.uniform(0, 0.3)
        nucleus_y, nucleus_x = beside - away * np.sin(side), along - away * np.cos(side)
        nucleus = _edge(np.hypot(nucleus_x, nucleus_y / random.uniform(0.7, 1)) - size)
        absorption += 0.4 * stain * nucleus
        delay += 0.12 * nucleus
        for _ in range(random.integers(1, 4)):
            spot = _spot(nucleus_y, nucleus_x, size * 0.5, random)
            delay += 0.22 * spot
            absorption += 0.2 * stain * spot

        for _ in range(random.integers(4, 5 + int(1.3 * radius))):
            granule = _spot(beside, along, 0.8 * radius * stretch, random)
            if random.uniform() < 0.5:
                absorption += random.uniform(0.1, 0.5) * granule
            else:
                delay += random.uniform(-0.3, 0.4) * granule
        self.delay[rows, columns] += delay
        self.absorption[rows, columns] += absorption

    def _room(self, radius: float, whole: bool = False) -> tuple[Image, Image, Pixels, Pixels]:
        """Find a place for an object, the freest of several; with `whole`, not cut by an edge.

        Returns
        -------
        y, x
            Distances in pixels from the place, of shape (h, 1) and (1, w).
        rows, columns
            The pixels, (h, 1) and (1, w), wrapped around the edges.
        """
        best, freest = (0.0, 0.0), -math.inf
        for _ in range(60):
            margins = [min(radius, size / 2) if whole else 0.0 for size in self.shape]
            y, x = (self.random.uniform(m, size - m) for m, size in zip(margins, self.shape, strict=True))
            centre = (y, x)
            free = self._gap(centre) - _SHAPES_APART * radius
            if free > freest:
                best, freest = centre, free
            if free > 0:
                break
        self.taken = np.vstack([self.taken, (*best, radius)])
        axes = []
        for place, size in zip(best, self.shape, strict=True):
            reach = min(math.ceil(1.3 * radius) + 3, (size - 1) // 2)
            axes.append(np.arange(round(place) - reach, round(place) + reach + 1))
        rows, columns = axes[0][:, None], axes[1][None, :]
        down, right = np.asarray(rows - best[0], float), np.asarray(columns - best[1], float)
        return down, right, rows % self.shape[0], columns % self.shape[1]

    def _gap(self, centre: tuple[float, float]) -> float:
        """Return the distance of a point from the nearest object, in pixels."""
        if not len(self.taken):
            return math.inf
        y, x, radius = self.taken.T
        apart = (_wrapped(a - b, size) for a, b, size in zip(centre, (y, x), self.shape, strict=True))
        return float((np.hypot(*apart) - radius).min())


def _wrapped(distance: Image, period: int) -> Image:
    """Return the shorter distance on a periodic axis."""
    return (distance + period / 2) % period - period / 2


def _edge(distance: Image) -> Image:
    """Return a coverage that falls from one to zero over about a pixel as the distance becomes positive."""
    return np.clip(0.5 - distance, 0, 1)


def _box(place: Image, start: float, end: float) -> Image:
    """Return the part of each pixel, one wide, between start and end."""
    return np.asarray(np.clip(np.minimum(place + 0.5, end) - np.maximum(place - 0.5, start), 0, 1))


def _spot(y: Image, x: Image, reach: float, random: np.random.Generator) -> Image:
    """Return a small round spot at a random place within reach of the origin."""
    distance, angle = reach * math.sqrt(random.uniform()), random.uniform(0, 2 * np.pi)
    width = random.uniform(0.6, 1.6)
    squared = (y - distance * math.sin(angle)) ** 2 + (x - distance * math.cos(angle)) ** 2
    return np.asarray(np.exp(-squared / (2 * width**2)))


def _smoothed(image: Image, sigma_px: float) -> Image:
    """Return the image convolved with a periodic Gaussian."""
    spectrum = fourier_gaussian(np.fft.rfft2(image), sigma_px, n=image.shape[1])
    return np.fft.irfft2(spectrum, s=image.shape)


def _stretched(image: Image) -> Image:
    """Return the image scaled to the range 0 to 1."""
    return np.asarray((image - image.min()) / np.ptp(image))
