"""Uncertainty of a lensless reconstruction: images, figures by octave, and a description of what is not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_diner.io.arrays import NamedArray
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.information import Band, band_information, best_extra_height
from napari_diner.solvers.lensless.uncertainty import Uncertainty

# a band counts as unseen if its information is below this fraction of what as many heights give at best on average
_SEEN = 0.05
_CANDIDATES = 97
# range of proposed distances, relative to the shortest and the longest one
_REACH = (0.5, 2.0)


def uncertainty_images(found: Uncertainty, pixel_size_um: float, *, bands: bool) -> tuple[NamedArray, ...]:
    """Return the standard deviations as images.

    Parameters
    ----------
    found
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
        NamedArray("amplitude_uncertainty", found.amplitude.float().cpu().numpy(), "YX", scale),
        NamedArray("uncertainty", found.phase.float().cpu().numpy(), "YX", scale, "rad"),
    ]
    if bands:
        octaves = found.phase_bands.float().cpu().numpy()
        images.append(NamedArray("uncertainty_bands", octaves, "CYX", (1.0, *scale), "rad"))
    return tuple(images)


def uncertainty_report(found: Uncertainty, heights: Heights, *, noise_is_given: bool) -> dict[str, Any]:
    """Return the figures for the report, with ``statements``: sentences on what the heights see.

    Parameters
    ----------
    found
        The estimate.
    heights
        Of the prepared frames.
    noise_is_given
        Whether the recipe gives the noise.
    """
    distances = heights.distances_um
    heights = Heights(heights.optics, distances, gains=heights.gains, light=heights.light)
    lowest = 1 / (max(found.phase.shape) * heights.optics.pixel_size_um)
    bands = [entry.band for entry in found.bands]
    told = band_information(bands, lowest, heights)
    best = len(distances) / 2
    rows = [
        {
            "low_per_um": entry.band.low,
            "high_per_um": entry.band.high,
            "seen": information / best,
            "phase_sigma_rad": entry.phase_sigma_rad,
            "phase_rms_rad": entry.phase_rms_rad,
        }
        for entry, information in zip(found.bands, told, strict=True)
    ]
    statements = [_unseen(bands, [row["seen"] for row in rows]), *_drowned(found)]
    candidates = np.geomspace(_REACH[0] * min(distances), _REACH[1] * max(distances), _CANDIDATES)
    extra, then = best_extra_height(candidates.tolist(), bands, lowest, heights)
    worst = bands[int(np.argmin(told))]
    gain = (then / max(min(told), 1e-9)) ** 0.5
    statements.append(
        f"Of one more frame at {candidates[0]:.4g} to {candidates[-1]:.4g} µm, one at {extra:.4g} µm would help most: "
        f"the phase in the worst band ({worst.text}) would be {min(gain, 1e3):.3g} times as certain."
    )
    if not found.noise_is_known and not noise_is_given:
        statements.append(
            "So few heights leave no residual to estimate the noise from, and the finest structure of the frames was "
            "taken for noise; record more heights, or give uncertainty.noise."
        )
    return {
        "samples": found.samples,
        "phase_sigma_rad": float(found.phase.square().mean().sqrt()),
        "amplitude_sigma": float(found.amplitude.square().mean().sqrt()),
        "noise": {"shot_variance_per_intensity": 4 * found.noise.shot, "read_sigma": found.noise.read_sigma},
        "freedom": found.freedom,
        "bands": rows,
        "extra_height_um": extra,
        "statements": statements,
    }


def _unseen(bands: Sequence[Band], seen: Sequence[float]) -> str:
    """Name the bands of which the heights see little."""
    poor = [f"{band.text} ({100 * part:.2g} %)" for band, part in zip(bands, seen, strict=True) if part < _SEEN]
    if not poor:
        return "The heights see the phase of all octaves."
    return (
        f"The heights see less than {100 * _SEEN:.0f} % of what as many could see at best of the phase in these "
        f"bands: {', '.join(poor)}."
    )


def _drowned(found: Uncertainty) -> list[str]:
    """Name the bands in which noise dominates the phase."""
    noisy = [
        entry.band.text for entry in found.bands
        if entry.phase_sigma_rad > 0 and entry.phase_rms_rad**2 < 2 * entry.phase_sigma_rad**2
    ]  # fmt: skip
    return [f"The phase contains more noise than object in these bands: {', '.join(noisy)}."] if noisy else []
