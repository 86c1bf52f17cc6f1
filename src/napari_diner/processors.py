"""As many threads as there are processors that nobody else keeps busy.

The threads that torch divides an operation among wait for the last of them. Where another program takes turns with one
of them on its processor, every operation waits for a turn: on two processors, one busy program makes two threads ten
times slower than one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

_INTERVAL_S = 1.0
# what was true longer ago says nothing about now
_FORGOTTEN_S = 30.0
# part of a processor that must be missing before a thread is given up: less is the noise of the measurement
_MISSING = 0.6


@dataclass(frozen=True)
class Look:
    """What the clocks show: seconds on the wall, of work on all processors, and of work of this process."""

    wall_s: float
    busy_s: float
    own_s: float

    @classmethod
    def now(cls) -> Look:
        """Read the clocks."""
        times = psutil.cpu_times()
        # guests are counted among the users' already
        idle = sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
        return cls(time.perf_counter(), float(sum(times) - idle), time.process_time())


class Processors:
    """Adapts the number of torch's threads to what other programs leave.

    Results agree between numbers of threads to rounding, as sums are taken in another order.

    Parameters
    ----------
    look
        Reads the clocks.
    count
        Number of processors; those of this machine if None.
    """

    def __init__(self, look: Callable[[], Look] = Look.now, count: int | None = None) -> None:
        self._look = look
        self._count = count or psutil.cpu_count() or 1
        self._last = look()

    def threads(self, most: int) -> int | None:
        """Return how many threads, `most` at most, have a processor of their own; None if it is too early to tell."""
        last, now = self._last, self._look()
        passed = now.wall_s - last.wall_s
        if passed < _INTERVAL_S:
            return None
        self._last = now
        if passed > _FORGOTTEN_S:
            return None
        by_others = ((now.busy_s - last.busy_s) - (now.own_s - last.own_s)) / passed
        return max(1, min(most, int(self._count - by_others + _MISSING)))


# begins to look when it is imported: by the time that torch is loaded it knows
_processors = Processors()


class Threads:
    """The threads that torch may use in one run: at most as many as when the run began."""

    def __init__(self) -> None:
        self._most: int | None = None

    def share(self) -> None:
        """Let torch use as many threads as have a processor of their own; cheap enough for every step."""
        # imported here, because docks that were only opened know this module too
        import torch

        if self._most is None:
            self._most = torch.get_num_threads()
        threads = None if self._most == 1 else _processors.threads(self._most)
        if threads is not None and threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    def restore(self) -> None:
        """Give torch back what it had."""
        if self._most is not None:
            import torch

            torch.set_num_threads(self._most)
