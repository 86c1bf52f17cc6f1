"""Spectra of frames beside those of what a result predicts, summed over rings of spatial frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

Frames = npt.NDArray[np.floating]
Sums = npt.NDArray[np.float64]

# side of the central part that is compared, and rings of spatial frequencies up to half a cycle per pixel
_MOST_PX, _RINGS = 1024, 24
FREQUENCIES = (np.arange(_RINGS) + 0.5) / (2 * _RINGS)
"""Middle of each ring in cycles per pixel."""


class PredictedSpectra(NamedTuple):
    """Sums over rings of spatial frequencies, (N, rings), of the contrasts of frames and predictions.

    Contrasts are relative to the mean of each, so that the brightness of a frame does not matter.
    """

    power: Sums
    """``Σ |Y|²`` of the frames."""
    product: Sums
    """``Σ Re Y Ŷ*`` of frames and predictions."""
    energy: Sums
    """``Σ |Ŷ|²`` of the predictions."""

    @classmethod
    def of(cls, residual: Frames, trivial: Frames, levels: Sequence[float] | Sums) -> PredictedSpectra:
        """Compare predictions with frames.

        Parameters
        ----------
        residual, trivial
            Residuals, (N, Y, X), of the result and of a trivial answer, as for `Unexplained.of`.
        levels
            Mean of each frame, above zero.
        """
        start = [max(size - _MOST_PX, 0) // 2 for size in trivial.shape[1:]]
        cut = tuple(slice(first, first + _MOST_PX) for first in start)
        frames = zip(residual, trivial, levels, strict=True)
        sums = [_of_frame(left[cut], empty[cut], float(level)) for left, empty, level in frames]
        return cls(*np.moveaxis(np.array(sums), 1, 0))

    def within(self, rings: slice) -> PredictedSpectra:
        """Return the sums of some rings only."""
        return PredictedSpectra(*(part[:, rings] for part in self))


def _of_frame(residual: Frames, trivial: Frames, level: float) -> Sums:
    frame = level + float(trivial.mean(dtype=np.float64)) - trivial.astype(np.float64)
    window = np.outer(*(np.hanning(size + 2)[1:-1] for size in frame.shape))
    # offsets would leak into the lowest frequencies
    own, expected = (fft.rfft2(window * (image / (image.mean() or 1.0) - 1)) for image in (frame, frame + residual))
    radius = np.hypot(fft.fftfreq(frame.shape[0])[:, None], fft.rfftfreq(frame.shape[1])[None])
    ring = np.where(radius < 0.5, (radius * 2 * _RINGS).astype(int), _RINGS).ravel()
    parts = np.abs(own) ** 2, (own * expected.conj()).real, np.abs(expected) ** 2
    return np.array([np.bincount(ring, part.ravel(), _RINGS + 1)[:_RINGS] for part in parts])
