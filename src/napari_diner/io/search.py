"""Search for files by a pattern or in a folder, which ends where there are too many to look at."""

from __future__ import annotations

import fnmatch
import glob
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from napari_diner.errors import InputError, quoted

MOST_SEARCHED = 200_000
"""Files and folders in which is searched."""
METADATA_OF_ZARR = ("zarr.json", ".zgroup", ".zarray")
"""Files of which each Zarr array or group has one."""


def matches(pattern: str) -> list[Path]:
    """Return what a pattern matches, sorted by name, as `glob.glob` does; ``**`` stands for any folders.

    Zarr is not searched, and a folder to which several links lead is searched only once, as links may lead in circles.

    Raises
    ------
    InputError
        If there are more than `MOST_SEARCHED` files and folders to compare with it.
    """
    fixed, wild = fixed_part(pattern)
    search, found = _Search(pattern), [str(fixed)]
    for number, part in enumerate(wild):
        if part == "**":
            found = list(search.below(found, with_files=number == len(wild) - 1))
        elif glob.has_magic(part):
            found = [entry.path for place in found for entry in search.entries(place) if _fits(entry.name, part)]
        else:
            found = [path for place in found if os.path.lexists(path := os.path.join(place, part))]  # noqa: PTH118
    return sorted(map(Path, found))


def fixed_part(pattern: str) -> tuple[Path, tuple[str, ...]]:
    """Return the folder that a pattern begins with, and the parts after it."""
    parts = Path(pattern).parts
    fixed = tuple(itertools.takewhile(lambda part: not glob.has_magic(part), parts))
    return Path(*fixed), parts[len(fixed) :]


def check_extent(folder: Path) -> None:
    """Check that a folder is not too large to be searched with all those in it; hidden ones and Zarr are not searched.

    Raises
    ------
    InputError
        If it holds more than `MOST_SEARCHED` files and folders.
    """
    for _ in _Search(str(folder)).below([str(folder)], follow=False):
        pass


class _Search:
    """A search that counts what it looks at."""

    def __init__(self, source: str) -> None:
        self.source, self.count = source, 0

    def entries(self, folder: str) -> list[os.DirEntry[str]]:
        """Return the entries of a folder; none if it is no folder, or may not be read."""
        try:
            with os.scandir(folder) as listed:
                entries = list(itertools.islice(listed, MOST_SEARCHED - self.count + 1))
        except OSError:
            return []
        self.count += len(entries)
        if self.count > MOST_SEARCHED:
            raise InputError(
                f"In {quoted(self.source)}, more than {MOST_SEARCHED:,} files and folders would have to be searched; "
                "name a smaller folder"
            )
        return entries

    def below(self, folders: list[str], *, with_files: bool = False, follow: bool = True) -> Iterator[str]:
        """Yield these folders, those in them, and their files if wanted, without what is hidden."""
        seen: set[tuple[int, int]] = set()
        while folders:
            folder = folders.pop()
            try:
                status = Path(folder).stat()
            except OSError:
                continue
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            yield folder
            entries = self.entries(folder)
            if any(entry.name in METADATA_OF_ZARR for entry in entries):
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry, follow):
                    folders.append(entry.path)
                elif with_files:
                    yield entry.path


def _is_folder(entry: os.DirEntry[str], follow: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError:  # a link in a circle, or to where nobody may look
        return False


def _fits(name: str, part: str) -> bool:
    return fnmatch.fnmatch(name, part) and (part.startswith(".") or not name.startswith("."))
