"""Torch gets as many threads as there are idle processors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_diner.processors import ClockReading, Processors


class Clocks:
    """Clocks of a machine that other programs and this one keep busy."""

    def __init__(self) -> None:
        self.look = ClockReading(100.0, 5000.0, 12.0)

    def __call__(self) -> ClockReading:
        return self.look

    def go_on(self, seconds: float, others: float, own: float) -> None:
        """Let time pass, with so many processors busy with others and with this process."""
        self.look = ClockReading(
            self.look.wall_s + seconds, self.look.busy_s + seconds * (others + own), self.look.own_s + seconds * own
        )


@pytest.mark.parametrize(
    ("count", "most", "others", "own", "threads"),
    [
        (2, 2, 0.0, 2.0, 2),
        (2, 2, 0.1, 1.8, 2),
        (2, 2, 1.0, 1.0, 1),
        (2, 2, 0.7, 1.3, 1),
        (2, 1, 0.0, 1.0, 1),
        (2, 2, 2.0, 0.3, 1),
        (16, 8, 3.0, 8.0, 8),
        (16, 16, 3.0, 13.0, 13),
        (16, 16, 0.3, 15.7, 16),
    ],
)
def test_threads_are_those_that_others_leave(count: int, most: int, others: float, own: float, threads: int) -> None:
    clocks = Clocks()
    processors = Processors(clocks, count)
    clocks.go_on(2, others, own)
    assert processors.threads(most) == threads


def test_a_moment_says_nothing_and_neither_does_what_was_long_ago() -> None:
    clocks = Clocks()
    processors = Processors(clocks, 2)
    clocks.go_on(0.5, 2, 0)
    assert processors.threads(2) is None
    clocks.go_on(60, 2, 0)
    assert processors.threads(2) is None
    clocks.go_on(1.5, 0, 2)
    assert processors.threads(2) == 2


def test_the_clocks_of_this_machine_see_a_busy_program() -> None:
    before = ClockReading.now()
    subprocess.run([sys.executable, "-c", "sum(range(20_000_000))"], check=True)
    after = ClockReading.now()
    others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    assert others > 0.5 * (after.wall_s - before.wall_s)
    assert after.own_s - before.own_s < 0.5 * (after.wall_s - before.wall_s)
