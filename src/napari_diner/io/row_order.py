"""Order of the rows of a table by a column that says which frame each belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from napari_diner.errors import InputError, quoted
from napari_diner.io.names import sorted_by_numbers

FRAME_TITLES = {"frame", "hologram", "id", "idx", "image", "index", "n", "no", "nr", "number", "page", "row"}
"""Words in the title of a column that numbers the frames, without plural."""

_WHOLE = re.compile(r"(\d{1,9})(?:[.,]0*)?")
_FILE = re.compile(r".*[^\W\d_].*\.(?:tiff?|png|bmp|npy|mat|h5|hdf5)", re.IGNORECASE)


def whole_numbers(texts: Sequence[str]) -> list[int] | None:
    """Return cells as numbers of frames, such as ``7``, ``007`` or ``7.0``; None if one of them is anything else."""
    matches = [_WHOLE.fullmatch(text) for text in texts]
    numbers = [int(match[1]) for match in matches if match]
    return numbers if len(numbers) == len(texts) else None


def counted(numbers: Sequence[int]) -> bool:
    """Return whether numbers are 0, 1, 2, … or 1, 2, 3, … in any order."""
    return sorted(numbers) in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))


def numbers_of_frames(titles: Sequence[Sequence[str]], columns: Sequence[Sequence[str]]) -> list[int] | None:
    """Return the number of the frame of each row; None if no column numbers the frames.

    That is a column with integers and a title such as ``frame``, or, if the first one has no title, the numbers of the
    rows in any order.

    Parameters
    ----------
    titles
        Words of the title of each column; empty without titles.
    columns
        Cells of each column.
    """
    numbered = [whole_numbers(column) for column in columns]
    for words, numbers in zip(titles, numbered, strict=False):
        if numbers and words and {*words} <= FRAME_TITLES:
            return numbers
    untitled = numbered[0] if not (titles and titles[0]) else None
    return untitled if untitled and counted(untitled) else None


def order_of_frames(source: str, numbers: Sequence[int], *, repeated: bool = False) -> list[int]:
    """Return the positions of the rows in the order of their frames.

    Parameters
    ----------
    source
        The table, for error messages.
    numbers
        Number of the frame of each row.
    repeated
        Whether several rows may belong to one frame.

    Raises
    ------
    InputError
        If a frame is repeated, unless that is allowed, or is missing between others.
    """
    if len({*numbers}) < len(numbers) and not repeated:
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise InputError(f"{source} has frame {twice} twice; give each frame one row")
    different = sorted({*numbers})
    steps = {later - earlier for earlier, later in pairwise(different)}
    if len(steps) > 1:
        step = min(steps)
        before = next(number for number, later in pairwise(different) if later - number != step)
        raise InputError(
            f"{source} has no frame {before + step}, between others; give each frame one row, or remove the "
            "column of frame numbers if the rows are in the order of the frames"
        )
    return sorted(range(len(numbers)), key=numbers.__getitem__)


def check_order(source: str, title: str, cells: Sequence[str]) -> None:
    """Check that a column that is not read does not contradict the order of the rows.

    Parameters
    ----------
    source
        The table, for error messages.
    title
        Title of the column; empty if it has none.
    cells
        Its cells.

    Raises
    ------
    InputError
        If it numbers the rows, or names image files, in another order.
    """
    where = f"{source} has {f'the column {quoted(title)}' if title else 'a column'}"
    numbers = whole_numbers(cells)
    if numbers and len(numbers) > 1 and counted(numbers) and numbers != sorted(numbers):
        raise InputError(
            f"{where} with the numbers of the rows in another order; give it the title frame if these are the "
            "numbers of the frames, or remove it if the rows are in the order of the frames"
        )
    if all(map(_FILE.fullmatch, cells)) and len({*cells}) == len(cells) and [*cells] != sorted_by_numbers(cells):
        raise InputError(
            f"{where} with file names in another order than files are read; sort the rows by the numbers in the "
            "names, or remove the column if the rows are in the order of the frames"
        )
