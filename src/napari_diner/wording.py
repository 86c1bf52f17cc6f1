"""Counts and shares in words, for messages and summaries."""

from __future__ import annotations

import math

_NEGLIGIBLE = 1e-6
"""Share that is not worth a number."""
_MUCH = 0.25
"""Unexplained share from which the explained one says more."""


def count(number: int, noun: str) -> str:
    """Return a number of things, e.g. ``"1 iteration"`` and ``"12 iterations"``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """Return a share in percent with two digits, e.g. ``"0.031 %"``; a dash if it is unknown."""
    if math.isnan(share):
        return "–"
    return f"{digits(100 * share)} %" if share < 0.995 else f"{100 * share:.0f} %"


def all_but(unexplained: float, signal: str) -> str:
    """Return the explained part of a signal in words, e.g. ``"all but 3.1 % of the signal"``, ``"only 40 % of it"``."""
    if unexplained < _NEGLIGIBLE:
        return f"practically all of {signal}"
    if unexplained >= 1:
        return f"nothing of {signal}"
    if unexplained > 1 - _NEGLIGIBLE:
        return f"practically nothing of {signal}"
    if unexplained >= _MUCH:
        return f"only {percent(1 - unexplained)} of {signal}"
    return f"all but {percent(unexplained)} of {signal}"


def change(factor: float) -> str:
    """Return a factor in words, e.g. ``"12 % smaller"`` and ``"3.4 times as large"``."""
    if 0.52 < factor < 1.9:
        return f"{100 * abs(factor - 1):.0f} % {'larger' if factor > 1 else 'smaller'}"
    return f"{digits(factor)} times as large"


def duration(seconds: float) -> str:
    """Return a duration in a suitable unit: ``"8 s"``, ``"2:05 min"``, ``"1:02 h"``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def effort(iterations: int, seconds: float) -> str:
    """Return iterations and time, e.g. ``"12 iterations in 8 s"``; the time alone if none was completed."""
    return f"{count(iterations, 'iteration')} in {duration(seconds)}" if iterations else duration(seconds)


def digits(value: float, count: int = 2) -> str:
    """Return a number with some digits that count, without an exponent unless it is very large or small: ``"670"``."""
    return f"{float(f'{value:.{count}g}'):g}"
