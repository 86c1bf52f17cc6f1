"""Recording of light by a sensor: pixels larger than those of the object, waves that do not interfere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.physics.elementwise import intensity, multiplied, project_

# smallest intensity after a blur, relative to the mean
_DARKEST = 1e-6


@dataclass(frozen=True)
class Sensor:
    """A sensor whose pixels cover b×b pixels of the grid on which fields are computed.

    Each records the mean intensity, ``I = ⟨|U|²⟩``; the field may vary within a pixel.
    """

    binning: int = 1
    """b, pixels of the fine grid per pixel of the sensor along each axis."""

    @property
    def is_sharp(self) -> bool:
        """Whether each pixel records the field at its own place."""
        return self.binning == 1

    def fine(self, at: tuple[slice, slice]) -> tuple[slice, slice]:
        """Return the pixels of the fine grid that some rows and columns of the sensor cover."""
        rows, columns = (slice(self.binning * part.start, self.binning * part.stop) for part in at)
        return rows, columns

    def gathered(self, image: Tensor) -> Tensor:
        """Return the light on the fine grid, (Y, X), for a quantity of the fields such as |U|²."""
        return image

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
        return self.mean(intensity(U)).sqrt()

    def response(self, U: Tensor, factor: Tensor) -> Response:
        """Return the response of amplitudes to changes of a field U, each multiplied by a factor √I, (Y/b, X/b)."""
        return Response(self, U * self.spread(factor))


@dataclass(frozen=True, kw_only=True)
class BlurredSensor(Sensor):
    """A sensor, or a part of it, in incoherent light.

    The intensities of several waves add up, and an extended source blurs their sum. Fields have the shape
    (M, Y', X'), with all that surrounds the pixels of the sensor.
    """

    blur: Tensor
    """Factor on the spectrum of the intensity, real and even, (Y', X')."""
    within: tuple[slice, slice]
    """Place of the sensor's pixels in the fields."""

    @property
    def is_sharp(self) -> bool:
        """Whether each pixel records the field at its own place."""
        return False

    def _blurred(self, image: Tensor) -> Tensor:
        """Apply the blur, which is its own adjoint."""
        spectrum = torch.fft.rfft2(image)
        blurred: Tensor = torch.fft.irfft2(self.blur[:, : spectrum.shape[-1]] * spectrum, s=image.shape)
        return blurred

    def gathered(self, image: Tensor) -> Tensor:
        """Return the sum over the waves, (M, Y', X'), blurred, on the fine pixels that the sensor covers, (Y, X)."""
        return self._blurred(image.sum(0))[self.within]

    def mean(self, image: Tensor) -> Tensor:
        """Return the mean over each pixel, (Y/b, X/b), of a real image of each wave, (M, Y', X')."""
        return super().mean(self.gathered(image))

    def mean_adjoint(self, image: Tensor) -> Tensor:
        """Apply the adjoint of `mean`; returns (Y', X'), the same for each wave."""
        wide = image.new_zeros(self.blur.shape)
        wide[self.within] = super().mean_adjoint(image)
        return self._blurred(wide)

    def modulus(self, U: Tensor) -> Tensor:
        """Return the recorded amplitude √I of the waves (M, Y', X')."""
        recorded = self.mean(intensity(U))
        # the blur of variations within a pixel may be negative
        return torch.maximum(recorded, _DARKEST * recorded.mean()).sqrt()

    def response(self, U: Tensor, factor: Tensor) -> Response:
        """Return the response of amplitudes to changes of the waves U, each multiplied by a factor √I, (Y/b, X/b)."""
        return Response(self, U, factor)


@dataclass(frozen=True)
class Response:
    """Response of recorded amplitudes to changes of the field: ``d√I = ⟨Re[U* dU]⟩/√I``."""

    sensor: Sensor
    """The sensor."""
    direction: Tensor
    """U, or U/√I if no factor is given, which for pixels of the fine grid is the unit phasor."""
    factor: Tensor | None = None
    """1/√I, with weights, and zeros at pixels without response."""

    def change(self, dU: Tensor) -> Tensor:
        """Return the change of the recorded amplitudes, real, (Y/b, X/b)."""
        change = self.sensor.mean(self.direction.real * dU.real + self.direction.imag * dU.imag)
        return change if self.factor is None else self.factor * change

    def adjoint(self, amplitudes: Tensor) -> Tensor:
        """Apply the adjoint of `change`; returns a change of the field."""
        if self.factor is not None:
            amplitudes = self.factor * amplitudes
        return multiplied(self.direction, self.sensor.mean_adjoint(amplitudes))

    def round_trip(self, dU: Tensor) -> Tensor:
        """Return the adjoint of the change of the amplitudes: that of the field to which they respond.

        It may replace the field dU.
        """
        if self.factor is None and self.sensor.is_sharp:
            return project_(dU, self.direction)
        return self.adjoint(self.change(dU))
