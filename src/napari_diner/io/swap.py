"""Atomic exchange of two folders by the file system.

Linux has ``renameat2`` with ``RENAME_EXCHANGE`` (Linux 3.15), macOS ``renamex_np`` with ``RENAME_SWAP`` (macOS 10.12).
Python offers neither.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import stat
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

_AT_FDCWD = -100
_LINUX_EXCHANGE = 2
_MACOS_SWAP = 2


def can_swap(folder: Path) -> bool:
    """Return whether a folder may be exchanged with one beside it.

    It may not if it contains the working directory of this process or (on Linux) of another one, such as a shell, as
    they would stay in the old folder; nor if it belongs to another user, who would lose it, or to all, as ``/tmp``.
    """
    if sys.platform not in ("linux", "darwin"):
        return False
    status = folder.stat()
    return (
        status.st_uid == os.geteuid()
        and not status.st_mode & stat.S_ISVTX
        and not folder.is_mount()
        and os.access(folder.parent, os.W_OK | os.X_OK)
        and not any(place.is_relative_to(folder) for place in _working_directories())
    )


def _working_directories() -> Iterator[Path]:
    """Yield the working directories of this process, and of others as far as the system tells."""
    with contextlib.suppress(OSError):  # it does not exist any more
        yield Path.cwd().resolve()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            yield link.readlink()


def swap(one: Path, other: Path) -> None:
    """Exchange two folders of one file system.

    Raises
    ------
    OSError
        If the system or the file system cannot; nothing has changed then.
    """
    names = os.fsencode(one), os.fsencode(other)
    library = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(*names, _MACOS_SWAP)
        else:
            failed = library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _LINUX_EXCHANGE)
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def link_files(source: Path, target: Path, leave_out: Collection[str] = ()) -> None:
    """Add hard links to the files of a folder to another one, so that both have the same files.

    Parameters
    ----------
    source, target
        Folders of one file system.
    leave_out
        Files of `source` to omit, as paths relative to it, with slashes. Folders without other
        files are omitted, too.

    Raises
    ------
    FileExistsError
        If `target` has a file of the same name.
    OSError
        If the file system has no hard links, or a folder is a mounted disk or cannot be made for its owner and group.
    """
    folders = [source]
    for directory in folders:
        for path in directory.iterdir():
            name = path.relative_to(source)
            if path.is_dir() and not path.is_symlink():
                if path.is_mount() or path.stat().st_uid != os.geteuid():
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                folders.append(path)
                if not any(path.iterdir()):
                    (target / name).mkdir(parents=True, exist_ok=True)
            elif name.as_posix() not in leave_out:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                os.link(path, target / name, follow_symlinks=False)
    for directory in reversed(folders):
        place = target / directory.relative_to(source)
        if place.is_dir():
            os.chown(place, -1, directory.stat().st_gid)
            shutil.copystat(directory, place)
