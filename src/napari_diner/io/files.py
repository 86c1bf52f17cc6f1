"""Search for the files of a path, a folder or a pattern."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from napari_diner.errors import InputError
from napari_diner.io.formats import IMAGE_SUFFIXES, IMAGES, located
from napari_diner.io.names import sorted_by_numbers
from napari_diner.io.ome_zarr import is_zarr
from napari_diner.io.search import matches


def find_files(source: str | Path) -> list[str]:
    """Return the files of a path, a folder or a glob, in the order of `sorted_by_numbers`.

    Hidden files and other files in a folder are ignored. An OME-Zarr folder counts as one file; and ``file::name``
    selects one of several arrays in a file.

    Raises
    ------
    InputError
        If there are none, or too many to search.
    """
    path, name = located(source)
    if path.exists() and (not path.is_dir() or is_zarr(path)):
        return [str(source) if name else str(path)]
    if path.is_dir():
        candidates = list(path.iterdir())
        missing = f"The folder {source} holds no {IMAGES} files; choose another one"
    elif glob.has_magic(str(path)):
        candidates = matches(str(path))
        missing = f"No {IMAGES} file matches {source}; check the pattern, and quote it in the shell"
    else:
        raise InputError(f"{source} does not exist; check the path")
    names = [str(file) for file in candidates if _is_image(file)]
    if not names:
        raise InputError(missing)
    return sorted_by_numbers(names)


def pattern_of(file: str | Path, count: int) -> str | None:
    """Return the pattern of a file and those beside it whose names differ only in numbers.

    None unless there are `count` of them, and the pattern matches no other file.
    """
    path = Path(file)
    parts = re.split(r"(\d+)", path.name)
    alike = [
        named
        for named in (re.split(r"(\d+)", other.name) for other in path.parent.iterdir() if _is_image(other))
        if named[::2] == parts[::2]
    ]
    if len(alike) != count or count < 2:
        return None
    numbers = [part if len({named[place] for named in alike}) == 1 else None for place, part in enumerate(parts)]
    name = "".join("*" if part is None else glob.escape(part) for part in numbers)
    pattern = str(Path(glob.escape(str(path.parent))) / name)
    return pattern if len(find_files(pattern)) == count else None


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
