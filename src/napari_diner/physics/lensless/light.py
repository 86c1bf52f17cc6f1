"""Light of limited coherence: an extended source with a finite bandwidth. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.physics.lensless.point_source import From, real_distance_um
from napari_diner.physics.optics import Optics

Vector = npt.NDArray[np.float64]

# full width at half maximum of a Gaussian over its standard deviation
_WIDTHS = 2 * math.sqrt(2 * math.log(2))
# largest error of the contrast of fringes when lines replace a spectrum, the part of the grid's frequencies for which
# it holds (objects have little beyond), and the maximum number of lines
_CONTRAST_ERROR, _FINEST, _MOST_LINES = 0.02, 0.7, 15
_FREQUENCIES = 256


@dataclass(frozen=True)
class Light:
    """An evenly bright disc of incoherent light with a Gaussian spectrum; a point and a line by default.

    A point of the source at the angle θ displaces the hologram of a thin sample by z tan θ, so that a source blurs it
    by its own shape: its spectrum is multiplied by the Fourier transform of the source (van Cittert and Zernike;
    Goodman, Statistical Optics, Sec. 5.7). The spectrum of the light is a sum of holograms at a few wavelengths.
    """

    size_um: float = 0.0
    """Diameter s of the source."""
    distance_um: float = math.inf
    """Distance L from the source to `to`."""
    to: From = "sample"
    """End point of the distance: the sample, the sensor, or a lens that makes the light parallel."""
    bandwidth_um: float = 0.0
    """Width of the spectrum at half its height."""

    def angle(self, distance_um: float) -> float:
        """Return the angle s/z₁ at which the sample sees the source, for an effective distance to the sensor.

        The distance z₁ is that to the sample, or the focal length of a collimating lens.
        """
        if self.size_um == 0:
            return 0.0
        behind = real_distance_um(distance_um, self.distance_um, self.to) if self.to == "sensor" else 0.0
        return self.size_um / (self.distance_um - behind)

    def blur_um(self, distance_um: float) -> float:
        """Return the diameter ``z s/z₁`` of the blur of a hologram, in the scale of the object.

        Parameters
        ----------
        distance_um
            Effective distance from sample to sensor; see `physics.lensless.point_source`.
        """
        return distance_um * self.angle(distance_um)

    def lines(self, optics: Optics, distances_um: Sequence[float]) -> tuple[tuple[float, float], ...]:
        """Return wavelengths (µm) and weights that represent the spectrum: one of weight 1 if it is narrow.

        Nodes of Gauss-Hermite quadrature, as few as give the contrast of fringes, ``exp(−a²/2)`` with a the standard
        deviation of the phase of the transfer function, to within 0.02 up to 0.7 of the highest frequency of the grid;
        blurred fringes need less.

        Parameters
        ----------
        optics
            Light of the central wavelength, and pixels.
        distances_um
            Effective distances of all frames.
        """
        if self.bandwidth_um == 0:
            return ((optics.wavelength_um, 1.0),)
        f = _FINEST * np.linspace(0, min(0.5 / optics.pixel_size_um, optics.medium_frequency), _FREQUENCIES)
        scatter = np.stack([self._scatter(f, optics, distance_um) for distance_um in distances_um])
        kept = np.abs(np.stack([disc_transform(f * self.blur_um(distance_um)) for distance_um in distances_um]))
        for count in range(1, _MOST_LINES + 1):
            nodes, weights = np.polynomial.hermite_e.hermegauss(count)
            weights /= weights.sum()
            error = kept * np.abs(np.cos(scatter[..., None] * nodes) @ weights - np.exp(-(scatter**2) / 2))
            if error.max() < _CONTRAST_ERROR:
                break
        wavelengths = optics.wavelength_um + self.bandwidth_um / _WIDTHS * nodes
        return tuple(zip(wavelengths.tolist(), weights.tolist(), strict=True))

    def contrast(self, f: Vector, optics: Optics, distance_um: float) -> Vector:
        """Return the remaining contrast of a weak object's fringes: negative where the blur inverts them.

        Parameters
        ----------
        f
            Spatial frequencies in cycles/µm, of any shape.
        optics
            As of `lines`.
        distance_um
            Effective distance of the frame.
        """
        return disc_transform(f * self.blur_um(distance_um)) * np.exp(-(self._scatter(f, optics, distance_um) ** 2) / 2)

    def _scatter(self, f: Vector, optics: Optics, distance_um: float) -> Vector:
        """Return the standard deviation over the spectrum of the phase ``2πz (n/λ − √((n/λ)² − f²))``."""
        k = optics.medium_frequency
        phase = 2 * math.pi * distance_um * (k - np.sqrt(np.maximum(k**2 - f**2, 0)))
        return np.asarray(phase * (self.bandwidth_um / _WIDTHS / optics.wavelength_um))


def disc_transform(cycles: Vector) -> Vector:
    """Return the Fourier transform ``2 J₁(πc)/πc`` of an even disc of unit weight at c cycles per diameter."""
    from scipy.special import j1  # slow to import

    x = np.maximum(np.pi * np.abs(cycles), 1e-6)
    return np.asarray(2 * j1(x) / x)


def disc_slope(cycles: Vector) -> Vector:
    """Return the derivative ``−π² J₂(πc)/(πc)²`` of `disc_transform` by c²."""
    from scipy.special import jv

    x = np.maximum(np.pi * np.abs(cycles), 1e-3)
    return np.asarray(-np.pi * np.pi * jv(2, x) / x**2)
