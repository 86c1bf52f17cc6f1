"""Sensor pixels larger than those of the object: each adds up the light that falls on its part of a finer grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sensor:
    """A sensor whose pixels cover b×b pixels of the grid on which fields are computed.

    It records the mean intensity in each, ``I = ⟨|U|²⟩``, so that the field may vary within a pixel. Recorded
    amplitudes √I change with the field by ``⟨Re[D* dU]⟩`` with ``D = U/√I``; for b = 1 that is the unit phasor.

    Parameters
    ----------
    binning
        b, pixels of the fine grid for each pixel of the sensor along each axis.
    """

    binning: int = 1

    def fine(self, at: tuple[slice, slice]) -> tuple[slice, slice]:
        """Return which pixels of the fine grid some rows and columns of the sensor cover."""
        rows, columns = (slice(self.binning * part.start, self.binning * part.stop) for part in at)
        return rows, columns

    def mean(self, image: Tensor) -> Tensor:
        """Return the mean of a real image on the fine grid, (..., Y, X), over each pixel: (..., Y/b, X/b)."""
        b = self.binning
        if b == 1:
            return image
        mean: Tensor = image.unflatten(-1, (-1, b)).unflatten(-3, (-1, b)).mean((-3, -1))
        return mean

    def mean_adjoint(self, image: Tensor) -> Tensor:
        """Apply the adjoint of `mean`: the same 1/b² of a pixel's value on all of the fine grid that it covers."""
        b = self.binning
        return image if b == 1 else self.spread(image) / b**2

    def spread(self, image: Tensor) -> Tensor:
        """Return an image of the sensor, (..., Y, X), on the fine grid, each pixel b×b times."""
        b = self.binning
        return image if b == 1 else image.repeat_interleave(b, -2).repeat_interleave(b, -1)

    def interpolated(self, image: Tensor) -> Tensor:
        """Return a real image of the sensor, (N, Y, X), on the fine grid, linearly between the centres of pixels."""
        if self.binning == 1:
            return image
        fine: Tensor = torch.nn.functional.interpolate(
            image[:, None], scale_factor=self.binning, mode="bilinear", align_corners=False
        )
        return fine[:, 0]

    def modulus(self, U: Tensor) -> Tensor:
        """Return the amplitude √I that is recorded of a field on the fine grid."""
        # not U.abs(): guarding against overflow makes that several times slower
        return self.mean(U.real**2 + U.imag**2).sqrt()

    def direction(self, U: Tensor) -> Tensor:
        """Return D = U/√I, zero where the sensor is dark: recorded amplitudes change by ⟨Re[D* dU]⟩."""
        if self.binning == 1:
            return torch.sgn(U)
        return U * self.spread(self.modulus(U).clamp_min(1e-20).reciprocal())

    def change(self, direction: Tensor, dU: Tensor) -> Tensor:
        """Return ⟨Re[D* dU]⟩, the change of the recorded amplitudes."""
        return self.mean(direction.real * dU.real + direction.imag * dU.imag)

    def change_adjoint(self, direction: Tensor, amplitudes: Tensor) -> Tensor:
        """Apply the adjoint of `change`: a field on the fine grid from values at the sensor's pixels."""
        return self.mean_adjoint(amplitudes) * direction
