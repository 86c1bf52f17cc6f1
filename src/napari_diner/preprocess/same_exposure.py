"""Detection of frames that differ only by noise, although the light should change them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft

from napari_diner.io.arrays import Array
from napari_diner.physics.optics import Optics
from napari_diner.preprocess.soundness import numbered

_FIELD_PX = 512
"""Size of the central part that is compared in wider fields."""
_COMPARED = 20_000
"""Largest number of frequencies by which the most similar frames are found."""
_RINGS, _LOWEST = 6, 2.5
"""Number of rings of frequencies, and the lowest frequency in steps."""
_HIDDEN, _CERTAIN = 1.5, 8.0
"""Standard errors that noise explains, and those of a significant expected change."""
_HANN = 2.0
"""Factor on errors because a Hann window correlates neighbouring frequencies."""

Pair = tuple[int, int]
Power = npt.NDArray[np.float64]


def of_one_height(frames: Array, optics: Optics, distances_um: Sequence[float]) -> list[str]:
    """Return a warning about frames that were recorded at one height, although their distances differ.

    The contrast of a weak object that absorbs changes as cos χ, and that of one that delays light as sin χ, with
    ``χ = 2π z (k − √(k² − f²))`` for k = n/λ (Guigay, Optik 49, 121 (1977)). The lesser change is expected.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    optics
        Pixels and light.
    distances_um
        Distance z of each frame, as for parallel light.
    """
    spectra = _Spectra(frames, optics.pixel_size_um, is_contrast=False)
    k = optics.medium_frequency
    per_um = 2 * np.pi * (k - np.sqrt(np.maximum(k**2 - spectra.squared, 0)))
    order = [int(number) for number in np.argsort(distances_um, kind="stable")]
    pairs = {(min(pair), max(pair)) for pair in (*itertools.pairwise(order), *_neighbours(frames))}
    same = []
    for first, second in sorted(pairs | spectra.most_alike()):
        near, far = (distances_um[number] * per_um for number in (first, second))
        changing = np.minimum((np.cos(near) - np.cos(far)) ** 2, (np.sin(near) - np.sin(far)) ** 2)
        if _is_none(*spectra.change(first, second), spectra.total(changing * spectra.shared(first, second))):
            same.append((first, second))
    return _said(same, "distances")


def of_one_light(contrasts: Array) -> list[str]:
    """Return a warning about frames that differ much less than consecutive ones usually do.

    Parameters
    ----------
    contrasts
        I / I_background − 1 under different directions of light, (N, Y, X), finite.
    """
    spectra, neighbours = _Spectra(contrasts), _neighbours(contrasts)
    usual = float(np.median([spectra.change(*pair)[0] for pair in neighbours])) if neighbours else 0.0
    pairs = sorted({*neighbours, *spectra.most_alike()})
    return _said([pair for pair in pairs if _is_none(*spectra.change(*pair), usual)], "directions of light")


def _neighbours(frames: Array) -> list[Pair]:
    return list(itertools.pairwise(range(len(frames))))


def _is_none(change: float, error: float, expected: float) -> bool:
    return expected > _CERTAIN * error and 0 < change < _HIDDEN * error


def _said(pairs: Sequence[Pair], what: str) -> list[str]:
    named = ", and ".join(numbered(pair) for pair in pairs[:3])
    return [
        f"{named} differ by nothing but noise, though their {what} do; one of them was probably recorded "
        "twice, or both are a mean (leave_out drops frames)"
    ][: len(pairs)]


class _Spectra:
    """Spectra of the contrasts of frames."""

    def __init__(self, frames: Array, pixel_size: float = 1.0, *, is_contrast: bool = True) -> None:
        height, width = (min(size, _FIELD_PX) for size in frames.shape[1:])
        top, left = ((size - part) // 2 for size, part in zip(frames.shape[1:], (height, width), strict=True))
        window = np.float32(np.hanning(height)[:, None] * np.hanning(width))
        self._frames, self._window = frames[:, top : top + height, left : left + width], window
        self._is_contrast = is_contrast
        self._known: dict[int, npt.NDArray[np.complexfloating]] = {}
        fy, fx = fft.fftfreq(height)[:, None], fft.rfftfreq(width)
        squared = fy**2 + fx**2
        self.squared = squared / pixel_size**2
        by_frequency = np.argsort(squared, axis=None, kind="stable")
        # remains of the mean spread over the lowest frequencies
        lowest = int((squared < (_LOWEST / min(height, width)) ** 2).sum())
        self._rings = np.array_split(by_frequency[lowest:], _RINGS)

    def _of(self, number: int) -> npt.NDArray[np.complexfloating]:
        if number not in self._known:
            frame = self._frames[number].astype(np.float32)
            mean = frame.mean()
            self._known[number] = fft.rfft2((frame - mean) * self._window / (1 if self._is_contrast else mean or 1))
        return self._known[number]

    def most_alike(self) -> set[Pair]:
        """Return each frame with the one that differs least from it."""
        compared = np.concatenate(self._rings)
        compared = compared[:: 1 + len(compared) // _COMPARED]
        spectra = np.stack([self._of(number).flat[compared] for number in range(len(self._frames))])
        products = (spectra @ spectra.conj().T).real
        differences = products.diagonal()[:, None] + products.diagonal() - 2 * products
        np.fill_diagonal(differences, np.inf)
        closest = differences.argmin(1) if len(differences) > 1 else ()
        return {(min(pair), max(pair)) for pair in enumerate(map(int, closest))}

    def shared(self, first: int, second: int) -> Power:
        """Return the common power of two frames."""
        return np.asarray((self._of(first) * self._of(second).conj()).real, np.float64)

    def total(self, power: Power) -> float:
        """Return the sum of a power over the compared frequencies."""
        return float(sum(power.flat[ring].sum() for ring in self._rings))

    def change(self, first: int, second: int) -> tuple[float, float]:
        """Return the deviation of the difference of two frames from white noise, and its standard error for noise.

        That is ``Σ_r |D_r − D̃|`` of the power D in rings r of equally many frequencies, with the median D̃ of all.
        """
        power = np.abs(self._of(first) - self._of(second)).astype(np.float64) ** 2
        sizes = np.array([len(ring) for ring in self._rings])
        means = np.array([power.flat[ring].mean() for ring in self._rings])
        level = float(np.median(means))
        return float((sizes * np.abs(means - level)).sum()), _HANN * level * float(np.sqrt(sizes).sum())
