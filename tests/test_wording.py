"""Numbers and durations in words."""

from __future__ import annotations

import pytest

from napari_diner.wording import digits, effort


@pytest.mark.parametrize(
    ("iterations", "seconds", "words"),
    [(1, 8.2, "1 iteration in 8 s"), (1200, 125.0, "1,200 iterations in 2:05 min"), (0, 3.1, "3 s")],
)
def test_iterations_are_left_out_where_none_was_completed(iterations: int, seconds: float, words: str) -> None:
    assert effort(iterations, seconds) == words


@pytest.mark.parametrize(
    ("value", "count", "words"),
    [
        (672.4, 2, "670"),
        (1338.0, 3, "1340"),
        (0.0312, 2, "0.031"),
        (-0.5, 3, "-0.5"),
        (12.0, 4, "12"),
        (2e7, 2, "2e+07"),
    ],
)
def test_numbers_have_no_exponent_where_people_write_none(value: float, count: int, words: str) -> None:
    assert digits(value, count) == words
