"""Number of threads adapted to the processors that other programs leave idle.

Torch's threads wait for the last of them in each operation. If another program shares a processor with one of them,
every operation waits for its turn: on two processors, one busy program makes two threads ten times slower than one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Self

import psutil

_INTERVAL_S = 1.0
_ASKED_EVERY_S = 0.05
_FORGOTTEN_S = 30.0  # age at which a measurement is discarded
_MISSING = 0.6  # part of a processor that must be missing before a thread is given up; less is measurement noise


@dataclass(frozen=True)
class ClockReading:
    """Wall-clock time, and processor time of all programs and of this process, in seconds."""

    wall_s: float
    busy_s: float
    own_s: float

    @classmethod
    def now(cls) -> ClockReading:
        """Read the clocks."""
        times = psutil.cpu_times()
        # guest time is included in user time
        idle = sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
        return cls(time.perf_counter(), float(sum(times) - idle), time.process_time())


class Processors:
    """Adapts the number of torch's threads to the load by other programs.

    Results for different numbers of threads agree to rounding, as sums are taken in a different order.

    Parameters
    ----------
    clock
        Reads the clocks.
    count
        Number of processors; that of this machine if None.
    """

    def __init__(self, clock: Callable[[], ClockReading] = ClockReading.now, count: int | None = None) -> None:
        self._clock = clock
        self._count = count or psutil.cpu_count() or 1
        self._last = clock()

    def threads(self, most: int) -> int | None:
        """Return the number of threads, at most `most`, with a processor of their own; None if too early to know."""
        last, now = self._last, self._clock()
        passed = now.wall_s - last.wall_s
        if passed < _INTERVAL_S:
            return None
        self._last = now
        if passed > _FORGOTTEN_S:
            return None
        by_others = ((now.busy_s - last.busy_s) - (now.own_s - last.own_s)) / passed
        return max(1, min(most, int(self._count - by_others + _MISSING)))


_processors = Processors()  # starts measuring on import, before torch is loaded


@contextlib.contextmanager
def one_thread() -> Generator[None, None, None]:
    """Let torch use one thread: operations on small arrays take longer with more, several times if they are shared."""
    # imported here, since docks import this module when they are opened
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Threads:
    """Torch's threads in one run: at most as many as when the run began.

    If the environment gives their number by ``OMP_NUM_THREADS``, it is left alone, and runs can be repeated to the last
    bit.
    """

    def __init__(self) -> None:
        self._most: int | None = None
        self._again_at = 0.0
        self.used: set[int] = set()
        """Numbers of threads that the run has had."""

    def share(self) -> None:
        """Let torch use as many threads as have a processor of their own; fast enough for every step."""
        # imported here, since docks import this module when they are opened
        import torch

        if self._most is None:
            self._most = torch.get_num_threads()
        now = time.perf_counter()
        if now < self._again_at:
            return
        # reading the clocks of all programs takes as long as a short step
        self._again_at = now + _ASKED_EVERY_S
        is_fixed = self._most == 1 or "OMP_NUM_THREADS" in os.environ
        threads = None if is_fixed else _processors.threads(self._most)
        if threads is not None and threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        self.used.add(torch.get_num_threads())

    def __enter__(self) -> Self:
        self.share()
        return self

    def __exit__(self, *error: object) -> None:
        self.restore()

    def restore(self) -> None:
        """Restore the number of threads."""
        if self._most is not None:
            import torch

            torch.set_num_threads(self._most)
