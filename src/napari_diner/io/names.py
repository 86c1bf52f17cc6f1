"""Numbers in the names of files: order of frames, and distances."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import tifffile

from napari_diner.io.units import AMBIGUOUS, micrometres

_UNIT = r"(?:(?i:nm|[uµ\u03bc]m|mm|cm|microns?)|m)(?![^\W_])"
_NUMBER = re.compile(
    # after a digit, a hyphen is a range or a part of a date
    r"(?P<sign>(?<!\d)[+-])?"
    # dates and versions are several whole numbers: 2026.11.27
    rf"(?P<digits>(?<!\d[.,])\d+[.,]\d+(?![.,]?\d)|\d+[pP]\d+(?=[ _]?{_UNIT})|\d+)"
    rf"(?P<exponent>[eE][+-]?\d{{1,2}}(?=[ _]?{_UNIT})|[eE][+-]\d{{1,2}}(?![^\W_]))?"
    rf"(?:[ _]?(?P<unit>{_UNIT}))?"
)
_POINT = re.compile(r"(?<=\d)[pP](?=(\d+)(?![^\W_]))")
"""A p between digits, which may stand for a decimal point."""
_SIGN = re.compile(r"(?<![^\W\d_])(?:(minus|negative|neg)|plus|positive|pos)[ _]?(?=\d)", re.IGNORECASE)
_SIGN_LETTER = re.compile(rf"(?<![^\W_])([zZ]?[_ ]?)([mMnNpP])(?=\d+(?:[.,]\d+)?[ _]?{_UNIT})")
"""Words, and letters before lengths, that may stand for a sign."""
_RANGE = re.compile(r"[ _]?(?:-|\u2013|\u2014|\.{2,3}|to|bis)[ _]?", re.IGNORECASE)
"""What may stand between the ends of a range."""
_GROUPED = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_WORD = re.compile(r"[^\W\d_]{2,}$")
_LETTER = re.compile(r"[^\W\d_]$")
_LIGHT_UM = (Decimal("0.2"), Decimal(2))
"""Numbers between these, in nanometres, are wavelengths rather than distances."""


@dataclass(frozen=True)
class _Number:
    """A number in a name."""

    value: Decimal
    """Text with the sign, if there is one."""
    unit: str
    """Unit of length, or empty."""
    before: str
    """Text between the previous number and this one."""
    is_ambiguous: bool
    """Whether a comma in it may separate thousands: ``1,200um``."""
    is_grouped: bool
    """The same of a comma or a point."""
    is_joined: bool
    """Whether the sign, a hyphen, may join the number to the word before it: ``frame-7``."""

    @property
    def um(self) -> Decimal:
        """The value, in micrometres if it has a unit."""
        return self.value * Decimal(str(micrometres(self.unit))) if self.unit else self.value


def sorted_by_numbers(files: Sequence[str]) -> list[str]:
    """Return files in the order of the numbers in their names, by value.

    Numbers may have a sign, a decimal point or comma, an exponent and a unit of length, and ``1p05mm`` is 1.05 mm. If
    the names differ in several numbers, those further left decide first. Names that differ in more than numbers are
    sorted naturally: words by letters, and whole numbers by value.

    A hyphen before a number is a minus if it follows something other than a word (``z_-20um``), if other names have
    none there (``z-10um``, ``z0um``), or if it follows a single letter and a unit follows (``z-20um``). Words
    (``minus10um``) are signs, too, and so are letters if only some names have an ``m`` or ``n`` there (``zm20um``,
    ``zp20um``). A comma or a point separates thousands where the other names hold integers below (``z950um``,
    ``z1,000um``).
    """
    natural = list(tifffile.natural_sorted(files))
    columns = _columns(natural)
    if columns is None:
        return natural
    return [natural[row] for row in sorted(range(len(natural)), key=lambda row: [column[row].um for column in columns])]


def distances_in_names(files: Sequence[str]) -> tuple[float, ...]:
    """Return the distances in micrometres in the names of files, in their order; empty if there are none.

    Positions that are zero or below, as of a stage, are not distances.
    """
    lengths = lengths_in_names(files)
    return lengths if min(lengths, default=0) > 0 else ()


def lengths_in_names(files: Sequence[str]) -> tuple[float, ...]:
    """Return the lengths in micrometres in the names of files, in their order; empty if there are none.

    That is the only number with a unit of length that differs between names: in ``holo_532nm_z300um_01.tif``, …
    the wavelength is the same in all, and the last number has no unit. Numbers with a comma that may separate
    thousands, as in ``z1,200um``, or with ``_`` or ``-`` in place of the decimal point, as in ``z0_95mm``,
    ``z1_05mm``, ``z1_10mm``, are not lengths, nor are ends of ranges (``10-20um``) and numbers behind an ``m`` or ``n``
    that may be a minus (``m20um``).
    """
    columns = _columns(files) or []
    lengths = [column for column in columns if all(number.unit or not number.value for number in column)]
    if len(lengths) != 1 or not any(number.unit for number in lengths[0]):
        return ()
    if all(n.unit.lower() == "nm" and _LIGHT_UM[0] <= n.um <= _LIGHT_UM[1] for n in lengths[0]):
        return ()
    if any(number.is_ambiguous for number in lengths[0]):
        return ()
    if _are_fractions(lengths[0], columns) or _are_ends(lengths[0], columns):
        return ()
    if any(match[2] not in "pP" for name in _shortened(files) for match in _SIGN_LETTER.finditer(_signed(name))):
        return ()
    return tuple(float(number.um) for number in lengths[0])


def _are_fractions(column: list[_Number], columns: list[list[_Number]]) -> bool:
    """Return whether the numbers of a column are probably the decimals of those before them: ``0_95``, ``1_05``.

    Those before them then are few and occur several times, other than the numbers of frames.
    """
    place = columns.index(column)
    if not place or any(number.before not in ("_", "-") or number.value % 1 for number in column):
        return False
    whole = [number.value for number in columns[place - 1]]
    return len({*whole}) < len(whole) and not any(number.unit for number in columns[place - 1])


def _are_ends(column: list[_Number], columns: list[list[_Number]]) -> bool:
    """Return whether the numbers of a column are probably the ends of ranges: ``10-20um``, ``20-30um``.

    Numbers of frames count by one (``1-300um``, ``2-310um``), unless each range begins where another one ends.
    """
    place = columns.index(column)
    if not place or not all(_RANGE.fullmatch(number.before) for number in column):
        return False
    starts, ends = sorted(number.value for number in columns[place - 1]), sorted(number.value for number in column)
    if any(number.unit for number in columns[place - 1]):
        return False
    return starts[1:] == ends[:-1] or any(after - before != 1 for before, after in pairwise(starts))


def _columns(files: Sequence[str]) -> list[list[_Number]] | None:
    """Return the numbers in which names differ, from left to right; None if they differ in more."""
    if len(files) < 2:
        return None
    names = _shortened(files)
    if _have_decimal_p(names):
        names = [_POINT.sub(".", name) for name in names]
    if any(match[1] for name in names for match in _SIGN.finditer(name)):
        names = [_signed(name) for name in names]
    letters = [{letter for _, letter in _SIGN_LETTER.findall(name)} for name in names]
    if 0 < sum(bool(found & {*"mMnN"}) for found in letters) < len(names):
        names = [_SIGN_LETTER.sub(lambda match: match[1] + ("+" if match[2] in "pP" else "-"), name) for name in names]
    parsed = [_parsed(name) for name in names]
    words, numbers = zip(*parsed, strict=True)
    if len(set(words)) > 1:
        return None
    columns = []
    for column in map(list, zip(*numbers, strict=True)):
        if all(number.is_joined for number in column):
            column = [replace(number, value=-number.value) for number in column]
        if _has_thousands(column):
            column = [
                replace(number, value=number.value * 1000, is_ambiguous=True) if number.is_grouped else number
                for number in column
            ]
        if len({bool(number.unit) for number in column if number.value}) > 1:
            return None  # cannot be compared
        if len({number.um for number in column}) > 1:
            columns.append(column)
    return columns


def _has_thousands(column: list[_Number]) -> bool:
    """Return whether commas or points separate thousands, as the other numbers are integers of up to three digits."""
    plain = [abs(number.value) for number in column if not number.is_grouped]
    return (
        0 < len(plain) < len(column)
        and all(value % 1 == 0 and value < 1000 for value in plain)
        and max(plain) >= 100
        and len({number.unit for number in column}) == 1
    )


def _signed(name: str) -> str:
    """Return a name with signs in place of words."""
    return _SIGN.sub(lambda match: "-" if match[1] else "+", name)


def _shortened(files: Sequence[str]) -> list[str]:
    """Return the names from the first folder in which they differ, without suffixes."""
    folder = os.path.commonpath([Path(file).absolute().parent for file in files])
    names = [Path(file).absolute().relative_to(folder).with_suffix("").as_posix() for file in files]
    return [name.removesuffix(".ome") for name in names]


def _have_decimal_p(names: Sequence[str]) -> bool:
    """Return whether a p between digits is a decimal point also without a unit: ``z0p9``, ``z0p95``, ``z1p1``.

    Positions are numbered without gaps: ``w1p9``, ``w1p10``, ``w1p11``.
    """
    fractions = [match[1] for name in names for match in _POINT.finditer(name)]
    counted = {int(digits) for digits in fractions}
    return len({*map(len, fractions)}) > 1 and max(counted) - min(counted) >= len(counted)


def _parsed(name: str) -> tuple[tuple[str, ...], tuple[_Number, ...]]:
    """Return the words between the numbers of a name, and the numbers."""
    words, numbers, end = [], [], 0
    for match in _NUMBER.finditer(name):
        before = name[end : match.start()]
        words.append(before)
        digits = re.sub("[,pP]", ".", match["digits"])
        value = Decimal(f"{match['sign'] or ''}{digits}{match['exponent'] or ''}")
        joins = _WORD if match["unit"] else _LETTER
        is_joined = match["sign"] == "-" and joins.search(before) is not None
        is_ambiguous = AMBIGUOUS.fullmatch(match["digits"]) is not None
        is_grouped = _GROUPED.fullmatch(match["digits"]) is not None
        numbers.append(_Number(value, match["unit"] or "", before, is_ambiguous, is_grouped, is_joined))
        end = match.end()
    return (*words, name[end:]), tuple(numbers)
