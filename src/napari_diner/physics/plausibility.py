"""Plausibility of the optics of a light microscope: units of lengths, sufficient diffraction.

Nothing here is computed from the data. Does not import torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from napari_diner.errors import RecipeError
from napari_diner.physics.optics import Optics
from napari_diner.wording import digits

Suits: TypeAlias = Callable[[float], bool]
"""Whether a length in micrometres suits the other settings."""
_UNITS = {"nm": 1e-3, "mm": 1e3, "m": 1e6, "Å": 1e-4, "cm": 1e4}
"""Units that a length may have been given in, in micrometres; the likely ones first."""
_SAME_DEPTH = 0.1
"""Part of the depth of field by which two heights must differ to be useful."""
_OTHER_UNIT = 50.0
"""Largest plausible factor between distances of one recording, unless one of them is in another unit."""


@dataclass(frozen=True)
class Quantity:
    """A length of an instrument, with its usual range."""

    name: str
    """Name in a sentence, e.g. ``"wavelength"``."""
    usual: tuple[float, float]
    """Smallest and largest plausible value, in micrometres."""
    typical: tuple[float, float]
    """Range of most instruments, likely to contain a value converted to the right unit."""

    def is_usual(self, value_um: float) -> bool:
        """Return whether a value is plausible."""
        return self.usual[0] <= value_um <= self.usual[1]

    def likely_unit(self, *values_um: float, suits: Suits | None = None) -> str | None:
        """Return the unit in which all values would be typical, if there is one, and suit the others if one does."""
        low, high = self.typical
        units = [unit for unit, by in _UNITS.items() if all(low <= value * by <= high for value in values_um)]
        if suits is not None:
            suitable = [unit for unit in units if all(suits(value * _UNITS[unit]) for value in values_um)]
            units = suitable or units
        return next(iter(units), None)

    def doubt(self, *values_um: float, of: str = "", suits: Suits | None = None) -> str:
        """Return a warning about unusual values, with their likely unit.

        Parameters
        ----------
        values_um
            One value, or several with the same problem.
        of
            Their subject, e.g. ``" of frame 2"``.
        suits
            Whether a value suits the other settings.
        """
        low, high = self.usual
        shown = _range(values_um)
        names = self.name if len(values_um) == 1 else f"{self.name}s"
        are = "is" if len(values_um) == 1 else "are"
        text = f"the {names}{of} of {shown} µm {are} outside the usual {low:g} to {high:g} µm"
        return f"{text}; {self.meant(*values_um, suits=suits) or 'check the unit'}"

    def meant(self, *values_um: float, suits: Suits | None = None) -> str:
        """Return what to enter if values are in another unit, the likely one; empty if there is none."""
        unit = self.likely_unit(*values_um, suits=suits)
        if unit is None:
            return ""
        were = "was" if len(values_um) == 1 else "were"
        meant = _range([value * _UNITS[unit] for value in values_um])
        return f"if {_range(values_um)} {unit} {were} meant, enter {meant}"


WAVELENGTH = Quantity("wavelength", (0.1, 20), (0.2, 2))
SENSOR_PIXEL = Quantity("pixel size", (0.05, 200), (0.3, 20))
SAMPLE_PIXEL = Quantity("pixel size", (0.01, 20), (0.05, 1.5))
DISPLACEMENT = Quantity("displacement", (0, 1e5), (0.01, 100))
DISTANCE = Quantity("distance", (5, 1e6), (50, 2e5))
SOURCE_DISTANCE = Quantity("distance of the source", (200, 1e7), (2000, 1e6))
SOURCE_SIZE = Quantity("diameter of the source", (0.5, 1e4), (10, 2000))
SLICE_SPACING = Quantity("slice spacing", (0.01, 100), (0.05, 20))
_HIGHEST_INDEX = 2.0
"""Refractive index of the densest liquids and glasses."""


def _range(values: Sequence[float]) -> str:
    return " to ".join(f"{value:g}" for value in dict.fromkeys((min(values), max(values))))


def unusual(lengths: Mapping[str, tuple[Quantity, float]]) -> dict[str, str]:
    """Return warnings about settings with unusual lengths, by setting."""
    return {field: kind.doubt(value) for field, (kind, value) in lengths.items() if not kind.is_usual(value)}


def unusual_medium(index: float) -> dict[str, str]:
    """Return a warning about an unusual refractive index of a medium, by its setting."""
    if index <= _HIGHEST_INDEX:
        return {}
    return {"medium_index": f"a medium index of {index:g} is not that of air, a liquid, a gel or glass"}


def check_field(field_um: float, optics: Optics, odd: Mapping[str, str]) -> None:
    """Check that a field of view is wider than a wavelength.

    Parameters
    ----------
    field_um
        Its smaller side.
    optics
        Light and pixels.
    odd
        Warnings, by setting; the first is the likely reason.

    Raises
    ------
    RecipeError
        If it is not.
    """
    if field_um < optics.wavelength_in_medium_um:
        culprit = next(iter(odd), "pixel_size_um")
        reason = odd.get(culprit, "compare the pixel size with the wavelength")
        raise RecipeError(
            f"Nothing can be seen in a field of {digits(field_um, 3)} µm, less than a wavelength; check {{field}}: "
            f"{reason}",
            culprit,
        )


def odd_distances(distances_um: Sequence[float], suits: Suits | None = None) -> list[str]:
    """Return warnings about distances that are likely to be in another unit.

    Parameters
    ----------
    distances_um
        The distances.
    suits
        Whether a distance suits the other settings.
    """
    odd = [number for number, distance in enumerate(distances_um, 1) if not DISTANCE.is_usual(distance)]
    if odd and len(odd) == len(distances_um):
        return [DISTANCE.doubt(*distances_um, suits=suits)]
    if not distances_um:
        return []
    middle = sorted(distances_um)[len(distances_um) // 2]
    apart = [n for n, z in enumerate(distances_um, 1) if not 1 / _OTHER_UNIT < z / middle < _OTHER_UNIT]
    return [DISTANCE.doubt(distances_um[number - 1], of=f" of frame {number}", suits=suits) for number in odd] + [
        f"the distance of frame {number}, {distances_um[number - 1]:g} µm, is far from those of the others, about "
        f"{middle:g} µm; check its unit"
        for number in apart
        if number not in odd
    ]


def equal_distances(optics: Optics, distances_um: Sequence[float]) -> list[str]:
    """Return a warning about frames with equal distances, or with differences too small to be useful.

    Two heights differ where the phase of the transfer function does: at the finest detail by ``π λ Δz / (4 n p²)``,
    which is 0.1 π for a tenth of the depth of field ``4 n p²/λ``.
    """
    if len(distances_um) < 2:
        return []
    least = _SAME_DEPTH * optics.depth_of_field_um
    order = sorted(range(len(distances_um)), key=lambda number: distances_um[number])
    if distances_um[order[-1]] - distances_um[order[0]] < least:
        return [
            f"all frames have nearly the same distance, {distances_um[order[0]]:g} µm; together they determine "
            f"the phase hardly better than one frame, so record heights that differ by more than {digits(least)} µm"
        ]
    pairs = [(a, b) for a, b in itertools.pairwise(order) if distances_um[b] - distances_um[a] < least]
    if not pairs:
        return []
    named = ", ".join(f"{min(a, b) + 1} and {max(a, b) + 1}" for a, b in pairs[:5])
    return [
        f"frames {named}{' and others' if len(pairs) > 5 else ''} have nearly the same distance; check the list of "
        f"distances, and the pixel size (heights that differ by less than {digits(least)} µm are equivalent)"
    ]


def diffraction_rad(optics: Optics, distance_um: float) -> float:
    """Return the phase ``2π z (n/λ − √((n/λ)² − f²))`` of the transfer function at the finest detail, f = 1/2p."""
    k = optics.medium_frequency
    f = min(1 / (2 * optics.pixel_size_um), k)
    return 2 * math.pi * distance_um * (k - math.sqrt(k**2 - f**2))


def periods_kept(optics: Optics, distance_um: float, field_um: float) -> float:
    """Return the number of periods across the field of the finest detail whose light reaches the sensor.

    Light of the frequency f travels at the angle θ with sin θ = f λ/n and leaves a field of the width L when
    z tan θ > L/2.
    """
    half = field_um / 2
    finest = min(optics.medium_frequency * half / math.hypot(distance_um, half), 1 / (2 * optics.pixel_size_um))
    return finest * field_um
