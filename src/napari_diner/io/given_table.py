"""Tables where a setting is a text: the name of a file, or the table itself."""

from __future__ import annotations

from pathlib import Path

from napari_diner.errors import InputError
from napari_diner.io.places import expanded
from napari_diner.io.tables import Table, read_table
from napari_diner.io.texts import read_json

_ENDINGS = (".csv", ".dat", ".json", ".ods", ".toml", ".tsv", ".txt", ".xls", ".xlsx", ".xml", ".yaml", ".yml")
"""Endings of the names of files that are tables, or that are refused as such."""

_MOST = 20_000


def names_file(text: str) -> bool:
    """Return whether a text is the name of a file, and not a table."""
    return text.strip().lower().endswith(_ENDINGS)


def read_given_table(text: str, source: str) -> Table:
    """Read the table that a text names or holds; see `napari_diner.io.tables.read_table`.

    Parameters
    ----------
    text
        Name of a file, or a table.
    source
        Name of a table that is no file, in error messages.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if not names_file(text):
        return read_table(text, source)
    path = Path(text.strip())
    return read_table(_numbers(path), str(path)) if path.suffix.lower() == ".json" else read_table(path)


def _numbers(path: Path) -> str:
    """Return the numbers of a list in JSON as a table, one in a row.

    Raises
    ------
    InputError
        If the file holds anything else.
    """
    values = read_json(expanded(path))
    if not isinstance(values, list) or not values or not all(type(value) in (int, float) for value in values):
        raise InputError(f"{path} holds no list of numbers; write [1.5, 2, 3], or a table in CSV")
    if len(values) > _MOST:
        raise InputError(f"{path} holds more than {_MOST:,} numbers; choose another file")
    return "\n".join(map(repr, values))
