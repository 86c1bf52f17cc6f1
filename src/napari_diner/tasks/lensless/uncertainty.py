"""Uncertainty of a lensless reconstruction: images, figures by octave, and a description of unresolved bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_diner.io.arrays import NamedArray
from napari_diner.physics.bands import Band
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.information import band_information, best_extra_height
from napari_diner.solvers.lensless.uncertainty import Uncertainty
from napari_diner.wording import digits

# a band counts as unresolved if its information is below this fraction of the best average for as many heights
_SEEN = 0.05
_CANDIDATES = 97
# range of proposed distances, relative to the shortest and the longest one
_REACH = (0.5, 2.0)


def uncertainty_images(estimate: Uncertainty, pixel_size_um: float, *, bands: bool) -> tuple[NamedArray, ...]:
    """Return the standard deviations as images.

    Parameters
    ----------
    estimate
        The estimate.
    pixel_size_um
        Distance between neighbouring pixels.
    bands
        Whether to include the octaves.

    Returns
    -------
    tuple[NamedArray, ...]
        ``amplitude_uncertainty`` and ``uncertainty`` (of the phase, rad), (Y, X); ``uncertainty_bands``, (C, Y, X).
    """
    scale = (pixel_size_um,) * 2
    images = [
        NamedArray("amplitude_uncertainty", estimate.amplitude.float().cpu().numpy(), "YX", scale),
        NamedArray("uncertainty", estimate.phase.float().cpu().numpy(), "YX", scale, "rad"),
    ]
    if bands:
        octaves = estimate.phase_bands.float().cpu().numpy()
        images.append(NamedArray("uncertainty_bands", octaves, "CYX", (1.0, *scale), "rad"))
    return tuple(images)


def uncertainty_report(estimate: Uncertainty, heights: Heights, *, noise_is_given: bool) -> dict[str, Any]:
    """Return the figures for the report, with ``statements``: sentences on what the heights resolve.

    Parameters
    ----------
    estimate
        The estimate.
    heights
        Heights of the prepared frames.
    noise_is_given
        Whether the recipe gives the noise.
    """
    distances = heights.distances_um
    heights = Heights(heights.optics, distances, gains=heights.gains, light=heights.light)
    lowest = 1 / (max(estimate.phase.shape) * heights.optics.pixel_size_um)
    bands = [entry.band for entry in estimate.bands]
    per_band = band_information(bands, lowest, heights)
    best = len(distances) / 2
    rows = [
        {
            "low_per_um": entry.band.low,
            "high_per_um": entry.band.high,
            "seen": information / best,
            "phase_sigma_rad": entry.phase_sigma_rad,
            "phase_rms_rad": entry.phase_rms_rad,
        }
        for entry, information in zip(estimate.bands, per_band, strict=True)
    ]
    statements = [_unseen(bands, [row["seen"] for row in rows]), *_drowned(estimate)]
    candidates = np.geomspace(_REACH[0] * min(distances), _REACH[1] * max(distances), _CANDIDATES)
    extra, then = best_extra_height(candidates.tolist(), bands, lowest, heights)
    worst = bands[int(np.argmin(per_band))]
    gain = (then / max(min(per_band), 1e-9)) ** 0.5
    statements.append(
        f"Of one more frame at {digits(candidates[0], 4)} to {digits(candidates[-1], 4)} µm, one at "
        f"{digits(extra, 4)} µm would help most: "
        f"the phase in the worst band ({worst.text}) would be {digits(min(gain, 1e3), 3)} times as certain."
    )
    if not estimate.noise_is_known and not noise_is_given:
        statements.append(
            "So few heights leave no residual to estimate the noise from, and the finest structure of the frames was "
            "taken for noise; record more heights, or give uncertainty.noise."
        )
    return {
        "samples": estimate.samples,
        "phase_sigma_rad": float(estimate.phase.square().mean().sqrt()),
        "amplitude_sigma": float(estimate.amplitude.square().mean().sqrt()),
        "noise": {"shot_variance_per_intensity": 4 * estimate.noise.shot, "read_sigma": estimate.noise.read_sigma},
        "freedom": estimate.freedom,
        "bands": rows,
        "extra_height_um": extra,
        "statements": statements,
    }


def _unseen(bands: Sequence[Band], shares: Sequence[float]) -> str:
    """Name the bands that the heights hardly resolve."""
    poor = [f"{band.text} ({digits(100 * part)} %)" for band, part in zip(bands, shares, strict=True) if part < _SEEN]
    if not poor:
        return "The heights resolve the phase of all octaves."
    return (
        f"The heights give less than {100 * _SEEN:.0f} % of the best possible information on the phase in these "
        f"bands: {', '.join(poor)}."
    )


def _drowned(estimate: Uncertainty) -> list[str]:
    """Name the bands in which noise dominates the phase."""
    noisy = [
        entry.band.text for entry in estimate.bands
        if entry.phase_sigma_rad > 0 and entry.phase_rms_rad**2 < 2 * entry.phase_sigma_rad**2
    ]  # fmt: skip
    return [f"The phase contains more noise than object in these bands: {', '.join(noisy)}."] if noisy else []
