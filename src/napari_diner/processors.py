"""Number of threads adapted to the processors that other programs leave idle.

Torch's threads wait for the last of them in each operation. If another program shares a processor with one of them,
every operation waits for its turn: on two processors, one busy program makes two threads ten times slower than one.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Self, TypeVar

import psutil

MOST_DIVIDED = 1 << 19
"""Most pixels of fields on which threads work one each, as each of them needs memory of its own."""

# fewest pixels for which that is faster
_FEWEST_DIVIDED = 1 << 14
T = TypeVar("T")

# threads among which `divided` divides while operations have one; 0 for as many as operations have
_teams: contextvars.ContextVar[int] = contextvars.ContextVar("teams", default=0)

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


@contextlib.contextmanager
def apart() -> Generator[None, None, None]:
    """Let torch use one thread for each operation, so that `divided` can give a part of the work to each of the others.

    Threads that have shared an operation spin for a while, in the way of those that work by themselves.
    """
    # imported here, since docks import this module when they are opened
    import torch

    before = _teams.set(_teams.get() or torch.get_num_threads())
    try:
        with one_thread():
            yield
    finally:
        _teams.reset(before)


def each_apart(steps: Iterator[T]) -> Iterator[T]:
    """Iterate over steps, each of which is taken `apart`."""
    while True:
        with apart():
            try:
                step = next(steps)
            except StopIteration:
                return
        yield step


def is_divided(shape: tuple[int, ...], device_type: str) -> bool:
    """Return whether threads are to work on a field of this shape each, instead of sharing operations on one."""
    return device_type == "cpu" and _FEWEST_DIVIDED <= math.prod(shape) <= MOST_DIVIDED


def divided(count: int, work: Callable[[range], T]) -> list[T]:
    """Give each thread a part of a range, to work on by itself; return what the parts return, in order.

    Operations on images of a few hundred pixels are too short to be shared by several threads. The range stays whole
    where threads that share operations spin for long, unless the caller works `apart`.

    Parameters
    ----------
    count
        Length of the range.
    work
        Called for each part, at the same time in several threads. A sum must not depend on which of them is faster.
    """
    # imported here, since docks import this module when they are opened
    import torch

    teams = min(_teams.get() or (torch.get_num_threads() if _spins_briefly() else 1), count)
    if teams <= 1:
        return [work(range(count))]
    cuts = [count * team // teams for team in range(teams + 1)]
    first, *others = (range(*ends) for ends in itertools.pairwise(cuts))
    with one_thread():
        started = [_pool().submit(work, part) for part in others]
        try:
            return [work(first), *(part.result() for part in started)]
        finally:
            wait(started)  # where a part fails, the others may still use the arrays


def _spins_briefly() -> bool:
    """Return whether idle threads of torch soon sleep; see `napari_diner.__init__`."""
    return sys.platform == "linux" and "GOMP_SPINCOUNT" in os.environ


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="parts")


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
