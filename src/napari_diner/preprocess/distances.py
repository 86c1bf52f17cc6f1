"""Consistency of distances with the frames of a lensless recording, by the linear theory of weak objects.

At each spatial frequency f the contrast of all frames consists of two unknowns, log-amplitude L and phase Φ of the
object: ``cos χ_z L + sin χ_z Φ`` with ``χ_z = 2πz (k − √(k² − f²))`` for k = n/λ (Guigay, Optik 49, 121 (1977)). With
three frames or more, wrong distances leave a residual. Not all errors do: a common length added to all distances moves
the object to another plane; reversed distances, if evenly spaced, move its conjugate to a distant one; and wavelength
λ, distances z and pixels p only matter as λz/p².
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

from napari_diner.physics.optics import Optics

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Spectra = npt.NDArray[np.complexfloating]

_FIELD_PX = 512
"""Size of the central part that is compared in wider fields."""
_MOST_FREQUENCIES, _MOST_VALUES = 16_000, 400_000
"""Largest numbers of frequencies and of values of all frames, of which a random part is taken otherwise."""
_LOWEST = 2.5
"""Lowest frequency, in steps; lower ones contain remains of the mean."""
_RINGS = 32
"""Number of rings with equal numbers of frequencies, whose misfits have equal weight regardless of their strength."""
_DAMPING = 1e-3
"""Damping of the two unknowns, relative to the number of frames."""
_CLEARER = 1e-3
"""Misfits that differ by less count as equal."""
_NEIGHBOURS = 8
"""Most frames on either side of a frame whose light it may hold."""
_FITS = 0.5
"""Part of the misfit due to a frame that goes away if it is the mean of two: 0.75 or more; with other errors 0.17."""
_BLUR_PX = 1.0
"""Standard deviation of a blur that suppresses the noise of a weak object."""
_SCALES = np.geomspace(1 / 32, 32, 119)
"""Candidates for a common factor of all distances; the minimum of the misfit is about a tenth wide."""
_ERRORS = np.exp(np.outer((0.01, 0.02, 0.035, *np.arange(0.05, 0.72, 0.05), np.log(10)), (1, -1))).ravel()
"""Candidates for a factor of one distance: up to two, and a digit too few or too many."""
_FINER = (1.02, 1.01, 1.005)
"""Ratios of factors that are tried around the best candidate."""


class DistanceFit:
    """Test of distances for the frames of a recording.

    Parameters
    ----------
    amplitudes
        Square roots of intensities, (N, Y, X).
    optics
        Pixels and light.
    shifts_um
        Displacement (dy, dx) of each frame; none if None.
    repeats
        Whether the field is periodic; otherwise it is faded out at its edges.
    """

    def __init__(
        self,
        amplitudes: npt.NDArray[np.floating],
        optics: Optics,
        shifts_um: Sequence[tuple[float, float]] | None = None,
        *,
        repeats: bool = False,
    ) -> None:
        height, width = (min(size, _FIELD_PX) for size in amplitudes.shape[1:])
        top, left = ((size - part) // 2 for size, part in zip(amplitudes.shape[1:], (height, width), strict=True))
        whole = repeats and (height, width) == amplitudes.shape[1:]
        window = np.float32(1 if whole else np.hanning(height)[:, None] * np.hanning(width))
        fy, fx = fft.fftfreq(height, optics.pixel_size_um)[:, None], fft.rfftfreq(width, optics.pixel_size_um)
        spectra = []
        for number, frame in enumerate(amplitudes[:, top : top + height, left : left + width]):
            spectrum = fft.rfft2((frame / (frame.mean() or 1) - 1).astype(np.float32) * window)
            if shifts_um is not None:
                dy, dx = shifts_um[number]
                spectrum = spectrum * np.exp(2j * np.pi * (fy * dy + fx * dx)).astype(np.complex64)
            spectra.append(spectrum)
        self._spectra, self._shape = np.stack(spectra), (height, width)
        k, squared = optics.medium_frequency, fy**2 + fx**2
        self._per_um = 2 * np.pi * (k - np.sqrt(np.maximum(k**2 - squared, 0)))
        self._blur = np.exp(-2 * (np.pi * _BLUR_PX * optics.pixel_size_um) ** 2 * squared).astype(np.float32)
        lowest = _LOWEST / (min(height, width) * optics.pixel_size_um)
        usable = np.flatnonzero((squared > lowest**2) & (squared < min(k, 1 / (2 * optics.pixel_size_um)) ** 2))
        most = min(_MOST_FREQUENCIES, _MOST_VALUES // len(spectra))
        if len(usable) > most:
            usable = np.random.default_rng(0).choice(usable, most, replace=False)
        usable = usable[np.argsort(self._per_um.flat[usable])]
        self._frames = self._spectra.reshape(len(spectra), -1)[:, usable]
        self._phase = self._per_um.flat[usable].astype(np.float32)
        self._firsts = np.unique(np.linspace(0, len(usable), _RINGS + 1).astype(int)[:-1])
        self._power = self._by_ring((np.abs(self._frames) ** 2).sum(0))
        self._counts = np.diff([*self._firsts, len(usable)])

    @property
    def is_usable(self) -> bool:
        """Whether there are more frames than unknowns, and usable frequencies."""
        return len(self._frames) > 2 and len(self._phase) >= 2 * _RINGS and bool((self._power > 0).all())

    def misfit(self, distances_um: Sequence[float] | Array) -> float:
        """Return the mean logarithm of the unexplained part of the contrast: 0 for all of it."""
        slots = _Slots(np.asarray(distances_um), self._phase)
        return self._unexplained(slots, *slots.expected(self._frames))

    def exchanges(self, distances_um: Array) -> Iterator[tuple[float, Array]]:
        """Yield the distances with any two of them exchanged, and their misfit."""
        slots = _Slots(distances_um, self._phase)
        cosine, sine = slots.expected(self._frames)
        for i, j in itertools.combinations(range(len(distances_um)), 2):
            apart = self._frames[i] - self._frames[j]
            changed = cosine + (slots.cosine[j] - slots.cosine[i]) * apart
            exchanged = distances_um.copy()
            exchanged[[i, j]] = exchanged[[j, i]]
            yield self._unexplained(slots, changed, sine + (slots.sine[j] - slots.sine[i]) * apart), exchanged

    def best_order(self, distances_um: Sequence[float] | Array) -> tuple[float, Array]:
        """Return the best order of distances among simple changes of order, and its misfit."""
        nominal = np.asarray(distances_um, np.float64)
        others = [np.roll(nominal, 1), np.roll(nominal, -1), np.sort(nominal), np.sort(nominal)[::-1]]
        best = min([(self.misfit(nominal), nominal)] + [(self.misfit(other), other) for other in others], key=_first)
        best = min(best, min(self.exchanges(nominal), key=_first), key=_first)
        if best[1] is nominal:
            return best
        for _ in nominal:
            better = min(itertools.chain(self.exchanges(best[1]), self._insertions(best[1])), key=_first)
            if better[0] > best[0] - _CLEARER:
                break
            best = better
        return best

    def best_single(self, distances_um: Sequence[float] | Array) -> tuple[float, int, float]:
        """Return the misfit with the distance of one frame changed by the best factor, that frame and the factor."""
        nominal = np.asarray(distances_um, np.float64)
        slots = _Slots(nominal, self._phase)
        cosine, sine = slots.expected(self._frames)

        def tried(frame: int, factor: float) -> tuple[float, int, float]:
            others, of_cosine, of_sine = slots.changed(frame, factor * nominal[frame], self._phase)
            spectrum = self._frames[frame]
            return self._unexplained(others, cosine + of_cosine * spectrum, sine + of_sine * spectrum), frame, factor

        best = min(tried(frame, float(factor)) for frame in range(len(nominal)) for factor in _ERRORS)
        for step in _FINER:
            best = min(best, *(tried(best[1], best[2] * by) for by in (step, 1 / step)))
        return best

    def opposite(self, distances_um: Sequence[float] | Array, least: float) -> list[int]:
        """Return frames, less than half of them, whose opposite contrast decreases the misfit by at least this much."""
        signs = np.ones(len(self._frames))
        slots = _Slots(np.asarray(distances_um), self._phase)

        def tried(turned: Array) -> float:
            return self._unexplained(slots, *slots.expected(turned.astype(np.float32)[:, None] * self._frames))

        best, found = tried(signs), list[int]()
        while 2 * (len(found) + 1) < len(signs):
            misfits = {}
            for number in range(len(signs)):
                other = signs.copy()
                other[number] *= -1
                misfits[number] = tried(other)
            number = min(misfits, key=misfits.__getitem__)
            if number in found or misfits[number] > best - least:
                break
            best, found = misfits[number], sorted([*found, number])
            signs[number] *= -1
        return found

    def best_mixture(self, distances_um: Sequence[float] | Array) -> tuple[float, int, int]:
        """Return how much the misfit decreases if one frame is the mean of itself and another one, and both.

        What another distance of a frame, or half of its contrast, explains as well does not count, nor does a frame
        that then fits much worse than the others alone, as those that are displaced or enlarged do.
        """
        nominal = np.asarray(distances_um, np.float64)
        slots = _Slots(nominal, self._phase)
        cosine, sine = slots.expected(self._frames)

        def tried(frame: int, other: int | None) -> float:
            mean = [own[frame] / 2 + (0 if other is None else own[other] / 2) for own in (slots.cosine, slots.sine)]
            others, of_cosine, of_sine = slots.replaced(frame, *mean)
            spectrum = self._frames[frame]
            return self._unexplained(others, cosine + of_cosine * spectrum, sine + of_sine * spectrum)

        every = range(len(nominal))
        pairs = [(one, other) for one in every for other in every if 0 < abs(one - other) <= _NEIGHBOURS]
        misfit, frame, other = min((tried(*pair), *pair) for pair in pairs)
        # what another error explains
        as_given = self.misfit(nominal)
        rest = min(as_given, self.best_single(nominal)[0], *(tried(one, None) for one in every))
        if as_given - misfit < _FITS * (as_given - self._without(frame).misfit(np.delete(nominal, frame))):
            return 0.0, frame, other
        return rest - misfit, frame, other

    def _without(self, frame: int) -> DistanceFit:
        """Return the test of all frames but one."""
        others = copy.copy(self)
        others._frames = np.delete(self._frames, frame, axis=0)
        others._power = self._by_ring((np.abs(others._frames) ** 2).sum(0))
        return others

    def scales(self, distances_um: Sequence[float] | Array, most: int) -> list[float]:
        """Return common factors of distances at which the misfit has a minimum, the deepest first.

        In small fields, and for strong objects, the deepest is not always the right one.
        """
        given = np.asarray(distances_um)
        misfits = np.array([self.misfit(factor * given) for factor in _SCALES])
        inner = misfits[1:-1]
        minima = 1 + np.flatnonzero((inner <= misfits[:-2]) & (inner <= misfits[2:]))
        return [float(_SCALES[number]) for number in minima[np.argsort(misfits[minima], kind="stable")][:most]]

    def weak_object(self, distances_um: Sequence[float] | Array) -> Spectra:
        """Return the field of the weak object that explains the frames, blurred against noise: complex, (Y, X)."""
        slots = _Slots(np.asarray(distances_um), self._per_um.astype(np.float32).ravel())
        parts = slots.solved(*slots.expected(self._spectra.reshape(len(self._spectra), -1)))
        log_amplitude, phase = (
            fft.irfft2(self._blur * part.reshape(self._per_um.shape), self._shape) for part in parts
        )
        return np.asarray(np.exp(np.clip(log_amplitude, -3, 3) + 1j * phase))

    def _insertions(self, distances_um: Array) -> Iterator[tuple[float, Array]]:
        """Yield the distances with any one of them moved to another place, and their misfit."""
        count = len(distances_um)
        for out, into in itertools.permutations(range(count), 2):
            if abs(out - into) > 1:
                moved = np.insert(np.delete(distances_um, out), into, distances_um[out])
                yield self.misfit(moved), moved

    def _unexplained(self, slots: _Slots, cosine: Spectra, sine: Spectra) -> float:
        log_amplitude, phase = slots.solved(cosine, sine)
        explained = (log_amplitude.conj() * cosine + phase.conj() * sine).real
        left = np.maximum(1 - self._by_ring(explained) / self._power, 1e-12)
        return float((self._counts * np.log(left)).sum() / self._counts.sum())

    def _by_ring(self, values: npt.NDArray[np.floating]) -> Array:
        return np.asarray(np.add.reduceat(values.astype(np.float64), self._firsts))


class _Slots:
    """The contrast transfer functions at some distances.

    Parameters
    ----------
    distances_um
        (N,).
    phase
        Phase χ per micrometre at each frequency, (F,).
    """

    def __init__(self, distances_um: Array, phase: npt.NDArray[np.float32]) -> None:
        chi = distances_um[:, None] * phase.astype(np.float64)
        self.cosine, self.sine = np.cos(chi).astype(np.float32), np.sin(chi).astype(np.float32)
        damping = _DAMPING * len(distances_um)
        self._both = (self.cosine * self.sine).sum(0)
        self._squares = (self.cosine**2).sum(0) + damping, (self.sine**2).sum(0) + damping
        self._determinant = self._squares[0] * self._squares[1] - self._both**2

    def expected(self, frames: Spectra) -> tuple[Spectra, Spectra]:
        """Return the spectra of frames, (N, F), weighted by both transfer functions and added up, (F,) each."""
        return (self.cosine * frames).sum(0), (self.sine * frames).sum(0)

    def changed(self, frame: int, distance_um: float, phase: npt.NDArray[np.float32]) -> tuple[_Slots, Floats, Floats]:
        """Return sums with another distance of one frame, and the changes of its transfer functions, (F,) each."""
        chi = distance_um * phase.astype(np.float64)
        return self.replaced(frame, np.cos(chi).astype(np.float32), np.sin(chi).astype(np.float32))

    def replaced(self, frame: int, cosine: Floats, sine: Floats) -> tuple[_Slots, Floats, Floats]:
        """Return sums with other transfer functions of one frame, and their changes, (F,) each."""
        old_cosine, old_sine = self.cosine[frame], self.sine[frame]
        other = copy.copy(self)
        other._both = self._both + cosine * sine - old_cosine * old_sine
        other._squares = self._squares[0] + cosine**2 - old_cosine**2, self._squares[1] + sine**2 - old_sine**2
        other._determinant = other._squares[0] * other._squares[1] - other._both**2
        return other, cosine - old_cosine, sine - old_sine

    def solved(self, cosine: Spectra, sine: Spectra) -> tuple[Spectra, Spectra]:
        """Return log-amplitude and phase, (F,) each, from the sums of `expected`."""
        of_cosine, of_sine = self._squares
        log_amplitude = (of_sine * cosine - self._both * sine) / self._determinant
        return log_amplitude, (of_cosine * sine - self._both * cosine) / self._determinant


def reversed_order(distances_um: Sequence[float] | Array) -> Array:
    """Return distances in reverse: the frame of the shortest one gets the longest one, and so on."""
    distances = np.asarray(distances_um, np.float64)
    order = np.argsort(distances, kind="stable")
    turned = np.empty_like(distances)
    turned[order] = distances[order[::-1]]
    return turned


def _first(pair: tuple[float, Array]) -> float:
    return pair[0]
