"""Noise of a recording, estimated from the residual of a reconstruction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

_GROUPS = 32
_SAMPLES = 1_000_000
# standard deviation of a normal distribution over its median absolute deviation
_MAD = 1.4826


@dataclass(frozen=True)
class NoiseModel:
    """Variance of recorded amplitudes √I as a function of the intensity.

    An intensity of variance ``α I + β``, shot noise and read noise, gives its square root the variance ``α/4 + β/4I``.
    """

    shot: float
    """α/4, the part that does not depend on the intensity."""
    read: float
    """β/4, in units of intensity squared."""

    @property
    def read_sigma(self) -> float:
        """Standard deviation √β of the intensity in the dark."""
        return float(2 * self.read**0.5)

    def variance(self, modulus: Tensor) -> Tensor:
        """Return the variance of √I for the predicted amplitude |U|, of the same shape.

        For intensities below the noise, the root is not linear; the variance is limited to that of an intensity of one
        standard deviation.
        """
        return self.shot + self.read / modulus.square().clamp_min(max(self.read_sigma, 1e-20))

    def scaled(self, factor: float) -> NoiseModel:
        """Return the noise with its variance multiplied by a factor."""
        return NoiseModel(factor * self.shot, factor * self.read)

    def in_units(self, intensity: float) -> NoiseModel:
        """Return the same noise in another unit of intensity."""
        return NoiseModel(intensity * self.shot, intensity**2 * self.read)


def fit_noise(modulus: Tensor, residual: Tensor, mask: Tensor | None = None, *, robust: bool = False) -> NoiseModel:
    """Fit shot and read noise to the squared differences between model and recorded amplitudes.

    The pixels, or a million of them, are grouped by intensity; the two non-negative parameters give
    the best relative fit to the groups' means. The differences are smaller than the noise by the degrees of freedom
    of the reconstruction; the caller has to correct for that.

    Parameters
    ----------
    modulus
        Predicted amplitudes |U|, (N, Y, X).
    residual
        Their differences from the recorded ones.
    mask
        True at valid pixels, of the shape of `modulus`; all if None.
    robust
        Use the median of each group, which is robust against outliers.
    """
    stride = max(1, residual.numel() // _SAMPLES)
    intensity = modulus.flatten()[::stride].square()
    square = residual.flatten()[::stride].square()
    if mask is not None:
        good = mask.flatten()[::stride]
        intensity, square = intensity[good], square[good]
    order = torch.argsort(intensity)
    groups = min(_GROUPS, max(2, len(order) // 64))
    rows, targets = [], []
    for members in torch.tensor_split(order, groups):
        mean = float(square[members].median()) * _MAD**2 if robust else float(square[members].mean())
        if mean > 0:
            inverse = float((1 / intensity[members].clamp_min(1e-12)).median())
            rows.append((1 / mean, inverse / mean))
            targets.append(1.0)
    if not rows:
        return NoiseModel(0.0, 0.0)
    matrix = np.array(rows)
    units = np.maximum(np.abs(matrix).max(0), 1e-300)
    solution, _ = nnls(matrix / units, np.array(targets))
    shot, read = (float(value) for value in solution / units)
    return NoiseModel(shot, read)


def fine_noise(amplitudes: Tensor) -> NoiseModel:
    """Estimate noise of uniform variance in the amplitudes, like shot noise, from the finest structure of the frames.

    The mask ``[[1, −2, 1], [−2, 4, −2], [1, −2, 1]] / 6`` maps smooth images to nearly zero and preserves the level of
    white noise (Immerkær, Comput. Vis. Image Underst. 64, 300 (1996)); its median absolute value is taken. Fringes
    finer than a few pixels count as noise.

    Parameters
    ----------
    amplitudes
        Recorded amplitudes √I, (N, Y, X).
    """
    rows = amplitudes[:, :-2] - 2 * amplitudes[:, 1:-1] + amplitudes[:, 2:]
    fine = (rows[..., :-2] - 2 * rows[..., 1:-1] + rows[..., 2:]) / 6
    stride = max(1, fine.numel() // _SAMPLES)
    return NoiseModel((_MAD * float(fine.flatten()[::stride].abs().median())) ** 2, 0.0)
