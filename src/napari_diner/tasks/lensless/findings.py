"""What the geometry of a lensless recording allows: sampling, band, Fresnel number, zeros of all heights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.physics.bands import octaves
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.information import phase_information
from napari_diner.physics.lensless.light import Light
from napari_diner.physics.optics import Optics
from napari_diner.physics.plausibility import periods_kept
from napari_diner.tasks.preflight import Finding
from napari_diner.wording import digits, percent

# information, relative to the best average for as many heights, below which a frequency counts as lost
_SEEN = 0.03
# part of the frequencies that may be lost, that from which there is no use in the heights, and samples of the frequency
_LOST, _ALL, _FREQUENCIES = 0.1, 0.9, 2048
# part of an octave that must not be lost
_MOST = 0.5
# ratio of the finest detail that the field holds to that of the pixels
_COARSE = 2.0
# largest Fresnel number of a pixel at which light diffracts, as for `tasks.lensless.plausibility`
_HARDLY = 1.57
_FEWEST_OCTAVES = 3


def sampling(optics: Optics, distances_um: tuple[float, ...], field_um: float) -> Finding:
    """Return the line about the finest detail of pixels and field; see `periods_kept`."""
    pixels_um, far_um = 2 * optics.pixel_size_um, field_um / periods_kept(optics, max(distances_um), field_um)
    finest_um = _finest_um(optics, distances_um, field_um)
    text = f"detail down to a period of {digits(finest_um, 3)} µm is recorded"
    if finest_um > _COARSE * pixels_um:
        text += (
            f", while the pixels would resolve {digits(pixels_um, 3)} µm: light of finer detail leaves the field of "
            f"{digits(field_um, 3)} µm; record a larger field, or nearer to the sample"
        )
        return Finding("sampling", "doubtful", text)
    if far_um > _COARSE * pixels_um:
        text += f"; at the largest distance the field holds the light down to {digits(far_um, 3)} µm"
    return Finding("sampling", "good", text)


def _finest_um(optics: Optics, distances_um: tuple[float, ...], field_um: float) -> float:
    """Return the shortest period that pixels and field record at the nearest distance."""
    return field_um / periods_kept(optics, min(distances_um), field_um)


def fresnel_number(optics: Optics, distances_um: tuple[float, ...]) -> Finding:
    """Return the line about the Fresnel number of a pixel, p² n/(λ z)."""
    area = optics.pixel_size_um**2 / optics.wavelength_in_medium_um
    low, high = area / max(distances_um), area / min(distances_um)
    numbers = digits(low) if high < 1.05 * low else f"{digits(low)} to {digits(high)}"
    if low > _HARDLY:
        return Finding("Fresnel number", "doubtful", f"{numbers} for a pixel: hardly anything diffracts")
    return Finding("Fresnel number", "good", f"{numbers} for a pixel: detail diffracts into fringes")


def band(heights: Heights, shape: tuple[int, int]) -> Finding:
    """Return the line about the octaves of the phase that the heights determine; see `phase_information`."""
    pixel = heights.optics.pixel_size_um
    lowest = 1 / (max(shape) * pixel)
    highest = 1 / _finest_um(heights.optics, tuple(heights.distances_um), min(shape) * pixel)
    bands = [one for one in octaves(shape, pixel) if one.low < highest]
    parts = [
        float(np.mean(_seen(heights, max(one.low, lowest), max(min(one.high, highest), lowest)) >= _SEEN))
        for one in bands
    ]
    seen = [number for number, part in enumerate(parts) if part >= _MOST]
    if not seen:
        return Finding("band", "doubtful", "the heights hardly determine the phase of any octave")
    slowest = bands[seen[-1]]
    upper = "the size of the field" if slowest.low == 0 else f"{digits(1 / slowest.low, 3)} µm"
    text = f"phase with periods of {digits(1 / min(bands[seen[0]].high, highest), 3)} µm to {upper} is determined"
    if seen[-1] < len(bands) - 1:
        text += "; slower changes only weakly"
    gaps = [bands[number].text for number in range(seen[-1]) if number not in seen]
    if gaps:
        return Finding("band", "doubtful", f"{text}, but not in {', '.join(gaps)}")
    few = len(seen) < min(_FEWEST_OCTAVES, len(bands))
    return Finding("band", "doubtful" if few else "good", text)


def zeros(heights: Heights, field_um: float) -> Finding:
    """Return the line about zeros of the contrast transfer that all heights share; see `phase_information`.

    Frequencies below the first maximum of the largest distance are those of slow changes, which are no zeros.
    """
    optics = heights.optics
    slow = 1 / (2 * optics.wavelength_in_medium_um * max(heights.distances_um)) ** 0.5
    low, high = max(slow, 1 / field_um), 1 / _finest_um(optics, tuple(heights.distances_um), field_um)
    if low >= high:
        return Finding("zeros", "good", "no frequency of the sample is beyond the first maximum of the contrast")
    # light that is not coherent has a band of its own
    share = _seen(replace(heights, light=Light()), low, high)
    part = float(np.mean(share < _SEEN))
    if part <= _LOST:
        return Finding(
            "zeros", "good", f"{percent(1 - part)} of the frequencies are seen by at least one of the heights"
        )
    if part > _ALL:
        text = f"{percent(part)} of the frequencies are lost: heights that differ would tell phase from absorption"
        return Finding("zeros", "doubtful", text)
    period = 1 / float(_frequencies(low, high)[int(np.argmin(share))])
    return Finding(
        "zeros",
        "doubtful",
        f"{percent(part)} of the frequencies are near a zero of the contrast at all heights together, as at a period "
        f"of {digits(period, 3)} µm; distances whose ratios are not simple numbers avoid it",
    )


def _frequencies(low: float, high: float) -> torch.Tensor:
    """Return frequencies between two, in cycles/µm, as dense as those of the plane."""
    return torch.linspace(low**2, high**2, _FREQUENCIES, dtype=torch.float64).sqrt()


def _seen(heights: Heights, low: float, high: float) -> npt.NDArray[np.float64]:
    """Return the information on the phase between two frequencies, relative to the best average for as many heights."""
    information = phase_information(_frequencies(low, high), heights)
    return np.asarray(information / (len(heights.distances_um) / 2))


def of_geometry(heights: Heights, shape: tuple[int, int]) -> list[Finding]:
    """Return the lines about the geometry of a recording.

    Parameters
    ----------
    heights
        Heights of the prepared frames.
    shape
        Pixels of the object, (Y, X).
    """
    optics, distances = heights.optics, tuple(heights.distances_um)
    field_um = min(shape) * optics.pixel_size_um
    return [
        sampling(optics, distances, field_um),
        band(heights, shape),
        fresnel_number(optics, distances),
        zeros(heights, field_um),
    ]
