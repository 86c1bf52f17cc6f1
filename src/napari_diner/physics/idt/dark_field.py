"""Dark-field frames, whose light comes from outside the objective's aperture.

The unscattered light of such a frame misses the objective, so that the intensity is that of the scattered light alone,
``I = |P·u_s|²``, in units of the intensity that the same light would have in bright field. It contains no term that is
linear in the contrast. The models therefore predict, and solvers compare, the amplitude

    g = 2 w (√(I + ε) − √ε),

which is zero for an empty volume, as the data ``g = I − 1`` of a bright-field frame. With w = 1 it depends on the
scattered wave as strongly as bright field does, where ``g ≈ 2 Re(u_s)``, and shot noise is as large as there, whatever
I is. The offset ε keeps the slope finite where there is no light; with ε at the noise of I, dark places do not amplify
it. For the importance of amplitudes see Yeh et al., Opt. Express 23, 33214 (2015).

If the brightness of the sources in dark field is not known, the prediction of each frame is multiplied by
``b = Σ m I R / Σ m I²`` with the recorded frame R and weights m: variable projection (Golub and Pereyra, SIAM J. Numer.
Anal. 10, 413 (1973)), which is part of the model and of its derivative. Bright field, whose brightness is known,
determines the scale of the volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FLOOR = 1e-6
"""Default ε, in units of the incident intensity."""


@dataclass(frozen=True)
class Recorded:
    """The dark-field frames that the unknown brightness of D predictions is fitted to."""

    intensity: Tensor
    """R, real, (D, Y, X), of the pixels of the model."""
    weight: Tensor
    """m, real, (D, Y, X): zero where nothing is recorded, or only a bound."""


@dataclass(frozen=True)
class DarkField:
    """Which of N frames are dark field, and their units."""

    is_dark: Tensor
    """Boolean, (N,)."""
    floor: Tensor
    """ε of each frame, real, (N,); only that of dark field matters."""
    weight: Tensor
    """w of each frame, real, (N,); only that of dark field matters."""
    recorded: Recorded | None = None
    """The dark-field frames, in their order among the N, if their brightness is not known."""

    @classmethod
    def of(cls, frames: Sequence[int], count: int) -> DarkField:
        """Return the default units for the dark-field frames among `count` ones, numbered from zero."""
        is_dark = torch.zeros(count, dtype=torch.bool)
        is_dark[list(frames)] = True
        return cls(is_dark, torch.full((count,), FLOOR), torch.ones(count))

    def chosen(self, frames: Sequence[int] | None) -> DarkField:
        """Return the units of some frames, in this order; of all if None."""
        if frames is None:
            return self
        order, recorded = list(frames), self.recorded
        if recorded is not None:
            row = self.is_dark.cumsum(0) - 1
            rows = row[order][self.is_dark[order]].tolist()
            recorded = Recorded(recorded.intensity[rows], recorded.weight[rows])
        return DarkField(self.is_dark[order], self.floor[order], self.weight[order], recorded)

    @property
    def level(self) -> Tensor:
        """Intensity of the empty medium, (N, 1, 1): 1 in bright field, 0 in dark field."""
        return (~self.is_dark).double()[:, None, None]

    def data(self, change: Tensor) -> Tensor:
        """Return the data of changes of the intensity against the empty medium, (N, Y, X), differentiably."""
        rows, floor, weight = self._of(change)
        if len(rows) == 0:
            return change
        data, light = change.clone(), change[rows]
        light = light * self.brightness(light)
        data[rows] = 2 * weight * ((light + floor).sqrt() - floor.sqrt())
        return data

    def brightness(self, light: Tensor) -> Tensor:
        """Return b for the intensities of the dark-field frames, (D, Y, X): (D, 1, 1); 1 if it is known."""
        if self.recorded is None:
            return light.new_ones(len(light), 1, 1)
        weighted = self.recorded.weight.to(light) * light
        return _sum(weighted * self.recorded.intensity.to(light)) / _positive(_sum(weighted * light))

    def linearised(self, change: Tensor) -> DarkFieldSlope | None:
        """Return the derivative of `data` at changes of the intensity, (N, Y, X); None without dark field."""
        rows, floor, weight = self._of(change)
        if len(rows) == 0:
            return None
        light = change[rows]
        b = self.brightness(light)
        slope = weight / (b * light + floor).sqrt()
        if self.recorded is None:
            return DarkFieldSlope(rows, slope, None, None)
        m, recorded = self.recorded.weight.to(light), self.recorded.intensity.to(light)
        of_brightness = m * (recorded - 2 * b * light) / _positive(_sum(m * light**2))
        return DarkFieldSlope(rows, b * slope, slope * light, of_brightness)

    def _of(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the indices of the dark-field frames, and their ε and w, (D, 1, 1)."""
        rows = self.is_dark.nonzero().flatten()
        floor, weight = (values[rows, None, None].to(images) for values in (self.floor, self.weight))
        return rows.to(images.device), floor, weight


@dataclass(frozen=True)
class DarkFieldSlope:
    """The derivative of `DarkField.data`: the identity in bright field."""

    rows: Tensor
    """Indices of the dark-field frames, (D,)."""
    slope: Tensor
    """∂g/∂I with constant b, (D, Y, X)."""
    by_brightness: Tensor | None
    """∂g/∂b, (D, Y, X); None if the brightness is known."""
    of_brightness: Tensor | None
    """∂b/∂I, (D, Y, X)."""

    def apply(self, change: Tensor) -> Tensor:
        """Return the change of the data for one of the intensities, (N, Y, X)."""
        return self._product(change, self.of_brightness, self.by_brightness)

    def adjoint(self, data: Tensor) -> Tensor:
        """Apply the transpose of `apply`."""
        return self._product(data, self.by_brightness, self.of_brightness)

    def _product(self, images: Tensor, inner: Tensor | None, outer: Tensor | None) -> Tensor:
        result, dark = images.clone(), images[self.rows]
        result[self.rows] = self.slope * dark
        if inner is not None and outer is not None:
            result[self.rows] += outer * _sum(inner * dark)
        return result


def _sum(images: Tensor) -> Tensor:
    return images.sum((1, 2), keepdim=True)


def _positive(numbers: Tensor) -> Tensor:
    return numbers.clamp_min(torch.finfo(numbers.dtype).tiny)
