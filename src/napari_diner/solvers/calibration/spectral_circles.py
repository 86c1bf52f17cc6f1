"""Directions of illumination from the circles that the objective's aperture leaves in the spectra of the frames.

To first order a frame's spectrum is confined to two discs of radius NA/λ, centred at ∓u_i = ∓NA_i/λ. Outside them there
is only noise and multiple scattering. The strength of a frequency depends on whether it is in none, one or both of the
discs: with the mean power v_0, v_1 or v_2 of the three cases, estimated at each frequency from all frames, the
log-likelihood of the powers p of a frame (of circular Gaussian values, as in P. Whittle, Bull. Int. Stat. Inst. 39, 105
(1961)) is

    L(u_i) = Σ_u −log v_c(u) − p(u) / v_c(u),    c = 0, 1, 2 the number of discs, for u_i.

It is highest where the discs fit, and weights each frequency by its signal-to-noise ratio. The spectrum of real
values is symmetric, so that u_i and −u_i fit equally well; an initial guess must decide between them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.padding import fading
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step

Vector = npt.NDArray[np.float64]

# part of the frame that is faded out at its borders, which do not continue at the opposite side
_FADED = 0.25
# smoothing of the powers, in frequency steps, and weight of the mean over a radius, in frames
_SMOOTHING = 1.0
_RADIAL_WEIGHT = 0.3
# frequencies below this many steps contain remains of the background
_LOWEST = 2.5
# width of an aperture's edge, in steps; with a wider one, discs are drawn to the strong low frequencies that they share
_EDGE = 0.5
# final step of the search, in steps of frequency
_FINEST = 0.05
_PASSES = 3
# largest number of frequencies, of which a random part is taken otherwise
_MOST_FREQUENCIES = 10_000


@dataclass(frozen=True)
class CircleFit:
    """Directions from circles."""

    apertures: Vector
    """(NA_y, NA_x) of each frame, (N, 2)."""
    likelihood_gain: float | None = None
    """Log-likelihood per frame relative to the initial guess; None if not computed."""


class CircleSearch(Resumable):
    """Fit the two circles of each frame; a `Solver`.

    Parameters
    ----------
    frames
        g = I / I_background − 1, or just I, real, (N, Y, X); one source each.
    apertures
        Initial guess of (NA_y, NA_x), (N, 2).
    geometry
        Pixels, light and objective.
    range_na
        Search range about the initial guess.
    together
        Move all directions as one pattern: shifted, rotated and scaled.
    """

    kept = ("apertures", "_passes")
    answer = ("apertures",)

    def __init__(
        self,
        frames: npt.NDArray[np.floating],
        apertures: Vector,
        geometry: VolumeGeometry,
        *,
        range_na: float = 0.05,
        together: bool = False,
    ) -> None:
        self.start = apertures
        self.apertures = apertures.copy()
        self._passes = 0
        self.wavelength_um, self.na = geometry.wavelength_um, geometry.na
        self.range_na = range_na
        self.together = together
        self.frames = frames
        pixel_size_um, reach = geometry.pixel_size_um, 2 * geometry.cutoff
        rows, columns = frames.shape[1:]
        self.fy = np.fft.fftshift(np.fft.fftfreq(rows, pixel_size_um))[:, None]
        self.fx = np.fft.fftshift(np.fft.fftfreq(columns, pixel_size_um))[None, :]
        self.step = 1 / (min(rows, columns) * pixel_size_um)
        self.radius = np.hypot(self.fy, self.fx)
        self._window = fading(rows, columns, _FADED).numpy()
        half = (self.fy > 0) | ((self.fy == 0) & (self.fx > 0))
        useful = half & (self.radius > _LOWEST * self.step) & (self.radius < reach + 2 * self.step)
        if useful.sum() > _MOST_FREQUENCIES:
            chosen = np.random.default_rng(0).permutation(np.flatnonzero(useful))[:_MOST_FREQUENCIES]
            useful = np.zeros_like(useful)
            useful.flat[chosen] = True
        self._useful = useful
        self._points = np.stack(
            [np.broadcast_to(self.fy, useful.shape)[useful], np.broadcast_to(self.fx, useful.shape)[useful]]
        ).astype(np.float32)

    def power(self, frame: int) -> npt.NDArray[np.float32]:
        """Return the power spectrum of a frame, frequency zero in the middle, (Y, X)."""
        image = self.frames[frame] - np.mean(self.frames[frame], dtype=np.float64)
        spectrum = np.fft.fftshift(np.fft.fft2(image * self._window))
        power: npt.NDArray[np.float32] = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        return power

    def steps(self) -> Iterator[Step]:
        """Search; the loss is minus the log-likelihood per frequency."""
        count = len(self.start)
        for number in range(self._passes + 1, _PASSES + 1):
            levels = self._levels()
            apertures = np.empty_like(self.start)
            total = 0.0
            for frame in range(count):
                apertures[frame], likelihood = self._search(frame, levels, number == 1)
                total += likelihood
                loss = -total / ((frame + 1) * self._points.shape[1])
                if frame + 1 < count:
                    yield Step(number, _PASSES, loss, (frame + 1) / count)
            self.apertures = fitted_pattern(self.start, apertures) if self.together else apertures
            self._passes = number
            yield Step(number, _PASSES, loss, resumable=True)

    def result(self) -> CircleFit:
        """Return the current directions and their gain in likelihood."""
        levels = self._levels()
        gains = []
        for frame in range(len(self.start)):
            terms = self._terms(frame, levels)
            gains.append(float(np.subtract(*(self._likelihood(at[frame, None], terms, _EDGE)[0]
                                             for at in (self.apertures, self.start)))))  # fmt: skip
        return CircleFit(self.apertures, float(np.mean(gains)))

    def current(self) -> CircleFit:
        """Return the current directions."""
        return CircleFit(self.apertures)

    def _levels(self) -> npt.NDArray[np.float32]:
        """Return the log mean power of frequencies in none, one or both discs, at the useful frequencies, (3, K)."""
        shape = self.radius.shape
        totals, counts = np.zeros((3, *shape)), np.zeros((3, *shape))
        disc = self.na / self.wavelength_um
        for frame, (y, x) in enumerate(self.apertures / self.wavelength_um):
            power = self.power(frame)
            within = (np.hypot(self.fy + y, self.fx + x) <= disc).astype(int)
            within += np.hypot(self.fy - y, self.fx - x) <= disc
            for number in range(3):
                totals[number] += np.where(within == number, power, 0)
                counts[number] += within == number
        ring = np.minimum(np.round(self.radius / self.step).astype(int), max(shape))
        logs = np.empty((3, self._points.shape[1]), np.float32)
        tiny = np.finfo(np.float32).tiny + 1e-12 * totals.sum() / max(counts.sum(), 1)
        for number in range(3):
            by_radius = np.bincount(ring.ravel(), totals[number].ravel()) + tiny
            frames = np.bincount(ring.ravel(), counts[number].ravel()).astype(np.float64)
            radial = _filled(by_radius, frames)[ring]
            total = ndimage.gaussian_filter(totals[number], _SMOOTHING) + _RADIAL_WEIGHT * radial
            weight = ndimage.gaussian_filter(counts[number], _SMOOTHING) + _RADIAL_WEIGHT
            logs[number] = np.log(total / weight + tiny)[self._useful]
        # frequencies within the discs contain noise as well
        logs[1] = np.maximum(logs[1], logs[0])
        logs[2] = np.maximum(logs[2], logs[0])
        return logs

    def _terms(self, frame: int, levels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the log-likelihood of each frequency for none, one and two discs, (3, K)."""
        terms: npt.NDArray[np.float32] = -levels - self.power(frame)[self._useful] * np.exp(-levels)
        # single strong frequencies, as of a bright line, must not dominate
        return np.maximum(terms, -levels - 20)

    def _likelihood(self, apertures: Vector, terms: npt.NDArray[np.float32], edge: float) -> Vector:
        """Return the log-likelihood of directions, (C,)."""
        y, x = (apertures.astype(np.float32) / np.float32(self.wavelength_um)).T[..., None]
        disc, width = self.na / self.wavelength_um, edge * self.step
        fy, fx = self._points
        a = np.clip((disc - np.hypot(fy + y, fx + x)) / width + 0.5, 0, 1)
        b = np.clip((disc - np.hypot(fy - y, fx - x)) / width + 0.5, 0, 1)
        both = a * b
        gain = (a + b - 2 * both) @ (terms[1] - terms[0]) + both @ (terms[2] - terms[0])
        likelihood: Vector = gain.astype(np.float64) + float(terms[0].sum(dtype=np.float64))
        return likelihood

    def _search(self, frame: int, levels: npt.NDArray[np.float32], wide: bool) -> tuple[Vector, float]:
        """Return the most likely direction, and its log-likelihood, by a search on successively finer grids."""
        terms = self._terms(frame, levels)
        unit = self.step * self.wavelength_um
        at = self.start[frame] if wide else self.apertures[frame]
        step = self.range_na / 3 if wide else min(self.range_na / 3, 2 * unit)
        reach = 3 if wide else 2
        value = -math.inf
        while step > _FINEST * unit:
            offsets = np.arange(-reach, reach + 1) * step
            grid = at + np.stack(np.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)
            allowed = np.linalg.norm(grid - self.start[frame], axis=1) <= 1.5 * self.range_na
            grid = grid[allowed & (np.linalg.norm(grid, axis=1) <= self.na)]
            if len(grid):
                values = self._likelihood(grid, terms, max(_EDGE, step / unit))
                best = int(values.argmax())
                at, value = grid[best], float(values[best])
            step /= 2
            reach = 2
        return at, value


def fitted_pattern(start: Vector, directions: Vector) -> Vector:
    """Return the directions of a pattern, (N, 2), shifted, rotated and scaled to fit others, robustly."""
    origin = start.mean(0)
    y, x = (start - origin).T

    def placed(parameters: Vector) -> Vector:
        dy, dx, grown, turned = parameters
        place: Vector = origin + np.stack(
            [y + dy + grown * y + turned * x, x + dx + grown * x - turned * y],
            1,
        )
        return place

    spread = float(np.median(np.abs(directions - start - np.median(directions - start, 0)))) + 1e-6
    from scipy import optimize  # slow to import

    fit = optimize.least_squares(lambda p: ((placed(p) - directions) / spread).ravel(), np.zeros(4), loss="soft_l1")
    return placed(fit.x)


def _filled(totals: Vector, counts: Vector) -> Vector:
    """Return means over rings, interpolated for rings without any frequency."""
    means = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
    occupied = np.flatnonzero(np.isfinite(means))
    if not len(occupied):
        return np.full(len(totals), totals.max())
    filled: Vector = np.interp(np.arange(len(means)), occupied, means[occupied])
    return filled
