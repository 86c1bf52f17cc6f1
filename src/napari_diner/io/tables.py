"""Reading tables of numbers: CSV files, text from a spreadsheet, pasted columns, lists."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_diner.errors import InputError, one_line, quoted
from napari_diner.io.places import expanded
from napari_diner.io.row_order import (
    FRAME_TITLES,
    check_order,
    counted,
    numbers_of_frames,
    order_of_frames,
    whole_numbers,
)
from napari_diner.io.texts import read_text
from napari_diner.io.units import AMBIGUOUS, LONGEST_SYMBOL, MICROMETRES, micrometres

_NAMES = {*MICROMETRES, "\u03bcm"} - {"in"} | {f"{name}s" for name in MICROMETRES if len(name) > LONGEST_SYMBOL}
_UNITS = "|".join(sorted(_NAMES, key=len, reverse=True))
_EXPONENT = r"(?:e[+-]?\d+)?"
_NUMBER = re.compile(rf"([+-]?(?:\d+\.?\d*|\.\d+){_EXPONENT})\s*([^\W\d_]*)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(rf"([+-]?\d+),(\d+{_EXPONENT}(?:\s*[^\W\d_]+)?)", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
# not the title of a column such as "image #"
_COMMENT = re.compile(r"^#|\s#(?!\s*[,;\t|])")
# Excel writes the separator into the first line, and Markdown has rules below titles
_NO_ROW = re.compile(r"sep=.|[-+|:=\s,;]*", re.IGNORECASE)
# a cell without surrounding blanks, and the unit after it: 0.5 mm, z (µm), z / µm
_WORD = re.compile(rf'"[^"]*"(?!\S)|\S+(?:\s*/\s*\S+|\s+[(\[][^)\]]*[)\]]|\s+(?:{_UNITS})(?!\S))?', re.IGNORECASE)
# inches are a word of other titles, and units only at the end of some
_TITLE = re.compile(
    rf"(.*?)(?:\s*[(\[]([^)\]]*)[)\]]|(?:[\s,/_-]+|(?<=^[zd])(?!m$))({_UNITS})|[\s,/_-]+(in))?[\s:]*", re.IGNORECASE
)
# thousands are separated by such blanks, not by those of a keyboard
_THOUSANDS = re.compile(r"\d[\u00a0\u2007\u2009\u202f]\d{3}(?!\d)")
_LONGEST_LINE = 20_000
# columns with one of these words are never taken for another quantity, even if there is no other column
_QUANTITIES = FRAME_TITLES | {
    "angle", "column", "current", "energy", "exposure", "gain", "na", "pixel", "power", "speed", "step", "t",
    "temperature", "time", "voltage", "wavelength", "weight", "x", "y",
}  # fmt: skip
# titles with one of these words are those of standard errors
_ERRORS = {"se", "sd", "std", "err", "error", "sigma", "uncertainty"}


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    """Text of the cell; empty if there is none."""
    place: str
    """Position, for error messages."""
    unit: str = ""
    """Unit in the title of its column; empty if there is none."""

    def number(self, unit: str | None = None) -> float:
        """Return the number in the cell.

        Parameters
        ----------
        unit
            A unit of length, such as ``"um"``, to convert to from the unit in the cell or else in the title. If None,
            the cell must hold a number only.

        Raises
        ------
        InputError
            If the cell is empty, is not a finite number as a whole, or its unit is not a length.
        """
        if not self.text:
            raise InputError(f"{self.place} has an empty cell; fill it in")
        match = _NUMBER.fullmatch(self.text)
        if match is None or not math.isfinite(float(match[1])):
            raise InputError(f"{self.place}: {quoted(self.text)} is not a number; write it like 1.5 or 2e-3")
        number, own = float(match[1]), match[2] or (self.unit if unit else "")
        if not own:
            return number
        if unit is None:
            raise InputError(
                f"{self.place}: {quoted(self.text)} has a unit, but a plain number is expected; remove the unit"
            )
        size, target = micrometres(own), micrometres(unit)
        if size is None or target is None:
            raise InputError(f"{self.place}: {quoted(own)} is not a unit of length; use nm, µm, mm, cm or m")
        # powers of ten below one are not exact: divide by their inverse
        return number * (size / target) if size >= target else number / round(target / size)


@dataclass(frozen=True)
class Table:
    """Rows of cells, with or without titles above them."""

    source: str
    """The file or other source of the table, for error messages."""
    columns: tuple[str, ...]
    """Titles of the columns, without their units; empty if there are none."""
    rows: tuple[tuple[Cell, ...], ...]
    """The cells; all rows have the same length."""

    def has(self, name: str) -> bool:
        """Return whether a column has this title, as `column` compares them."""
        return self._find(name) is not None

    def title(self, name: str) -> tuple[str, str]:
        """Return title and unit of the column with this title, as `column` compares them; empty if there is none."""
        index = self._find(name)
        return ("", "") if index is None else (self.columns[index], self.rows[0][index].unit)

    def in_order(self, values: int = 1, *, repeated: bool = False) -> Table:
        """Return the table with its rows sorted by the column that numbers the frames, if there is one.

        See `frames`.

        Parameters
        ----------
        values
            Number of columns with values; only a table with more columns can have one with frame numbers.
        repeated
            Whether several rows may belong to one frame.

        Raises
        ------
        InputError
            If a frame is repeated, unless that is allowed, or is missing between others.
        """
        if len(self.rows[0]) <= values:
            return self
        numbers = self.frames()
        if numbers is None:
            return self
        order = order_of_frames(self.source, numbers, repeated=repeated)
        return replace(self, rows=tuple(self.rows[index] for index in order))

    def frames(self) -> list[int] | None:
        """Return the number of the frame of each row; None if no column numbers the frames."""
        return numbers_of_frames([_words(title) for title in self.columns], self._texts())

    def column(self, *names: str, unit: str | None = None, missing: float | None = None) -> list[float]:
        """Return the numbers of a column, identified by its title or else by its position.

        Titles are compared regardless of case, unit, blanks and plural: ``Distance (mm)`` is ``distances_um``.
        Failing that, a single title that contains the name is accepted: ``Distance to sensor``. If no title matches,
        the column is the only one, or the second of two if the first counts the rows, unless its title names another
        quantity, such as ``wavelength``; of a table without titles, it may also be the only row.

        Parameters
        ----------
        names
            Names of the quantity, the preferred one first.
        unit
            As for `Cell.number`.
        missing
            Value of empty cells, which are errors if None.

        Raises
        ------
        InputError
            If the choice of the column is ambiguous, or a cell is not a number.
        """
        cells = self._cells(names)
        return [missing if missing is not None and not cell.text else cell.number(unit) for cell in cells]

    def texts(self, *names: str) -> list[str]:
        """Return the texts of the cells of a column, identified as in `column`."""
        return [cell.text for cell in self._cells(names)]

    def numbers(self, unit: str | None = None, width: int | None = None) -> list[list[float]]:
        """Return the numbers of all rows, (rows, columns).

        Parameters
        ----------
        unit
            As for `Cell.number`.
        width
            Number of columns, not counting a first one with row numbers; any if None.

        Raises
        ------
        InputError
            If there are more or fewer columns, or a cell is not a number.
        """
        columns = len(self.rows[0])
        start = int(width is not None and columns == width + 1 and self._counts_rows())
        if width is not None and columns - start != width:
            raise InputError(f"{self.source} has {columns} columns instead of {width}; remove the others")
        return [[cell.number(unit) for cell in row[start:]] for row in self.rows]

    def pairs(self, unit: str | None = None) -> list[list[float]]:
        """Return [y, x] of each row: the columns whose titles end in y and x, or else the two columns in this order.

        Raises
        ------
        InputError
            If there are more or fewer columns, or a cell is not a number.
        """
        ends = [title[-1:].lower() for title in self.columns]
        if ends.count("y") == ends.count("x") == 1:
            self._check_order({ends.index("y"), ends.index("x")})
            return [[row[ends.index(axis)].number(unit) for axis in "yx"] for row in self.rows]
        return self.numbers(unit, 2)

    def _cells(self, names: Sequence[str]) -> Sequence[Cell]:
        index = next((index for index in map(self._find, names) if index is not None), None)
        width = len(self.rows[0])
        if index is None:
            if len(self.rows) == 1 and not self.columns:
                return self.rows[0]
            another = bool(self.columns) and bool(_QUANTITIES & {*_words(self.columns[-1])})
            if not another and (width == 1 or (width == 2 and self._counts_rows())):
                index = width - 1
        if index is not None:
            self._check_order({index})
            return [row[index] for row in self.rows]
        content = one_line(", ".join(filter(None, self.columns))) or f"{width} columns without titles"
        raise InputError(
            f"{self.source} has {content}; give the right column the title {names[0]}, and separate columns by "
            "semicolons if numbers have decimal commas"
        )

    def _find(self, name: str) -> int | None:
        name_words = _words(_name_and_unit(name)[0])
        titles = [_words(title) for title in self.columns]
        same = [index for index, words in enumerate(titles) if "".join(words) == "".join(name_words)]
        if not same:
            same = [i for i, words in enumerate(titles) if {*name_words} <= {*words} and not _ERRORS & {*words}]
        if len(same) > 1:
            raise InputError(f"{self.source} has {len(same)} columns that may be {name}; rename all but one")
        return same[0] if same else None

    def _counts_rows(self) -> bool:
        """Return whether the first column counts several rows, from 0 or 1."""
        first = whole_numbers([row[0].text for row in self.rows]) or []
        return len(first) > 1 and counted(first) and first == sorted(first)

    def _texts(self) -> list[list[str]]:
        """Return the texts of each column."""
        return [[cell.text for cell in column] for column in zip(*self.rows, strict=True)]

    def _check_order(self, used: set[int]) -> None:
        """Check that no column, other than those with values, contradicts the order of the rows."""
        for index, (title, cells) in enumerate(zip(self.columns, self._texts(), strict=False)):
            if (
                index not in used
                and not (_QUANTITIES - FRAME_TITLES) & {*_words(title)}
                and not self.rows[0][index].unit
            ):
                check_order(self.source, title, cells)


def read_table(text_or_path: str | Path, source: str = "the table") -> Table:
    """Read a table.

    Cells are separated by tabs, semicolons, vertical bars, commas or blanks: the first of these that occurs outside of
    quotes. Unless it is the comma, numbers may have a decimal comma, if none has a decimal point. Empty lines and text
    after a ``#`` are skipped, but titles may be in a comment directly above the numbers. Units may be in titles or in
    cells.

    Parameters
    ----------
    text_or_path
        A text (str) or a text file (Path).
    source
        Name of a text in error messages; a file is named by its path.

    Raises
    ------
    InputError
        If the file cannot be read as text, holds no numbers, or its titles do not match its columns.
    """
    text = text_or_path
    if isinstance(text, Path):
        source = str(text)
        text = read_text(expanded(text))
    lines = [line.replace("\u2212", "-") for line in text.removeprefix("\ufeff").splitlines()]
    if thousands := _THOUSANDS.search(text):
        raise InputError(
            f"{source} has {quoted(thousands[0])}, with a blank between digits; write numbers without a separator of "
            "thousands"
        )
    if max(map(len, lines), default=0) > _LONGEST_LINE:
        raise InputError(f"{source} has a line of more than {_LONGEST_LINE} characters; write a row on each line")
    bare = [line[: _comment(line)] for line in lines]
    filled = [index for index, line in enumerate(bare) if not _NO_ROW.fullmatch(line.strip())]
    if not filled:
        raise InputError(f"{source} holds no numbers; write one in each row")
    first = filled[0]
    separator = _separator([bare[index] for index in filled])
    titled = len(filled) > 1 and not any(map(_is_number, _split(bare[first], separator)))
    below = _units(_split(bare[filled[1]], separator)) if titled and len(filled) > 2 else []
    if below:
        del filled[1]
    rows = {index: _split(bare[index], separator) for index in filled[titled:]}
    width = max(map(len, rows.values()))
    if titled:
        titles = _split(bare[first], separator) if width > 1 else [bare[first].strip(' \t"')]
        if len(titles) < width or (separator == " " and len(titles) > width):
            raise InputError(
                f"{source}, line {first + 1} has {len(titles)} titles but there are {width} columns; write a title for "
                "each, or begin the line with #"
            )
    else:
        # a comment directly above may contain the titles
        titles = _split(lines[first - 1].strip().lstrip("#"), separator) if first else []
        titles = titles if len(titles) == width else []
    names, units = zip(*(_unambiguous(source, title) for title in titles or [""] * width), strict=True)
    if below:
        below += [""] * (width - len(below))
        units = tuple(
            (under or above) if above == "in" else (above or under) for above, under in zip(units, below, strict=False)
        )
    # the comma is a decimal sign if no number has a point
    pointed = any("." in cell and _NUMBER.fullmatch(cell) for row in rows.values() for cell in row)
    commas = [] if pointed else [cell for row in rows.values() for cell in row if _DECIMAL_COMMA.fullmatch(cell)]
    if commas and all(map(AMBIGUOUS.fullmatch, commas)):
        plain = commas[0].replace(",", "")
        raise InputError(
            f"{source} has {quoted(commas[0])}, which may be {plain} or {commas[0].replace(',', '.')}; write numbers "
            "without a separator of thousands, and with a decimal point"
        )
    table = []
    for index, row in rows.items():
        cells = []
        for column, (name, unit) in enumerate(zip(names, units, strict=True)):
            text = row[column] if column < len(row) else ""
            decimal = None if pointed else _DECIMAL_COMMA.fullmatch(text)
            place = f"{source}, line {index + 1}" if len(lines) > 1 else source
            if len(names) > 1:
                place += f", {'column' if len(lines) > 1 else 'value'} {name or column + 1}"
            cells.append(Cell(f"{decimal[1]}.{decimal[2]}" if decimal else text, place, unit))
        table.append(tuple(cells))
    return Table(source, names if titles else (), tuple(table))


def _comment(line: str) -> int:
    """Return the start of a comment outside of quotes, or the length of the line."""
    match = _COMMENT.search(_QUOTED.sub(lambda quoted: "_" * len(quoted[0]), line))
    return match.start() if match else len(line)


def _separator(lines: Sequence[str]) -> str:
    """Return the separator of cells: a tab, semicolon, comma or blank; the first line may contain titles."""
    first, *below = [_QUOTED.sub("", line) for line in lines]
    body = below or [first]
    for separator in "\t;|":
        if any(separator in line for line in body):
            return separator
    # commas are decimal if all words between blanks are numbers, in several columns, or in one with a title
    words = [_WORD.findall(line) for line in body]
    titled = bool(below) and "," not in first and not _is_number(first)
    decimal = (titled or min(map(len, words)) > 1) and all(_is_number(word) for line in words for word in line)
    return "," if any("," in line for line in body) and not decimal else " "


def _split(line: str, separator: str) -> list[str]:
    if separator == " ":
        cells = [word[1:-1] if _QUOTED.fullmatch(word) else word for word in _WORD.findall(line)]
    else:
        line = line.strip(" |") if separator == "|" else line
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text.strip(' \t"')) or _DECIMAL_COMMA.fullmatch(text.strip(' \t"')))


def _name_and_unit(title: str) -> tuple[str, str]:
    match = _TITLE.fullmatch(title)
    return (match[1].strip(), match[2] or match[3] or match[4] or "") if match else (title, "")


def _unambiguous(source: str, title: str) -> tuple[str, str]:
    """Return the name in a title without units, and the unit, which must be one."""
    name, unit = _name_and_unit(title)
    while unit and (inner := _name_and_unit(name))[1] not in ("", "in"):
        if micrometres(inner[1]) != micrometres(unit):
            raise InputError(f"{source} has the title {quoted(title)} with two units; leave one of them")
        name = inner[0]
    return name, unit


def _units(cells: Sequence[str]) -> list[str]:
    """Return the units in a row below titles; empty if the row contains anything else."""
    units = [cell.strip('()[]" -') for cell in cells]
    return units if any(units) and all(not unit or micrometres(unit) for unit in units) else []


def _words(title: str) -> list[str]:
    return [word.removesuffix("s") or word for word in re.split(r"[\W_]+", title.lower()) if word]
