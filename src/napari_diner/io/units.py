"""Numbers and units of length in files, tables and fields."""

from __future__ import annotations

import re

MICROMETRES = {
    "pm": 1e-6,
    "å": 1e-4,
    "nm": 1e-3,
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "meter": 1e6,
    "metre": 1e6,
    "angstrom": 1e-4,
    "cm": 1e4,
    "m": 1e6,
    "in": 25400.0,
    "inch": 25400.0,
    "inches": 25400.0,
    "dm": 1e5,
    "km": 1e9,
}
"""Micrometres in each unit used in OME-XML, ImageJ and tables."""

LONGEST_SYMBOL = 3
"""Longer names of units have a plural."""

AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}(?!\d)(?:\s*[^\W\d_]+)?")
"""Matches an integer with a separator of thousands, or a number with three decimals, and a unit: ``1,120``."""
_LENGTH = re.compile(r"([-+]?\d*\.?\d*(?:e[-+]?\d+)?)\s*(\D*)", re.IGNORECASE)


def length_um(text: str) -> float | None:
    """Return the length in a text in micrometres, e.g. ``"0.532"`` or ``"532 nm"``; None if it is not a length.

    Neither is ``"1,120"``, which may be 1120 or 1.12.
    """
    if AMBIGUOUS.fullmatch(text.strip()):
        return None
    match = _LENGTH.fullmatch(text.strip().replace(",", "."))
    factor = micrometres(match[2] or "um") if match else None
    try:
        return None if match is None or factor is None else float(match[1]) * factor
    except ValueError:
        return None


def micrometres(unit: str) -> float | None:
    """Return the micrometres in a unit, or None if the unit is not a length."""
    # U+03BC, the Greek letter, and U+00B5, the micro sign, look the same
    name = unit.strip().lower().replace("\u03bc", "\u00b5")
    return MICROMETRES.get(name, MICROMETRES.get(name.removesuffix("s")) if len(name) > LONGEST_SYMBOL else None)
