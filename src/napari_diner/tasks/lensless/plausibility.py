"""Plausibility of the geometry of a lensless recording. Does not import torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from napari_diner.errors import RecipeError
from napari_diner.physics.optics import Optics
from napari_diner.physics.plausibility import (
    DISPLACEMENT,
    DISTANCE,
    SENSOR_PIXEL,
    SOURCE_DISTANCE,
    SOURCE_SIZE,
    WAVELENGTH,
    check_field,
    diffraction_rad,
    equal_distances,
    odd_distances,
    periods_kept,
    unusual,
    unusual_medium,
)
from napari_diner.tasks.lensless.recipe import LenslessRecipe, RecordingRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.wording import digits

_STRONG_MAGNIFICATION = 50.0
_NOTHING_RAD, _LITTLE_RAD = 0.01, 0.5
# widest spectrum, relative to the wavelength, and lowest visible contrast of fringes
_WIDEST, _LOST_CONTRAST = 0.3, 0.1
_NOTHING_PERIODS, _FEW_PERIODS = 1.0, 4.0
# bandwidths of light-emitting diodes in nanometres
_LED_NM = (3.0, 150.0)


def doubts(recipe: RecordingRecipe, setup: Setup, shape: tuple[int, int]) -> list[str]:
    """Return warnings about the geometry of a recording; sentences without a full stop.

    Parameters
    ----------
    recipe
        Complete, in the user's numbers.
    setup
        The same for the prepared frames; its distances are used only if the recipe has some.
    shape
        Size of the object in pixels, (Y, X).

    Raises
    ------
    RecipeError
        If nothing could be reconstructed, since the field is smaller than a wavelength, nothing diffracts, all
        diffracted light misses the sensor, or a frame overlaps with no other.
    """
    optics, distances = recipe.optics, recipe.distances_um
    lengths = {
        "wavelength_um": (WAVELENGTH, optics.wavelength_um),
        "pixel_size_um": (SENSOR_PIXEL, optics.pixel_size_um),
    }
    if recipe.source_distance_um is not None:
        lengths["source_distance_um"] = (SOURCE_DISTANCE, recipe.source_distance_um)
    if isinstance(recipe, LenslessRecipe):
        if recipe.source_size_um:
            lengths["source_size_um"] = (SOURCE_SIZE, recipe.source_size_um)
        _check_bandwidth(recipe, optics)
    odd = unusual(lengths) | unusual_medium(recipe.medium_index)
    field_um = min(shape) * setup.pixel_size_um
    far_off = odd_distances(distances, functools.partial(_shows, setup.optics, field_um))
    if far_off:
        odd["distances_um"] = "; ".join(far_off)
    check_field(field_um, setup.optics, odd)
    of_diffraction = _of_diffraction(setup, field_um, odd) if distances else []
    _check_overlap(recipe, setup, shape)
    if odd:  # further warnings would be consequences
        return list(odd.values())
    if isinstance(recipe, LenslessRecipe) and recipe.super_resolution == 1 and not recipe.moves:
        of_diffraction += equal_distances(setup.optics, setup.heights.distances_um)
    of_diffraction += _of_the_source(setup) + _of_the_bandwidth(setup)
    strongest = max((real / z for real, z in zip(distances, setup.heights.distances_um, strict=False)), default=1.0)
    if strongest > _STRONG_MAGNIFICATION:
        of_diffraction.append(
            f"the point source magnifies the sample {strongest:.0f} times; check its distance and those of the frames"
        )
    return of_diffraction


def _check_overlap(recipe: RecordingRecipe, setup: Setup, shape: tuple[int, int]) -> None:
    """Check that each frame overlaps with another one.

    Raises
    ------
    RecipeError
        If one does not.
    """
    shifts = np.asarray(setup.heights.shifts_um or ())
    if len(shifts) < 2:
        return
    # of the frame with the least overlap, the displacement from its neighbour, in fields
    apart = (np.abs(shifts[:, None] - shifts) / (np.array(shape) * setup.pixel_size_um)).max(2)
    np.fill_diagonal(apart, np.inf)
    number = int(apart.min(1).argmax())
    neighbour = int(apart[number].argmin())
    if apart[number, neighbour] < 1:
        return
    field = "positions_um" if isinstance(recipe, LenslessRecipe) and recipe.positions_um else "shifts_um"
    far_um = float(np.abs(shifts[number] - shifts[neighbour]).max())
    raise RecipeError(
        f"Frame {number + 1} overlaps with no other, as it is displaced by {far_um:g} µm in a field of "
        f"{digits(min(shape) * setup.pixel_size_um, 3)} µm; check {{field}}: "
        + (DISPLACEMENT.meant(far_um) or "its numbers are in micrometres"),
        field,
    )


def _check_bandwidth(recipe: LenslessRecipe, optics: Optics) -> None:
    """Check that the spectrum of the light is narrow.

    Raises
    ------
    RecipeError
        If its width is not small compared with the wavelength.
    """
    bandwidth_um = recipe.light.bandwidth_um
    if bandwidth_um > _WIDEST * optics.wavelength_um:
        raise RecipeError(
            f"The spectrum of {1000 * bandwidth_um:g} nm is not narrow compared with the wavelength of "
            f"{1000 * optics.wavelength_um:g} nm; check {{field}}, or filter the light",
            "bandwidth_nm",
        )


def _of_the_bandwidth(setup: Setup) -> list[str]:
    """Return a warning about a bandwidth without effect that in micrometres would be that of an LED."""
    bandwidth_nm = 1000 * setup.heights.light.bandwidth_um
    meant_nm = 1000 * bandwidth_nm
    if len(setup.heights.lines) > 1 or not _LED_NM[0] <= meant_nm <= _LED_NM[1]:
        return []
    return [
        f"a bandwidth of {bandwidth_nm:g} nm blurs nothing here; if {bandwidth_nm:g} µm was meant, enter {meant_nm:g}"
    ]


def _of_the_source(setup: Setup) -> list[str]:
    """Return a warning about light that is too incoherent for any visible diffraction, or an empty text."""
    optics, heights = setup.optics, setup.heights
    if heights.is_coherent:
        return []
    f = np.linspace(0, min(0.5 / optics.pixel_size_um, optics.medium_frequency), 257)[1:]
    nearest = min(heights.distances_um)
    lost = np.abs(heights.light.contrast(f, optics, nearest)) < _LOST_CONTRAST
    if not lost.any():
        return []
    finest_um = 1 / float(f[lost.argmax()])
    phase = diffraction_rad(replace(optics, pixel_size_um=finest_um / 2), nearest)
    if phase >= _LITTLE_RAD:
        return []
    return [
        f"even at the smallest distance, the source blurs all detail finer than {digits(finest_um, 3)} µm, and what is "
        "coarser hardly diffracts; check the size, the distance and the bandwidth of the source"
    ]


def _shows(optics: Optics, field_um: float, distance_um: float) -> bool:
    """Return whether light diffracts between sample and sensor, and meets the field."""
    is_kept = periods_kept(optics, distance_um, field_um) >= _FEW_PERIODS
    return is_kept and diffraction_rad(optics, distance_um) >= _LITTLE_RAD


def _of_diffraction(setup: Setup, field_um: float, odd: Mapping[str, str]) -> list[str]:
    """Return warnings about the diffraction between sample and sensor.

    Raises
    ------
    RecipeError
        If it has no information about the sample; the likely reason is the first of the warnings `odd`.
    """
    optics, heights = setup.optics, setup.heights.distances_um
    culprit = next(iter(odd), "distances_um")
    cure = odd.get(culprit) or DISTANCE.meant(*heights, suits=functools.partial(_shows, optics, field_um))
    cure = cure or "they do not go together with the pixel size and the wavelength"
    phase = max(diffraction_rad(optics, z) for z in heights)
    if phase < _NOTHING_RAD:
        raise RecipeError(
            "Nothing diffracts between sample and sensor, where the phase of the finest detail changes by "
            f"{digits(phase, 1)} rad; check {{field}}: {cure}",
            culprit,
        )
    kept = max(periods_kept(optics, z, field_um) for z in heights)
    if kept < _NOTHING_PERIODS:
        raise RecipeError(
            f"The light of all detail misses the field of {digits(field_um, 3)} µm, from {min(heights):g} µm away; "
            f"check {{field}}: {cure}",
            culprit,
        )
    if phase < _LITTLE_RAD:
        return [
            "hardly anything diffracts between sample and sensor, where the phase of the finest detail changes by only "
            f"{digits(phase)} rad; check distances, pixel size and wavelength"
        ]
    if kept < _FEW_PERIODS:
        return [
            f"even at the smallest distance, the light of details finer than {digits(field_um / kept, 3)} µm misses "
            f"the field of {digits(field_um, 3)} µm; check distances, pixel size and wavelength"
        ]
    return []
