"""What a set of heights tells of the phase, frequency by frequency, and which further height would tell most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_diner.physics.propagation import Method, propagation_phase

_SAMPLES_PER_BAND = 96
# heights are compared with this part of what each could tell at best, so that nothing is divided by zero
_FLOOR = 1e-6


@dataclass(frozen=True)
class Band:
    """An octave of spatial frequencies, or the lowest ones, in cycles/µm."""

    low: float
    high: float

    @property
    def text(self) -> str:
        """The periods of the band in words."""
        if self.low == 0:
            return f"periods above {1 / self.high:.3g} µm"
        return f"periods of {1 / self.high:.3g} to {1 / self.low:.3g} µm"


def octaves(shape: tuple[int, int], pixel_size_um: float) -> tuple[Band, ...]:
    """Return the octaves of a grid from fine to coarse: the corners beyond Nyquist go with the first.

    The last band holds what is left above zero, at least the two lowest frequencies of the longer side.
    """
    lowest = 1 / (max(shape) * pixel_size_um)
    high = math.sqrt(0.5) / pixel_size_um
    low = 0.25 / pixel_size_um
    bands = []
    while low > 2 * lowest:
        bands.append(Band(low, high))
        low, high = low / 2, low
    return (*bands, Band(0.0, high))


def band_mask(band: Band, frequency: Tensor) -> Tensor:
    """Return which frequencies (cycles/µm, any shape) belong to a band; zero belongs to none."""
    return (frequency > band.low) & (frequency <= band.high)


def phase_information(
    frequency: Tensor,
    distances_um: Sequence[float],
    wavelength_um: float,
    *,
    medium_index: float = 1.0,
    method: Method = "angular_spectrum",
    gains: Sequence[float] | None = None,
) -> Tensor:
    """Return what heights tell of a weak object's phase when its absorption is unknown too.

    With ``S = sin χ`` and ``C = cos χ`` of each height (see `napari_diner.physics.lensless.contrast_transfer`) this is
    the Schur complement ``Σ S² − (Σ S C)² / Σ C²`` of the normal matrix: the inverse variance of the phase at that
    frequency, in units of that of one amplitude. It is half the number of heights at best on average, and zero for a
    single height.

    Parameters
    ----------
    frequency
        Spatial frequencies f in cycles/µm, of any shape.
    distances_um, wavelength_um, medium_index, method
        As for `napari_diner.physics.propagation.propagation_phase`.
    gains
        Relative brightness of each frame; all 1 if None.

    Returns
    -------
    Tensor
        Float64, of the shape of `frequency`.
    """
    frequency = frequency.to(torch.float64)
    SS, CC, SC = (torch.zeros_like(frequency) for _ in range(3))
    for distance, gain in zip(distances_um, gains or [1.0] * len(distances_um), strict=True):
        chi = propagation_phase(frequency, torch.zeros(()), distance, wavelength_um, medium_index, method)
        S, C = torch.sin(chi), torch.cos(chi)
        SS, CC, SC = SS + gain * S**2, CC + gain * C**2, SC + gain * S * C
    return (SS - SC**2 / CC.clamp_min(1e-12)).clamp_min(0)


def band_information(
    bands: Sequence[Band],
    pixel_size_um: float,
    lowest: float,
    distances_um: Sequence[float],
    wavelength_um: float,
    *,
    medium_index: float = 1.0,
    method: Method = "angular_spectrum",
    gains: Sequence[float] | None = None,
) -> list[float]:
    """Return the information of `phase_information` in each band: the inverse of the mean variance within it.

    Parameters
    ----------
    bands
        Octaves, as from `octaves`.
    pixel_size_um
        Distance between neighbouring pixels; frequencies up to its Nyquist limit count.
    lowest
        The lowest frequency of the field of view, in cycles/µm.
    distances_um, wavelength_um, medium_index, method, gains
        As for `phase_information`.
    """
    values = []
    for band in bands:
        low, high = max(band.low, lowest), max(min(band.high, 0.5 / pixel_size_um), lowest)
        # of frequencies in the plane there are more the higher they are
        frequency = torch.linspace(low**2, high**2, _SAMPLES_PER_BAND, dtype=torch.float64).sqrt()
        seen = phase_information(
            frequency, distances_um, wavelength_um, medium_index=medium_index, method=method, gains=gains
        )
        values.append(1 / float((1 / (seen + _FLOOR)).mean()))
    return values


def best_extra_height(
    candidates_um: Sequence[float],
    bands: Sequence[Band],
    pixel_size_um: float,
    lowest: float,
    distances_um: Sequence[float],
    wavelength_um: float,
    *,
    medium_index: float = 1.0,
    method: Method = "angular_spectrum",
) -> tuple[float, float]:
    """Return the distance at which one more frame tells most in the band of which the heights tell least.

    Parameters
    ----------
    candidates_um
        Distances to choose from.
    bands, pixel_size_um, lowest, distances_um, wavelength_um, medium_index, method
        As for `band_information`.

    Returns
    -------
    distance_um
        The best candidate.
    information
        That of the worst band with it; the worst band may then be another one.
    """

    def worst(extra: float) -> float:
        together = [*distances_um, extra]
        return min(
            band_information(
                bands, pixel_size_um, lowest, together, wavelength_um, medium_index=medium_index, method=method
            )
        )

    best = max(candidates_um, key=worst)
    return best, worst(best)
