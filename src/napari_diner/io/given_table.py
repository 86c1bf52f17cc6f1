"""Tables where a setting is a text: the name of a file, or the table itself."""

from __future__ import annotations

from pathlib import Path

from napari_diner.io.tables import Table, read_table

_ENDINGS = (".csv", ".dat", ".json", ".ods", ".toml", ".tsv", ".txt", ".xls", ".xlsx", ".xml", ".yaml", ".yml")
"""Endings of the names of files that are tables, or that are refused as such."""


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
    return read_table(Path(text.strip())) if names_file(text) else read_table(text, source)
