"""Displacement of frames recorded at different heights, estimated without a reconstruction."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from napari_diner.io.arrays import Array
from napari_diner.physics.optics import Optics
from napari_diner.wording import digits

_FIELD_PX = 512
"""Size of the central part that is compared in wider fields."""
_FEWEST_FREQUENCIES = 24
"""Smallest number of frequencies; with fewer, noise may resemble a displacement."""
_LEAST_COHERENCE = 0.96
"""Part of the common spectrum that a displacement must explain: it is 0.99 for frames of one sample, and below 0.94 for
frames of different ones, whose few frequencies correlate somewhere."""
_DISPLACED_PX, _CERTAIN = 1.0, 6.0
"""Smallest reported displacement, in pixels and in standard errors."""
_WINDOW_WIDTH = 1.5
"""Frequencies along an axis over which a Hann window correlates noise."""


class Displacement(NamedTuple):
    """A displacement of one frame against another."""

    first: int
    """Number of the nearer frame, from zero."""
    second: int
    """Number of the farther frame, from zero."""
    dy: float
    """Displacement of the farther frame, down, in pixels."""
    dx: float
    """To the right, in pixels."""
    error: float
    """Standard error in pixels."""

    @property
    def length(self) -> float:
        """Length in pixels."""
        return float(np.hypot(self.dy, self.dx))


def displacements(amplitudes: Array, optics: Optics, distances_um: Sequence[float]) -> list[Displacement]:
    """Return the displacements between frames of neighbouring heights.

    A detail of the spatial frequency f changes in contrast from height to height, but not in position, as long as
    ``χ = π λ z f² < π/2``: sin χ of phase and cos χ of absorption keep their signs (Guigay, Optik 49, 121 (1977)).
    There the spectra of two frames differ by positive factors and by ``exp(−2πi f·s)`` for a displacement s, estimated
    from the peak of their correlation, and refined by weighted least squares of the phases.

    Parameters
    ----------
    amplitudes
        Square roots of intensities, (N, Y, X); of intensities of weak samples any power.
    optics
        Pixels and light.
    distances_um
        Distance z for each frame, as for parallel light.

    Returns
    -------
    list of Displacement
        Only pairs for which a displacement explains the common part of the frames.
    """
    height, width = (min(size, _FIELD_PX) for size in amplitudes.shape[1:])
    top, left = ((size - part) // 2 for size, part in zip(amplitudes.shape[1:], (height, width), strict=True))
    window = np.float32(np.hanning(height)[:, None] * np.hanning(width))
    fy, fx = fft.fftfreq(height)[:, None], fft.rfftfreq(width)
    squared = fy**2 + fx**2
    order = np.argsort(distances_um, kind="stable")
    spectra = (
        fft.rfft2((part / (part.mean() or 1) - 1) * window)
        for part in (amplitudes[number, top : top + height, left : left + width] for number in order)
    )
    pairs = []
    for (near, first), (far, second) in itertools.pairwise(zip(order, spectra, strict=True)):
        limit = optics.pixel_size_um**2 / (2 * optics.wavelength_in_medium_um * distances_um[far])
        # the window spreads the mean over the lowest frequencies
        band = (squared < min(limit, 0.25)) & (squared > (1.5 / min(height, width)) ** 2)
        if band.sum() < _FEWEST_FREQUENCIES:
            continue
        common = np.where(band, first.conj() * second, 0)
        shift, error, coherence = _shift_of(common, fy, fx, (height, width))
        if coherence > _LEAST_COHERENCE:
            pairs.append(Displacement(int(near), int(far), *shift, error))
    return pairs


def worst_displacement(pairs: Sequence[Displacement]) -> Displacement | None:
    """Return the largest displacement of a pixel or more that is certain, or None; see `displacements`."""
    clear = [pair for pair in pairs if pair.length > max(_DISPLACED_PX, _CERTAIN * pair.error)]
    return max(clear, key=lambda pair: pair.length, default=None)


def warnings_of_displacements(pairs: Sequence[Displacement]) -> list[str]:
    """Return a warning if frames are certainly displaced by a pixel or more; see `displacements`."""
    worst = worst_displacement(pairs)
    if worst is None:
        return []
    a, b = sorted((worst.first + 1, worst.second + 1))
    return [
        f"the frames are displaced against each other, by about {digits(worst.length)} pixels between frames {a} and "
        f"{b}; registration: shift estimates and removes displacements"
    ]


def moves(pairs: Sequence[Displacement], frames: int) -> npt.NDArray[np.float64]:
    """Return the displacement (dy, dx) of each frame from their mean, in pixels, (N, 2); see `displacements`.

    Frames without a pair are where the frame of the next shorter distance is.
    """
    found: npt.NDArray[np.float64] = np.zeros((frames, 2))
    for pair in pairs:  # from the nearest frame to the farthest
        found[pair.second] = found[pair.first] + (pair.dy, pair.dx)
    found -= found.mean(0)
    return found


def _shift_of(
    common: npt.NDArray[np.complexfloating],
    fy: npt.NDArray[np.float64],
    fx: npt.NDArray[np.float64],
    shape: tuple[int, int],
) -> tuple[tuple[float, float], float, float]:
    """Return the displacement of a cross spectrum, its error, and the part of the spectrum that it explains."""
    peak = np.unravel_index(int(fft.irfft2(common, shape).argmax()), shape)
    dy, dx = ((at + size // 2) % size - size // 2 for at, size in zip(peak, shape, strict=True))
    rows, columns = common.nonzero()
    values = common[rows, columns]
    weights = np.abs(values)
    if not weights.size:
        return (0.0, 0.0), 0.0, 0.0
    axes = -2 * np.pi * np.stack([fy[rows, 0], fx[columns]])
    shift = np.array([dy, dx], np.float64)
    inverse = np.linalg.inv((weights * axes) @ axes.T)
    for _ in range(3):
        phases = np.angle(values * np.exp(-1j * (shift @ axes)))
        shift += inverse @ (axes @ (weights * phases))
    left = values * np.exp(-1j * (shift @ axes))
    scatter = inverse @ ((weights * np.angle(left)) ** 2 * axes @ axes.T) @ inverse
    error = _WINDOW_WIDTH * float(np.sqrt(np.linalg.eigvalsh(scatter)[-1]))
    return (float(shift[0]), float(shift[1])), error, float(left.real.sum() / weights.sum())
