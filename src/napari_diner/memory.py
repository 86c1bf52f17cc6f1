"""Free main memory, and checks against it. Does not import torch."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import psutil

from napari_diner.errors import OutOfMemoryError

FEWER = "crop or bin the frames, or use a larger machine"
"""The usual cure."""
# files with the limit of a control group and with its usage, for versions 2 and 1
_LIMITS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def free_bytes() -> int:
    """Return the free main memory in bytes, within the limits of containers and batch systems."""
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
    """Raise the error of `check` if more bytes are needed than are free in the memory called `where`."""
    if needed > free:
        raise OutOfMemoryError(
            f"{what} needs about {needed / 1e9:.1f} GB but only {free / 1e9:.1f} GB of {where} memory are free; {cure}"
        )


def _left_in_group() -> int:
    """Return the bytes left within the limit of a container or batch system, if there is one (Linux only)."""
    for folder, limit, used in _LIMITS:
        with contextlib.suppress(OSError, ValueError, KeyError):
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # cached pages of files can be dropped and do not count
            taken = int((folder / used).read_text()) - int(statistics["inactive_file"])
            return max(int((folder / limit).read_text()) - taken, 0)
    return sys.maxsize
