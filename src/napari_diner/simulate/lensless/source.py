"""Holograms in the light of an extended source with a finite bandwidth, as a direct sum.

Independent of the models for reconstructions: each point of the source sends a tilted plane wave through the specimen,
and the intensities of all points and wavelengths add up.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_diner.physics.fourier import ifft2
from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import frequencies, passband, propagation_phase

# rings of points around the middle of the source, and wavelengths, at least
_RINGS, _WAVELENGTHS = 4, 9
# half the range of wavelengths in standard deviations; full width at half maximum in standard deviations
_RANGE, _WIDTHS = 3.0, 2 * math.sqrt(2 * math.log(2))
# largest step of the phase of the finest detail from one wavelength to the next, in radians
_STEP_RAD = 2.0


@dataclass(frozen=True)
class Lamp:
    """A uniform disc with a Gaussian spectrum in the focus of a lens."""

    angle: float
    """Diameter over focal length."""
    bandwidth_um: float
    """Full width of the spectrum at half its height."""

    def points(self, distance_um: float, pixel_size_um: float) -> list[tuple[float, float]]:
        """Return the tilts (y, x) of points on a triangular lattice, which displace holograms by less than a pixel."""
        if self.angle == 0:
            return [(0.0, 0.0)]
        rings = max(_RINGS, math.ceil(self.angle / 2 * distance_um / pixel_size_um))
        steps = range(-2 * rings, 2 * rings + 1)
        places = [(a, b) for a, b in itertools.product(steps, steps) if a * a + a * b + b * b <= rings * rings]
        # each point stands for √3/2 of a unit of area, all together for that of the disc
        unit = self.angle / 2 / math.sqrt(len(places) * math.sqrt(0.75) / math.pi)
        return [(unit * a * math.sqrt(0.75), unit * (b + a / 2)) for a, b in places]

    def lines(self, optics: Optics, distance_um: float) -> list[tuple[float, float]]:
        """Return wavelengths (µm) at even steps, and their weights."""
        if self.bandwidth_um == 0:
            return [(optics.wavelength_um, 1.0)]
        sigma = self.bandwidth_um / _WIDTHS
        k = optics.medium_frequency
        f = min(0.5 / optics.pixel_size_um, k)
        span = 2 * math.pi * distance_um * (k - math.sqrt(k**2 - f**2)) * 2 * _RANGE * sigma / optics.wavelength_um
        count = max(_WAVELENGTHS, math.ceil(span / _STEP_RAD) + 1)
        places = [_RANGE * (2 * number / (count - 1) - 1) for number in range(count)]
        total = sum(math.exp(-place * place / 2) for place in places)
        return [(optics.wavelength_um + place * sigma, math.exp(-place * place / 2) / total) for place in places]

    def intensity(
        self, field: Tensor, optics: Optics, distance_um: float, shift_um: tuple[float, float] = (0.0, 0.0)
    ) -> Tensor:
        """Return the intensity of a periodic field, complex, (Y, X), at a distance: real, (Y, X).

        A plane wave of the tangent t of its angle has the frequency ``f₀ = (n/λ) t/√(1 + t²)``; the field behind a thin
        specimen is its product with that of the specimen, so that the frequency f of the specimen propagates as f + f₀.
        """
        spectrum = torch.fft.fft2(field)
        shape = (field.shape[0], field.shape[1])
        fy, fx = frequencies(shape, optics.pixel_size_um)
        band = passband(fy, fx, distance_um, optics, limit=True)
        total = torch.zeros(shape, dtype=field.real.dtype)
        points = self.points(distance_um, optics.pixel_size_um)
        for wavelength_um, weight in self.lines(optics, distance_um):
            colour = replace(optics, wavelength_um=wavelength_um)
            for ty, tx in points:
                tilt = colour.medium_frequency / math.hypot(1, ty, tx)
                phase = propagation_phase(fy + tilt * ty, fx + tilt * tx, distance_um, colour)
                phase = phase - 2 * math.pi * (fy * shift_um[0] + fx * shift_um[1])
                U = ifft2(torch.polar(band.double(), phase).to(field.dtype) * spectrum)
                total += weight / len(points) * (U.real**2 + U.imag**2)
        return total
