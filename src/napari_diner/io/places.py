"""Names and places of files."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Collection, Iterable
from fnmatch import fnmatch
from pathlib import Path

from napari_diner.errors import OutputError, quoted

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
# of the names of files
_MOST_BYTES = 255


def local_path(place: str | Path) -> Path:
    """Return the absolute path of an output.

    Raises
    ------
    OutputError
        If it is empty, an address on a network, or in the home of somebody unknown.
    """
    name = str(place)
    if not name or _ADDRESS.match(name):
        problem = "is an address" if name else "is empty"
        raise OutputError(f"The output {quoted(name)} {problem}; name a place on this machine")
    try:
        return Path(place).expanduser().absolute()
    except RuntimeError:
        raise OutputError(f"The output {place} is in the home of an unknown user; choose another one") from None


def expanded(place: str | Path) -> Path:
    """Return a path with ``~`` at its start replaced by the home of the user, if there is such a user."""
    return Path(os.path.expanduser(place))  # noqa: PTH111 (raises nothing)


def resolved(folder: str | Path) -> Path:
    """Return the absolute path of an output folder, without links; see `local_path` for what is raised."""
    try:
        return local_path(folder).resolve()
    except RuntimeError:  # a loop of links
        raise OutputError(f"The output folder {folder} does not exist; choose another one") from None


def bounded_name(before: str, name: str, after: str, room: int = 0) -> str:
    """Return a file name from three parts; the middle one is shortened if needed, with a checksum in place of the rest.

    `room` is the number of bytes that are appended elsewhere.
    """
    most = _MOST_BYTES - room - len(before) - len(after)
    content = os.fsencode(name)
    if len(content) <= most:
        return f"{before}{name}{after}"
    digest = f"~{zlib.crc32(content):08x}"
    return f"{before}{content[: most - len(digest)].decode(errors='ignore')}{digest}{after}"


def unused_folder(parent: Path, name: str) -> Path:
    """Return a folder inside `parent` that does not exist: `name`, or `name-2`, and so on."""
    folder, number = parent / name, 2
    while os.path.lexists(folder):
        folder, number = parent / bounded_name("", name, f"-{number}"), number + 1
    return folder


def inputs_among(folder: Path, names: Iterable[str], inputs: Collection[Path]) -> set[str]:
    """Return the files of a folder that are inputs, or are in a folder or match a glob that is an input.

    Files are compared by their place on the disk, as several paths can lead to it: links, disks mounted twice, and
    other spellings of a name.
    """
    sources = [Path(os.path.realpath(path)) for path in inputs]
    places = {_on_disk(path) for path in sources} - {None}
    parents = [(_on_disk(path.parent), path.name) for path in sources]

    def is_input(path: Path) -> bool:
        place = _on_disk(path.parent)
        return (
            place in places
            or _on_disk(path) in places
            or any(path.match(str(source)) for source in sources)
            or any(place is not None and place == parent and fnmatch(path.name, name) for parent, name in parents)
        )

    return {name for name in names if is_input(folder / name)}


def _on_disk(path: Path) -> tuple[int, int] | None:
    """Return the numbers of the disk and of the file or folder on it; None if there is none."""
    with contextlib.suppress(OSError, ValueError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None
