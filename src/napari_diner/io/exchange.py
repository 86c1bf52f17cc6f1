"""Exchange of the files in a folder: reversible, recoverable after a crash, by one process at a time.

New files are written into a stage, a hidden folder that names the process that owns it. Where possible, a folder with
the new files and all others takes the place of the old one in a single step. Elsewhere the files that are
replaced are first moved into the stage. If anything fails, all files are moved back; if the process dies, the next one
that uses the folder restores them.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import math
import os
import platform
import shutil
import signal
import tempfile
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_diner.errors import InputError
from napari_diner.io.swap import can_swap, link_files, swap
from napari_diner.io.texts import read_json

PREFIX = ".napari-diner-"
_OWNER, _NAMES = "owner.json", "names.json"
_MOST_PROCESSES = 2**31 - 1
# images in parts have many files
_LONGEST_LIST = 2**28
# files of others with which a folder is exchanged as a whole; of a home folder, it would take minutes
_MOST_OTHERS = 1000
# permission of others to enter a folder
_ENTER = 0o011
_NEW, _OLD, _REPLACED, _WHOLE, _PROBE = "new", "old", "replaced", "whole", "probe"


@dataclass(frozen=True)
class Stage:
    """A hidden folder for the files of an unfinished result."""

    path: Path
    """The folder."""
    target: str
    """The folder of the result."""
    pid: int
    """The process that owns the stage."""
    started: float
    """Start time of this process, see `_begun`."""
    host: str
    """Its machine."""
    is_inside: bool = False
    """Whether the stage is in the folder of the result; otherwise it is beside it."""

    @property
    def new(self) -> Path:
        """The folder for the new files."""
        return self.path / _NEW

    @property
    def is_mine(self) -> bool:
        """Whether this process owns it."""
        return (self.pid, self.host) == (os.getpid(), platform.node())

    @property
    def is_own(self) -> bool:
        """Whether it belongs to the user of this process."""
        with contextlib.suppress(OSError):  # it may have been removed by now
            return not hasattr(os, "geteuid") or self.path.stat().st_uid == os.geteuid()
        return False

    @property
    def is_dead(self) -> bool:
        """Whether its process has ended; False if unknown, for a process on another machine."""
        import psutil

        if self.host != platform.node():
            return False
        try:
            # another process may have the same number now
            is_other = abs(_begun(self.pid) - self.started) > 1
            return is_other or psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return not psutil.pid_exists(self.pid)  # systems may hide processes of other users
        except psutil.AccessDenied:
            return False

    def remove(self) -> None:
        """Delete it with its content."""
        _remove(self.path)


def _begun(pid: int) -> float:
    """Return when a process began, in seconds, unaffected by changes of the clock.

    Linux counts from the start of the machine, whose date changes with the clock; other systems store the date.
    """
    import psutil

    boot = psutil.boot_time() if psutil.LINUX else 0.0
    return psutil.Process(pid).create_time() - boot


def open_stage(home: Path, target: Path) -> Stage:
    """Create a stage in the folder `home` for a result that goes to `target`."""
    path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=home))
    stage = Stage(path, str(target), os.getpid(), _begun(os.getpid()), platform.node(), home == target)
    owner = {name: value for name, value in vars(stage).items() if name != "path"}
    try:
        (path / _OWNER).write_text(json.dumps(owner), encoding="utf-8")
        stage.new.mkdir()  # with the usual permissions
        # all who may enter the folder of the result can read who is writing into it, also other users
        (path / _OWNER).chmod(0o644)
        path.chmod(0o700 | _ENTER & (target.stat().st_mode if target.is_dir() else _ENTER))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return stage


def stages(place: Path) -> list[Stage]:
    """Return the stages in a folder."""
    return [stage for path in place.glob(PREFIX + "*") for stage in [_signed(path)] if stage is not None]


def _signed(path: Path) -> Stage | None:
    """Return the stage in a folder, or None if the folder is not a stage."""
    with contextlib.suppress(OSError, ValueError):
        try:
            match read_json(path / _OWNER):
                case {
                    "target": str(target),
                    "pid": int(pid),
                    "started": int() | float() as started,
                    "host": str(host),
                    "is_inside": bool(inside),
                }:
                    return Stage(path, target, pid, float(started), host, inside) if 0 < pid < _MOST_PROCESSES else None
        except (InputError, OverflowError):
            pass
        # its process is writing the owner file, or died while doing so
        number = path.name.removeprefix(PREFIX).split("-")[0]
        if number.isdigit() and {entry.name for entry in path.iterdir()} <= {_OWNER}:
            return Stage(path, "", min(int(number), _MOST_PROCESSES), math.nan, platform.node())
    return None


def is_for(stage: Stage, target: Path) -> bool:
    """Return whether a stage is for a result in this folder, which may have several paths or spellings."""
    other = Path(stage.target)
    if not stage.target:
        return False
    with contextlib.suppress(OSError):
        return other == target or other.samefile(target)
    with contextlib.suppress(OSError):  # it does not exist yet
        return other.name == target.name and other.parent.samefile(target.parent)
    return False


def stage_of(new: Path) -> Stage | None:
    """Return the stage whose folder for new files this is, or None."""
    stage = _signed(new.parent) if new.parent.name.startswith(PREFIX) else None
    return stage if stage is not None and stage.target and stage.new == new else None


def sweep(place: Path) -> None:
    """Remove the stages of dead processes from a folder, and restore the files that they moved."""
    for stage in stages(place):
        if not stage.is_mine and stage.is_dead:
            with contextlib.suppress(OSError, InputError):
                # only one process can rename it
                claimed = stage.path.with_name(f"{stage.path.name}-{os.getpid()}")
                stage.path.rename(claimed)
                # the folders may have been moved or mounted elsewhere since; a foreign stage could name any folder
                name = Path(stage.target).name
                _roll_back(claimed, place if stage.is_inside or name == ".." else place / name)
                _remove(claimed)


def home_of(target: Path) -> Path:
    """Return the folder for the stage of a result: the target, or its parent if the target can be exchanged as a whole.

    For a target that is no folder, it is the nearest of its parents that exists.
    """
    if target.is_dir():
        return target.parent if can_swap(target) else target
    return existing(target.parent)


def existing(path: Path) -> Path:
    """Return the path or its nearest existing parent."""
    while not path.exists():
        path = path.parent
    return path


def exchange(stage: Stage, target: Path, old: Collection[str], last: str) -> None:
    """Replace files of a folder by those of a stage, all or none.

    Parameters
    ----------
    stage
        The stage, in the folder returned by `home_of`.
    target
        The folder.
    old
        Files to remove, as paths relative to the folder, with slashes.
    last
        The file that is removed first and appears last.

    Raises
    ------
    OSError
        If a file cannot be moved; all files are restored then.
    """
    new = {name: _marks(stage.new / name) for name in _files(stage.new)}
    _write_synced(stage.path / _NAMES, json.dumps(new))
    is_beside = stage.path.parent == target.parent
    if is_beside and not _has_many_others(target, old) and _exchange_whole(stage, target, old):
        return
    try:
        (stage.path / _OLD).mkdir()  # from here on, a crash is rolled back
        for name in sorted(old, key=lambda name: (name != last, name)):
            _move(target, stage.path / _OLD, name)
        for name in sorted(new, key=lambda name: (name == last, name)):
            _move(stage.new, target, name)
        _sync(target)
        (stage.path / _OLD).rename(stage.path / _REPLACED)  # done: nothing is rolled back from here on
    except BaseException:
        _roll_back(stage.path, target)
        raise
    _remove_empty(target, old)


def _has_many_others(folder: Path, old: Collection[str]) -> bool:
    most = len(old) + _MOST_OTHERS
    return any(itertools.islice(folder.rglob("*"), most, None))


def _exchange_whole(stage: Stage, target: Path, old: Collection[str]) -> bool:
    """Replace the target by the folder with the new files; return whether that was possible."""
    whole = stage.path / _WHOLE
    try:
        known = os.open(target, os.O_RDONLY)  # as long as it is open, no other folder gets its number
    except OSError:
        return False
    try:
        whole.mkdir()
        link_files(stage.new, whole)
        link_files(target, whole, leave_out=old)
        for name in old:  # files that cannot be removed cannot be linked either
            os.link(target / name, stage.path / _PROBE, follow_symlinks=False)
            (stage.path / _PROBE).unlink()
        _sync(whole)
        swap(whole, target)
        is_same = os.path.samestat(os.fstat(known), whole.lstat())
    except OSError:
        shutil.rmtree(whole, ignore_errors=True)
        return False
    finally:
        os.close(known)
    if not is_same:
        swap(whole, target)
        raise FileExistsError(errno.EEXIST, "something else has taken its place")
    _sync(target.parent)
    # files that others have written in the meantime
    for name in set(_files(whole)) - set(old):
        if not os.path.lexists(target / name):
            with contextlib.suppress(OSError):
                _move(whole, target, name)
    return True


def sync(folder: Path) -> None:
    """Flush the files of a folder to the disk."""
    for directory, _, names in os.walk(folder):
        for name in names:
            _sync(Path(directory, name))
        _sync(Path(directory))


def _remove(stage: Path) -> None:
    """Delete a stage: the owner last, so that what a crash or an immutable file leaves is still known as a stage."""
    with contextlib.suppress(OSError):
        for entry in stage.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != _OWNER:
                entry.unlink()
        if {entry.name for entry in stage.iterdir()} <= {_OWNER}:
            shutil.rmtree(stage, ignore_errors=True)


def _roll_back(stage: Path, target: Path) -> None:
    """Undo an incomplete exchange; can be repeated until it succeeds."""
    if not (stage / _OLD).is_dir():
        return
    new = read_json(stage / _NAMES, _LONGEST_LIST)
    if not isinstance(new, dict):
        raise InputError(f"{stage / _NAMES} does not list files; remove its folder")
    # a foreign stage could name any file, and a user may have replaced one since a crash
    names = [name for name in new if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts]
    for name in names:
        moved = not os.path.lexists(stage / _NEW / name) and os.path.lexists(target / name)
        if moved and _marks(target / name) == new[name]:
            _move(target, stage / _NEW, name)
    for name in _files(stage / _OLD):
        _move(stage / _OLD, target, name)
    _remove_empty(target, names)


def _move(source: Path, target: Path, name: str) -> None:
    if os.path.lexists(target / name):
        raise FileExistsError(errno.EEXIST, f"{name} is there already")
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).rename(target / name)


def _marks(path: Path) -> list[int]:
    """Return what tells a file from one that has replaced it, and stays as it is moved: its size and time."""
    status = path.lstat()
    return [status.st_size, status.st_mtime_ns]


def _files(folder: Path) -> list[str]:
    """Return the files in a folder and its folders, as relative paths with slashes."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()]


def _remove_empty(folder: Path, names: Collection[str]) -> None:
    """Remove the folders inside `folder` that contained these files and are now empty."""
    for parent in sorted({parent for name in names for parent in PurePosixPath(name).parents}, reverse=True):
        if parent.parts:
            with contextlib.suppress(OSError):
                (folder / parent).rmdir()


def replace_synced(new: Path, old: Path) -> None:
    """Replace an old file by a new one in one step, after flushing it to the disk."""
    _sync(new)
    new.replace(old)
    _sync(old.parent)


def _write_synced(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return
    number = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # some network file systems cannot
            raise
    finally:
        os.close(number)


def interruptions() -> list[signal.Signals]:
    """Return the signals that ask a process to stop: Ctrl-C, SIGTERM, and that of a closed terminal unless ignored.

    ``nohup`` has a command ignore the last one.
    """
    stopping = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        stopping.append(signal.SIGHUP)
    return stopping


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Defer interruptions during an exchange, so that it is completed or rolled back, and reported."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in interruptions()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
