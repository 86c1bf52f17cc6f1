"""Optics of a lensless recording at several heights: light, distances, shifts and gains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import transfer_function


@dataclass(frozen=True)
class Heights:
    """The optics of a recording at several heights, for any field of view.

    Parameters
    ----------
    optics
        Pixels, wavelength, and the medium between sample and sensor.
    distances_um
        Distance from sample to sensor for each of the N frames.
    band_limit
        See `napari_diner.physics.propagation.passband`.
    shifts_um
        Displacement (dy, dx) of each frame, down and to the right; zero if None.
    gains
        Relative brightness g of each frame; one if None.
    intensity_scale
        The scale s: data = model intensity / s.
    """

    optics: Optics
    distances_um: Sequence[float]
    band_limit: bool = True
    shifts_um: Sequence[tuple[float, float]] | None = None
    gains: Sequence[float] | None = None
    intensity_scale: float = 1.0

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

    def transfer(self, frame: int, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
        """Return √(g/s) H of a frame, with its shift, on a grid of a given shape: complex, (Y, X), on the CPU."""
        transfer = transfer_function(
            shape,
            self.optics,
            self.distances_um[frame],
            band_limit=self.band_limit,
            shift_um=self.shift_um(frame),
            dtype=dtype,
        )
        return self.strength(frame) * transfer

    def transfers(self, shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return `transfer` of all frames, (N, Y, X), on a device."""
        stack = torch.empty(self.frames, *shape, dtype=dtype, device=device)
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
        """`spread_px` plus the largest shift of a frame."""
        displaced = max(abs(part) for frame in range(self.frames) for part in self.shift_um(frame))
        return self.spread_px + math.ceil(displaced / self.optics.pixel_size_um)
