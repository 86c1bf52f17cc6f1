"""Optics of a lensless recording at several heights: light, distances, shifts and gains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from napari_diner.physics.lensless.light import Light, disc_slope, disc_transform
from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import frequencies, transfer_function

_LASER = Light()
# a blur of less than this many pixels reduces any contrast by less than 1e-3
_NO_BLUR_PX = 0.05


@dataclass(frozen=True)
class Heights:
    """The optics of a recording at several heights, for any field of view."""

    optics: Optics
    """Pixels, wavelength, and the medium between sample and sensor."""
    distances_um: Sequence[float]
    """Distance from sample to sensor for each of the N frames."""
    band_limit: bool = True
    """See `napari_diner.physics.propagation.passband`."""
    shifts_um: Sequence[tuple[float, float]] | None = None
    """Displacement (dy, dx) of each frame, down and to the right; zero if None."""
    gains: Sequence[float] | None = None
    """Relative brightness g of each frame; one if None."""
    intensity_scale: float = 1.0
    """The scale s: data = model intensity / s."""
    light: Light = _LASER
    """Size and spectrum of the source."""

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.distances_um)

    def gain(self, frame: int) -> float:
        """Return the relative brightness g of a frame."""
        return 1.0 if self.gains is None else self.gains[frame]

    def shift_um(self, frame: int) -> tuple[float, float]:
        """Return the displacement (dy, dx) of a frame."""
        return (0.0, 0.0) if self.shifts_um is None else self.shifts_um[frame]

    def strength(self, frame: int) -> float:
        """Return √(g/s), the modulus of the transfer function of a frame wherever it is not zero."""
        return math.sqrt(self.gain(frame) / self.intensity_scale)

    @cached_property
    def lines(self) -> tuple[tuple[float, float], ...]:
        """Wavelengths (µm) and weights that represent the spectrum, the same for all frames."""
        return self.light.lines(self.optics, self.distances_um)

    @cached_property
    def is_coherent(self) -> bool:
        """Whether the light is treated as one wave: a single wavelength, and negligible blur."""
        blur_um = max(map(self.light.blur_um, self.distances_um))
        return len(self.lines) == 1 and blur_um < _NO_BLUR_PX * self.optics.pixel_size_um

    def transfer(self, frame: int, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
        """Return √(g/s) H of a frame, with its shift, on a grid of a given shape: complex, on the CPU.

        Returns
        -------
        Tensor
            (Y, X); if the light is not coherent (M, Y, X), with ``√(w g/s) H`` of each wavelength and its weight w.
        """
        waves = [
            math.sqrt(weight)
            * self.strength(frame)
            * transfer_function(
                shape,
                replace(self.optics, wavelength_um=wavelength_um),
                self.distances_um[frame],
                band_limit=self.band_limit,
                shift_um=self.shift_um(frame),
                dtype=dtype,
            )
            for wavelength_um, weight in self.lines
        ]
        return waves[0] if self.is_coherent else torch.stack(waves)

    def blur(self, frame: int, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
        """Return the factor of the source on the spectrum of a hologram, real, (Y, X)."""
        radius = torch.hypot(*frequencies(shape, self.optics.pixel_size_um)).numpy()
        return torch.from_numpy(disc_transform(radius * self.light.blur_um(self.distances_um[frame]))).to(dtype)

    def blur_slope(self, frame: int, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
        """Return the derivative of `blur` by the square of the diameter of the source (µm²), (Y, X)."""
        radius = torch.hypot(*frequencies(shape, self.optics.pixel_size_um)).numpy()
        per_size = self.light.blur_um(self.distances_um[frame]) / self.light.size_um
        slope = per_size**2 * radius**2 * disc_slope(radius * self.light.blur_um(self.distances_um[frame]))
        return torch.from_numpy(slope).to(dtype)

    def transfers(self, shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return `transfer` of all frames, (N, Y, X) or (N, M, Y, X), on a device."""
        waves = () if self.is_coherent else (len(self.lines),)
        stack = torch.empty(self.frames, *waves, *shape, dtype=dtype, device=device)
        for frame in range(self.frames):
            stack[frame] = self.transfer(frame, shape, dtype).to(device)
        return stack

    @property
    def spread_px(self) -> int:
        """Largest lateral spread by diffraction from the sample to the farthest sensor, in pixels.

        Light of the highest frequency that the grid holds along an axis, 1/2p for pixels of size p, travels at the
        angle θ with sin θ = λ/2p (λ in the medium) and spreads by z tan θ; paraxial light, by z sin θ. Never more than
        z, for θ = 45°.
        """
        optics = self.optics
        sine = min(optics.wavelength_in_medium_um / (2 * optics.pixel_size_um), math.sqrt(0.5))
        slope = sine if optics.method == "fresnel" else sine / math.sqrt(1 - sine**2)
        return math.ceil(max(self.distances_um) * slope / optics.pixel_size_um)

    @property
    def reach_px(self) -> int:
        """`spread_px` plus the largest shift and half the largest blur of a frame."""
        displaced = max(
            max(map(abs, self.shift_um(frame))) + self.light.blur_um(distance_um) / 2
            for frame, distance_um in enumerate(self.distances_um)
        )
        return self.spread_px + math.ceil(displaced / self.optics.pixel_size_um)
