"""The main memory that is free, and the refusal of what does not fit it. Free of torch."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import psutil

from napari_diner.errors import OutOfMemoryError

FEWER = "crop or bin the frames, or use a larger machine"
"""The usual cure."""
# where Linux has the limit of a group of processes, and what they use of it: versions 2 and 1
_LIMITS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def free_bytes() -> int:
    """Return the bytes of main memory that can still be allocated; limits of containers and batch systems count."""
    return min(int(psutil.virtual_memory().available), _left_in_group())


def check(needed: int, what: str, cure: str = FEWER) -> None:
    """Check that `needed` bytes of main memory can be allocated.

    Raises
    ------
    OutOfMemoryError
        If they cannot; `what` is the subject of the message, and `cure` its end.
    """
    refuse_beyond(free_bytes(), needed, what, "main", cure)


def refuse_beyond(free: int, needed: int, what: str, where: str, cure: str) -> None:
    """Refuse what needs more bytes than are free, as `check` does, in a memory that is called `where`."""
    if needed > free:
        raise OutOfMemoryError(
            f"{what} needs about {needed / 1e9:.1f} GB but only {free / 1e9:.1f} GB of {where} memory are free; {cure}"
        )


def _left_in_group() -> int:
    """Return the bytes that the limit of a container or a batch system leaves, if there is one (Linux only)."""
    for folder, limit, used in _LIMITS:
        with contextlib.suppress(OSError, ValueError, KeyError):
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # pages of files that can be dropped do not count
            taken = int((folder / used).read_text()) - int(statistics["inactive_file"])
            return max(int((folder / limit).read_text()) - taken, 0)
    return sys.maxsize
