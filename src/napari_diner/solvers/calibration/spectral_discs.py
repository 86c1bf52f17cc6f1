"""Pixel size, NA and size of the directions of illumination from the discs that the aperture leaves in the spectra.

To first order a frame's spectrum is confined to two discs of radius NA/λ, centred at ∓NA_i/λ, whatever the sample and
also if it continues beyond the field. Here all frames together say how large the discs are, and how far from the
middle, relative to those expected. The power p_i(u) of frame i at frequency u is taken for exponentially distributed
with the mean

    v_i(u) = m(u) a_c(|u|) b_ic,    c = 0, 1, 2 the number of discs that contain u,

where m is the mean power of all frames, and the factors a of a ring of frequencies and b of a frame are fitted. The
log-likelihood −log v − p/v is highest where the discs fit. See `spectral_circles` for the direction of each frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.physics.padding import fading

Vector = npt.NDArray[np.float64]
Way = tuple[float, float]
"""Factors of the radius and of the distance of the discs."""

# frequencies that are compared: their number, the least in steps, and the smoothing of the mean power and the width of
# a ring in steps; the faded edges widen the discs
_FREQUENCIES, _LOWEST, _SMOOTHING, _RING, _WIDER = 4000, 3.0, 1.5, 3.0, 0.7
# a power that a single line leaves must not dominate; and weight of factors of one, in frequencies
_LARGEST, _PRIOR = 20.0, 10.0
# factors that are tried, and frequencies sufficient to find the best few, which are refined
_FACTORS, _ROUGH, _REFINED, _HALVINGS = 2.0 ** np.linspace(-1.5, 1.5, 25), 1000, 3, 4
_BOTH = tuple((a, b) for a in (0, -1, 1) for b in (0, -1, 1))
# other pixels, directions and NA, which change one factor; and part of the evidence that suffices for these
_SINGLE: tuple[tuple[Callable[[Way], bool], tuple[tuple[int, int], ...]], ...] = (
    (lambda way: way[0] == way[1], ((0, 0), (-1, -1), (1, 1))),
    (lambda way: way[0] == 1, ((0, 0), (0, -1), (0, 1))),
    (lambda way: way[1] == 1, ((0, 0), (-1, 0), (1, 0))),
)
_SIMPLE = 0.95
# places along the aperture's diameter at which discs are looked for
_TRIED = 13


@dataclass(frozen=True)
class DiscFit:
    """Radius of the discs, and distances of their centres, relative to the expected ones."""

    radius: float
    distance: float
    gains: Vector
    """Log-likelihood of each frame relative to the expected discs, (N,)."""
    evidence: float
    """Log-likelihood of all frames relative to no discs at all."""
    moved_steps: float = 0.0
    """Larger one of the changes of radius and distance, in steps of frequency, by which the edges are blurred."""

    @property
    def gain(self) -> float:
        """Part of the evidence that the expected discs lack."""
        return float(self.gains.sum()) / self.evidence if self.evidence > 0 else 0.0

    @property
    def standard_errors(self) -> float:
        """Mean gain of a frame, in its standard errors."""
        scatter = float(self.gains.std(ddof=1)) / math.sqrt(len(self.gains))
        return float(self.gains.mean()) / scatter if scatter > 0 else 0.0


class SpectralDiscs:
    """The discs in the spectra of frames with one source each.

    Parameters
    ----------
    frames
        I, or I / I_background − 1, real, (N, Y, X).
    centres
        NA_i/λ of each frame, in cycles per pixel, (N, 2).
    radius
        NA/λ in cycles per pixel.
    """

    def __init__(self, frames: npt.NDArray[np.floating], centres: Vector, radius: float) -> None:
        count, rows, columns = frames.shape
        self._centres, self._radius = centres, radius
        self._step = 1 / min(rows, columns)
        fy, fx = np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :]
        modulus = np.hypot(fy, fx)
        useful = (modulus > _LOWEST * self._step) & (modulus < 0.5) & ((fx > 0) | (fy > 0))
        places = np.flatnonzero(useful)
        places = np.random.default_rng(0).permutation(places)[:_FREQUENCIES]
        window = fading(rows, columns, 1.0).numpy()
        powers = np.empty((count, *modulus.shape), np.float32)
        for power, frame in zip(powers, frames, strict=True):
            mean = np.average(frame, weights=window)
            power[:] = np.abs(np.fft.rfft2((frame - mean) * window)) ** 2
        average = ndimage.gaussian_filter(powers.mean(0), _SMOOTHING)
        tiny = np.finfo(np.float32).tiny
        self._powers = (powers / np.maximum(average, tiny)).reshape(count, -1)[:, places]
        self._y = np.broadcast_to(fy, modulus.shape).flat[places].astype(np.float32)
        self._x = np.broadcast_to(fx, modulus.shape).flat[places].astype(np.float32)
        self._ring = (modulus.flat[places] / (_RING * self._step)).astype(np.intp)

    def likelihoods(
        self, radius: float, distance: float, frequencies: int = _FREQUENCIES, centres: Vector | None = None
    ) -> Vector:
        """Return the log-likelihood of each frame for discs larger and farther from the middle by factors, (N,).

        With other centres than the given ones, (N, 2), those are meant.
        """
        centres = self._centres if centres is None else centres
        y, x, ring = (values[:frequencies] for values in (self._y, self._x, self._ring))
        powers = self._powers[:, :frequencies]
        squared = (radius * self._radius + _WIDER * self._step) ** 2
        cy, cx = (distance * centres.astype(np.float32)).T[..., None]
        discs = ((y + cy) ** 2 + (x + cx) ** 2 <= squared).astype(np.intp)
        discs += (y - cy) ** 2 + (x - cx) ** 2 <= squared
        of_ring = (discs + 3 * ring).ravel()
        of_frame = (discs + 3 * np.arange(len(powers))[:, None]).ravel()
        relative = powers.ravel()
        logs = np.zeros(relative.shape)
        for group in (of_ring, of_frame, of_ring, of_frame):
            factors = (np.bincount(group, relative) + _PRIOR) / (np.bincount(group) + _PRIOR)
            relative = relative / factors[group]
            logs += np.log(factors)[group]
        likelihoods: Vector = -(logs + np.minimum(relative, _LARGEST)).reshape(powers.shape).sum(1)
        return likelihoods

    def anywhere(self) -> Vector:
        """Return the centres within the aperture with which each frame fits best, (N, 2)."""
        line = np.linspace(-self._radius, self._radius, _TRIED)
        # frames are real, so that opposite centres are equal
        tried = [(y, x) for y in line for x in line if (x, y) > (0, 0) and math.hypot(y, x) <= self._radius]
        each = np.array(
            [self.likelihoods(1.0, 1.0, _ROUGH, np.tile(centre, (len(self._powers), 1))) for centre in tried]
        )
        centres: Vector = np.array(tried)[each.argmax(0)]
        return centres

    def best(self) -> DiscFit:
        """Return the discs that fit best, or nearly as well if one factor describes them."""
        ways = [(float(radius), float(distance)) for radius in _FACTORS for distance in _FACTORS]
        ways.sort(key=lambda way: float(self.likelihoods(way[0], way[1], _ROUGH).sum()), reverse=True)
        both = [self._refined(way, _BOTH) for way in ways[:_REFINED]]
        single = [self._refined(next(filter(of_kind, ways)), moves) for of_kind, moves in _SINGLE]
        at = max([(1.0, 1.0), *both], key=self._likelihood)
        simple = max([(1.0, 1.0), *single], key=self._likelihood)
        found, chosen, expected, none = (self.likelihoods(*way) for way in (at, simple, (1.0, 1.0), (0.0, 1.0)))
        if (chosen - none).sum() > _SIMPLE * (found - none).sum():
            at, found = simple, chosen
        lengths = self._radius, float(np.hypot(*self._centres.T).max())
        moved = max(abs(factor - 1) * length for factor, length in zip(at, lengths, strict=True)) / self._step
        return DiscFit(*at, found - expected, float((found - none).sum()), moved)

    def _refined(self, at: Way, moves: Sequence[tuple[int, int]]) -> Way:
        """Return the most likely factors near some, by multiplying them by powers."""
        step = float(_FACTORS[1] / _FACTORS[0])
        for _ in range(_HALVINGS):
            step = math.sqrt(step)
            at = max(((at[0] * step**a, at[1] * step**b) for a, b in moves), key=self._likelihood)
        return at

    def _likelihood(self, way: Way) -> float:
        return float(self.likelihoods(*way).sum())
