"""Information on the phase in a set of heights, frequency by frequency, and the best additional height."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_diner.physics.bands import Band
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.propagation import propagation_phase

_SAMPLES_PER_BAND = 96
# added to the information, relative to the largest possible, to avoid division by zero
_FLOOR = 1e-6


def phase_information(frequency: Tensor, heights: Heights) -> Tensor:
    """Return the information on a weak object's phase, at each frequency, if its absorption is unknown as well.

    With ``S = sin χ`` and ``C = cos χ`` of each height (see `napari_diner.physics.lensless.contrast_transfer`) this is
    the Schur complement ``Σ S² − (Σ S C)² / Σ C²`` of the normal matrix: the inverse variance of the phase at that
    frequency, in units of that of one amplitude. On average it is at most half the number of heights, and it is zero
    for a single height. Incoherent light reduces S and C.

    Parameters
    ----------
    frequency
        Spatial frequencies f in cycles/µm, of any shape.
    heights
        The optics, distances and gains.
    """
    frequency = frequency.to(torch.float64)
    SS, CC, SC = (torch.zeros_like(frequency) for _ in range(3))

    def contrast(distance_um: float) -> Tensor:
        return torch.from_numpy(heights.light.contrast(frequency.numpy(), heights.optics, distance_um))

    for frame, distance in enumerate(heights.distances_um):
        chi = propagation_phase(frequency, torch.zeros(()), distance, heights.optics)
        gain = heights.gain(frame) * contrast(distance) ** 2
        S, C = torch.sin(chi), torch.cos(chi)
        SS, CC, SC = SS + gain * S**2, CC + gain * C**2, SC + gain * S * C
    return (SS - SC**2 / CC.clamp_min(1e-12)).clamp_min(0)


def band_information(bands: Sequence[Band], lowest: float, heights: Heights) -> list[float]:
    """Return `phase_information` for each band: the inverse of the mean variance within it.

    Parameters
    ----------
    bands
        Octaves, as from `octaves`.
    lowest
        The lowest frequency of the field of view, in cycles/µm; the highest is the Nyquist frequency of the pixels.
    heights
        As for `phase_information`.
    """
    values = []
    nyquist = 0.5 / heights.optics.pixel_size_um
    for band in bands:
        low, high = max(band.low, lowest), max(min(band.high, nyquist), lowest)
        # the number of frequencies in the plane grows with the frequency
        frequency = torch.linspace(low**2, high**2, _SAMPLES_PER_BAND, dtype=torch.float64).sqrt()
        values.append(1 / float((1 / (phase_information(frequency, heights) + _FLOOR)).mean()))
    return values


def best_extra_height(
    candidates_um: Sequence[float], bands: Sequence[Band], lowest: float, heights: Heights
) -> tuple[float, float]:
    """Return the distance of an additional frame that gives most information in the least informed band.

    Parameters
    ----------
    candidates_um
        Distances to choose from.
    bands, lowest, heights
        As for `band_information`; all frames are taken to be equally bright.

    Returns
    -------
    distance_um
        The best candidate.
    information
        Information in the worst band with it, which may be another band.
    """

    def worst(extra: float) -> float:
        together = [*heights.distances_um, extra]
        return min(band_information(bands, lowest, Heights(heights.optics, together, light=heights.light)))

    best = max(candidates_um, key=worst)
    return best, worst(best)
