"""What a lensless recording at several heights is described by: distances, shifts and gains, and the light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.physics.propagation import Method, transfer_function


@dataclass(frozen=True)
class Heights:
    """The optics of a recording at several heights, whatever the field of view.

    Parameters
    ----------
    pixel_size_um
        Distance between neighbouring pixels.
    wavelength_um
        Wavelength in vacuum.
    distances_um
        Distance from sample to sensor for each of the N frames.
    medium_index
        Refractive index between sample and sensor.
    method
        ``"angular_spectrum"`` or ``"fresnel"``.
    band_limit
        See `napari_diner.physics.propagation.passband`.
    shifts_um
        (dy, dx) by which each frame is displaced, down and to the right; none if left out.
    gains
        Relative brightness g of each frame; all one if left out.
    intensity_scale
        The scale s: data = model intensity / s.
    """

    pixel_size_um: float
    wavelength_um: float
    distances_um: Sequence[float]
    medium_index: float = 1.0
    method: Method = "angular_spectrum"
    band_limit: bool = True
    shifts_um: Sequence[tuple[float, float]] | None = None
    gains: Sequence[float] | None = None
    intensity_scale: float = 1.0

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.distances_um)

    @property
    def wavelength_in_medium_um(self) -> float:
        """λ/n."""
        return self.wavelength_um / self.medium_index

    def strength(self, frame: int) -> float:
        """Return √(g/s), the modulus of the transfer function of a frame wherever it is not zero."""
        gain = 1.0 if self.gains is None else self.gains[frame]
        return math.sqrt(gain / self.intensity_scale)

    def transfer(self, frame: int, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
        """Return √(g/s) H of a frame, with its shift, on a grid of a given shape: complex, (Y, X), on the CPU."""
        transfer = transfer_function(
            shape,
            self.pixel_size_um,
            self.distances_um[frame],
            self.wavelength_um,
            medium_index=self.medium_index,
            method=self.method,
            band_limit=self.band_limit,
            shift_um=(0.0, 0.0) if self.shifts_um is None else self.shifts_um[frame],
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
        """How far aside diffraction carries light from the sample to the farthest sensor, at most, in pixels.

        Light of the highest frequency that the grid holds along an axis, 1/2p for pixels of size p, travels at the
        angle θ with sin θ = λ/2p (λ in the medium) and arrives z tan θ aside; paraxial light, z sin θ. Never more than
        z, for θ = 45°.
        """
        sine = min(self.wavelength_in_medium_um / (2 * self.pixel_size_um), math.sqrt(0.5))
        slope = sine if self.method == "fresnel" else sine / math.sqrt(1 - sine**2)
        return math.ceil(max(self.distances_um) * slope / self.pixel_size_um)

    @property
    def reach_px(self) -> int:
        """`spread_px`, and the largest shift of a frame besides."""
        displaced = max((abs(part) for shift in self.shifts_um or () for part in shift), default=0.0)
        return self.spread_px + math.ceil(displaced / self.pixel_size_um)
