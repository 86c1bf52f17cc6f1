"""Sensors whose pixels are larger than those of the object."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sensor:
    """A sensor whose pixels cover b×b pixels of the grid on which fields are computed.

    Each records the mean intensity, ``I = ⟨|U|²⟩``; the field may vary within a pixel. Recorded amplitudes √I change
    with the field by ``⟨Re[D* dU]⟩`` with ``D = U/√I``, which for b = 1 is the unit phasor.

    Parameters
    ----------
    binning
        b, pixels of the fine grid per pixel of the sensor along each axis.
    """

    binning: int = 1

    def fine(self, at: tuple[slice, slice]) -> tuple[slice, slice]:
        """Return the pixels of the fine grid that some rows and columns of the sensor cover."""
        rows, columns = (slice(self.binning * part.start, self.binning * part.stop) for part in at)
        return rows, columns

    def mean(self, image: Tensor) -> Tensor:
        """Return the mean over each pixel, (..., Y/b, X/b), of a real image on the fine grid, (..., Y, X)."""
        b = self.binning
        if b == 1:
            return image
        mean: Tensor = image.unflatten(-1, (-1, b)).unflatten(-3, (-1, b)).mean((-3, -1))
        return mean

    def mean_adjoint(self, image: Tensor) -> Tensor:
        """Apply the adjoint of `mean`: 1/b² of each pixel's value on the fine pixels that it covers."""
        b = self.binning
        return image if b == 1 else self.spread(image) / b**2

    def spread(self, image: Tensor) -> Tensor:
        """Repeat each pixel of an image of the sensor, (..., Y, X), b×b times on the fine grid."""
        b = self.binning
        return image if b == 1 else image.repeat_interleave(b, -2).repeat_interleave(b, -1)

    def interpolated(self, image: Tensor) -> Tensor:
        """Interpolate a real image of the sensor, (N, Y, X), linearly on the fine grid."""
        if self.binning == 1:
            return image
        fine: Tensor = torch.nn.functional.interpolate(
            image[:, None], scale_factor=self.binning, mode="bilinear", align_corners=False
        )
        return fine[:, 0]

    def modulus(self, U: Tensor) -> Tensor:
        """Return the recorded amplitude √I of a field on the fine grid."""
        # U.abs() guards against overflow and is several times slower
        return self.mean(U.real**2 + U.imag**2).sqrt()

    def direction(self, U: Tensor) -> Tensor:
        """Return D = U/√I, zero where the sensor is dark."""
        if self.binning == 1:
            return torch.sgn(U)
        return U * self.spread(self.modulus(U).clamp_min(1e-20).reciprocal())

    def change(self, direction: Tensor, dU: Tensor) -> Tensor:
        """Return the change ⟨Re[D* dU]⟩ of the recorded amplitudes."""
        return self.mean(direction.real * dU.real + direction.imag * dU.imag)

    def change_adjoint(self, direction: Tensor, amplitudes: Tensor) -> Tensor:
        """Apply the adjoint of `change` to values at the sensor's pixels; returns a field on the fine grid."""
        return self.mean_adjoint(amplitudes) * direction
