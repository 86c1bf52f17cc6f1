"""Units of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pint import Unit


def spacing_um(scale: float, unit: Unit | None) -> float | None:
    """Return a spacing in micrometres, or None if its unit (of pint) is not a length, for instance a pixel."""
    if unit is None or not is_length(unit):
        return None
    return abs(float((float(scale) * unit).to("micrometer").magnitude))


def is_length(unit: Unit) -> bool:
    """Return whether a unit is a length."""
    return bool(unit.is_compatible_with("micrometer"))


def factor_between(one: Unit, other: Unit) -> float:
    """Return a unit in terms of another one; 1 if they do not measure the same quantity."""
    return float((1 * one).to(other).magnitude) if one.is_compatible_with(other) else 1.0
