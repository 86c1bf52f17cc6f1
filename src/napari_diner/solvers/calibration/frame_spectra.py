"""Spectra of the frames of diffraction tomography at a part of the frequencies, and the linear model there."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.idt.linear import without_nyquist
from napari_diner.physics.idt.transfer import Dispersion, born_amplitude, source_blur

MOST_FREQUENCIES = 2000
"""Maximum number of frequencies."""
# the part of them chosen for their energy in the data, and the bands of them
_STRONG_PART = 0.5
_BANDS = 8
# numbers in the covariances of all frequencies together
_MOST_NUMBERS = 2**22
COMPLEX, REAL = torch.complex64, torch.float32


class FrameSpectra:
    """Frames at chosen frequencies.

    Parameters
    ----------
    geometry
        The volume and the objective.
    data
        g = I / I_background − 1, real, (N, Y, X).
    with_mean
        Whether frequency zero is among them: the mean is that of the background, but determines the gains.
    dispersion
        As in `BornModel`.
    source_na
        Radius of the sources as a numerical aperture.
    frequencies
        Maximum number of frequencies.
    """

    def __init__(
        self,
        geometry: VolumeGeometry,
        data: Tensor,
        *,
        with_mean: bool = False,
        dispersion: Dispersion = "exact",
        source_na: float = 0.0,
        frequencies: int = MOST_FREQUENCIES,
    ) -> None:
        self._dispersion, self._source_na = dispersion, source_na
        rows, columns = geometry.shape[1:]
        half = columns // 2 + 1
        self.step = 1 / (min(rows, columns) * geometry.pixel_size_um)
        """Distance between neighbouring frequencies, in cycles/µm."""
        fy = torch.fft.fftfreq(rows, geometry.pixel_size_um, dtype=torch.float64)[:, None].expand(rows, half)
        fx = torch.fft.rfftfreq(columns, geometry.pixel_size_um, dtype=torch.float64)[None, :].expand(rows, half)
        passed = (fy**2 + fx**2 <= (2 * geometry.cutoff) ** 2) & without_nyquist((rows, columns))
        passed[0, 0] = with_mean
        spectrum = torch.fft.rfft2(data.cpu()).flatten(1)
        places = passed.flatten().nonzero().flatten()
        energy = spectrum[:, places].abs().square().sum(0)
        most = min(frequencies, max(_MOST_NUMBERS // len(data) ** 2, 64))
        order = torch.argsort(energy, descending=True)
        strong = int(most * _STRONG_PART)
        rest = order[strong:]
        chance = torch.randperm(len(rest), generator=torch.Generator().manual_seed(0))
        chosen = torch.cat([order[:strong], rest[chance]])[:most]
        places = places[chosen]
        places = places[torch.argsort(torch.hypot(fy.flatten()[places], fx.flatten()[places]))]
        self.fy, self.fx = fy.flatten()[places], fx.flatten()[places]
        self._z = torch.from_numpy(geometry.slice_positions_um).to(REAL)
        self._spectrum = spectrum[:, places].T.to(torch.complex128)
        """Spectrum of the data, (K, N), by ascending frequency."""
        self.mean = torch.where(places == 0, float(rows * columns), 0.0).to(torch.float64)
        """Spectrum of an image of ones, (K,)."""
        self.shares = torch.where(places % half == 0, 1.0, 2.0).to(torch.float64)
        """Multiplicity of each frequency in the full spectrum, (K,)."""
        cuts = np.linspace(0, len(places), min(_BANDS, len(places)) + 1).astype(int)
        self.bands = [slice(a, b) for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)]

    def data(self, gains: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Tensor:
        """Return y, the data divided by gains (N,), complex, (K, N)."""
        mean = self.mean[:, None]
        data: Tensor = (self._spectrum + mean) / torch.from_numpy(gains) - mean
        return data

    def by_frequency(self, of_bands: Tensor) -> Tensor:
        """Return the value of its band for each frequency, (B,) to (K,)."""
        return torch.cat([value.expand(b.stop - b.start) for value, b in zip(of_bands, self.bands, strict=True)])

    def side(self, geometry: VolumeGeometry, aperture: tuple[float, float], sign: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return A(u) of the slice z = 0 without the pupil, or A*(−u), and the phases of all slices.

        Parameters
        ----------
        geometry
            The volume and the objective, with its present aberrations.
        aperture
            (NA_y, NA_x) of the source.
        sign
            1 for A(u), −1 for A*(−u).

        Returns
        -------
        A, phases, passes
            The phases as complex numbers, smaller than one for sources of some size. For the K' frequencies that pass,
            (K',) and (K', Z), and whether each does, (K,).
        """
        a, delta, pupil = born_amplitude(sign * self.fy, sign * self.fx, aperture, geometry, self._dispersion)
        passes = a != 0
        angle = (-2 * math.pi * sign * delta[passes]).to(REAL)[:, None] * self._z
        if geometry.is_aberrated:
            angle += (sign * pupil[passes]).to(REAL)[:, None]
        phases = torch.complex(angle.cos(), angle.sin())
        if self._source_na:
            fy, fx = sign * self.fy[passes], sign * self.fx[passes]
            phases = phases * source_blur(fy, fx, aperture, geometry, self._source_na, self._z).to(REAL)
        return (1j * sign * a[passes]).to(COMPLEX), phases, passes

    def matrix(self, geometry: VolumeGeometry, illumination: Illumination, absorption: float = 1.0) -> Tensor:
        """Return the matrix of each frequency, (K, N, 2Z): H_re of all slices, then H_im.

        Parameters
        ----------
        geometry, illumination
            The volume, the objective with its present aberrations, and the directions.
        absorption
            Factor of H_im: the standard deviation of Δε_im, relative to that of Δε_re.
        """
        matrix = torch.zeros(len(self.fy), len(illumination), 2, len(self._z), dtype=COMPLEX)
        for aperture, frame, weight in by_source(illumination):
            for sign in (1, -1):
                a, phases, passes = self.side(geometry, aperture, sign)
                response = weight * a[:, None] * phases
                matrix[passes, frame, 0] += response
                matrix[passes, frame, 1] += absorption * 1j * sign * response
        return matrix.flatten(2)


def by_source(illumination: Illumination) -> list[tuple[tuple[float, float], int, float]]:
    """Return direction, frame and weight of each source."""
    return [
        ((y, x), frame, weight)
        for (y, x), frame, weight in zip(
            illumination.apertures.tolist(),
            illumination.frame_of_source.tolist(),
            illumination.weights.tolist(),
            strict=True,
        )
    ]
