"""Torch gets as many threads as there are idle processors."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from napari_diner.processors import ClockReading, Processors, apart, divided, each_apart


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


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_a_range_is_divided_among_threads_in_order_while_operations_have_one() -> None:
    together = threading.Barrier(3, timeout=20)

    def of(numbers: range) -> tuple[list[int], int]:
        together.wait()
        return [*numbers], torch.get_num_threads()

    with apart():
        assert torch.get_num_threads() == 1
        assert divided(8, of) == [([0, 1], 1), ([2, 3, 4], 1), ([5, 6, 7], 1)]
        with apart():
            assert len(divided(8, len)) == 3
    assert torch.get_num_threads() == 3
    assert divided(1, len) == [1]


@pytest.mark.usefixtures("three_threads")
def test_threads_have_ended_before_a_failure_is_told() -> None:
    ended = []

    def of(numbers: range) -> None:
        if 0 in numbers:
            raise MemoryError("of the first part")
        time.sleep(0.05)
        ended.append(numbers)

    with apart(), pytest.raises(MemoryError, match="of the first part"):
        divided(3, of)
    assert len(ended) == 2
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_only_the_steps_themselves_are_taken_apart() -> None:
    seen = [(inside, torch.get_num_threads()) for inside in each_apart(torch.get_num_threads() for _ in range(2))]
    assert seen == [(1, 3), (1, 3)]
