"""Multi-height lensless imaging: one object, its diffraction pattern recorded at several distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from napari_diner.physics.padding import Padding
from napari_diner.physics.propagation import Method, transfer_function


class MultiHeight:
    """The forward model of multi-height lensless imaging, Eq. 5 of the DINER paper with what a real sensor adds.

    ``I_z = g_z/s · |PSF_z ∗ (P·O)|²``, shifted by (dy, dx)_z: the object O under the illumination P propagates to
    each height z; g_z is the relative brightness of the frame, s the intensity that the data call one. The linear
    part, ``U_z = √(g_z/s) · C F⁻¹ H_z F E (P·O)``, is `fields` and has the adjoint `adjoint`; E continues the field
    beyond its edges and C cuts it back (see `Padding`).

    Parameters
    ----------
    shape
        Pixels (Y, X) of a frame.
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
        (dy, dx) by which each frame is displaced, down and to the right; none if None.
    gains
        Relative brightness g of each frame; all 1 if None.
    intensity_scale
        The scale s: data = model intensity / s.
    illumination
        Real or complex field P of the illumination, (Y, X); 1 if None.
    padding
        How the field continues beyond its edges; periodically if None.
    dtype, device
        Complex type and device of the fields.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        pixel_size_um: float,
        wavelength_um: float,
        distances_um: Sequence[float],
        *,
        medium_index: float = 1.0,
        method: Method = "angular_spectrum",
        band_limit: bool = True,
        shifts_um: Sequence[tuple[float, float]] | None = None,
        gains: Sequence[float] | None = None,
        intensity_scale: float = 1.0,
        illumination: Tensor | None = None,
        padding: Padding | None = None,
        dtype: torch.dtype = torch.complex64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.shape = shape
        self.frames = len(distances_um)
        self._optics: dict[str, Any] = {
            "pixel_size_um": pixel_size_um,
            "wavelength_um": wavelength_um,
            "distances_um": tuple(distances_um),
            "medium_index": medium_index,
            "method": method,
            "band_limit": band_limit,
            "shifts_um": shifts_um,
            "gains": gains,
            "intensity_scale": intensity_scale,
            "dtype": dtype,
            "device": device,
        }
        self.pixel_size_um = pixel_size_um
        self.wavelength_in_medium_um = wavelength_um / medium_index
        self.distances_um = tuple(distances_um)
        self.padding = padding if padding is not None else Padding(shape)
        self.dtype = dtype
        self.device = torch.device(device)
        self.illumination = None if illumination is None else illumination.to(self.device, dtype)
        gains = gains if gains is not None else [1.0] * self.frames
        shifts_um = shifts_um if shifts_um is not None else [(0.0, 0.0)] * self.frames
        self.transfers = torch.empty(self.frames, *self.padding.padded_shape, dtype=dtype, device=self.device)
        """√(g_z/s) · H_z of each height, (N, Y', X') on the padded grid."""
        for index in range(self.frames):
            transfer = transfer_function(
                self.padding.padded_shape,
                pixel_size_um,
                distances_um[index],
                wavelength_um,
                medium_index=medium_index,
                method=method,
                band_limit=band_limit,
                shift_um=shifts_um[index],
                dtype=dtype,
            )
            self.transfers[index] = math.sqrt(gains[index] / intensity_scale) * transfer.to(self.device)

    def elsewhere(
        self, shape: tuple[int, int], illumination: Tensor | None = None, padding: Padding | None = None
    ) -> MultiHeight:
        """Return the model of the same optics for a field of another shape, with its own illumination and padding."""
        return MultiHeight(shape, illumination=illumination, padding=padding, **self._optics)

    @property
    def spread_px(self) -> int:
        """How far aside diffraction carries light from the sample to the farthest sensor, at most, in pixels.

        Light of the highest frequency that the grid holds, 1/2p for pixels of size p, travels at the angle θ with
        sin θ = λ/2p (λ in the medium) and arrives z tan θ aside. Never more than z, for θ = 45°.
        """
        sine = min(self.wavelength_in_medium_um / (2 * self.pixel_size_um), math.sqrt(0.5))
        return math.ceil(max(self.distances_um) * sine / math.sqrt(1 - sine**2) / self.pixel_size_um)

    def spectrum(self, field: Tensor) -> Tensor:
        """Return the spectrum of the lit and continued object, F E (P·O), (Y', X')."""
        lit = field if self.illumination is None else self.illumination * field
        spectrum: Tensor = torch.fft.fft2(self.padding.pad(lit))
        return spectrum

    def spectrum_adjoint(self, spectrum: Tensor) -> Tensor:
        """Apply the adjoint of `spectrum`, up to the constant Y'·X' that the transforms leave to `field_adjoint`."""
        field = self.padding.pad_adjoint(torch.fft.ifft2(spectrum))
        return field if self.illumination is None else self.illumination.conj() * field

    def field(self, spectrum: Tensor, frame: int) -> Tensor:
        """Return the field U_z, (Y, X), at the sensor plane of one frame, from the object's `spectrum`."""
        return self.padding.crop(torch.fft.ifft2(self.transfers[frame] * spectrum))

    def field_adjoint(self, field: Tensor, frame: int) -> Tensor:
        """Apply the adjoint of `field`, (Y', X'); follow it by `spectrum_adjoint`."""
        spectrum: Tensor = self.transfers[frame].conj() * torch.fft.fft2(self.padding.crop_adjoint(field))
        return spectrum

    def fields(self, field: Tensor) -> Tensor:
        """Propagate the object's field to all sensor planes.

        Parameters
        ----------
        field
            Complex field O, (Y, X).

        Returns
        -------
        Tensor
            Complex fields U_z, (N, Y, X).
        """
        spectrum = self.spectrum(field)
        return torch.stack([self.field(spectrum, frame) for frame in range(self.frames)])

    def adjoint(self, fields: Tensor) -> Tensor:
        """Apply the adjoint of `fields`: bring fields (N, Y, X) back to the object's plane and add them up.

        Returns
        -------
        Tensor
            Complex, (Y, X).
        """
        spectrum = torch.zeros(self.padding.padded_shape, dtype=self.dtype, device=self.device)
        for frame in range(self.frames):
            spectrum = spectrum + self.field_adjoint(fields[frame], frame)
        return self.spectrum_adjoint(spectrum)

    def intensities(self, field: Tensor) -> Tensor:
        """Return what the sensor records of a complex field O (Y, X): intensities (N, Y, X), in units of the data."""
        fields = self.fields(field)
        return fields.real**2 + fields.imag**2
