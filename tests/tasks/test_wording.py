"""Numbers and durations in words."""

from __future__ import annotations

import pytest

from napari_diner.tasks.wording import effort


@pytest.mark.parametrize(
    ("iterations", "seconds", "words"),
    [(1, 8.2, "1 iteration in 8 s"), (1200, 125.0, "1,200 iterations in 2:05 min"), (0, 3.1, "3 s")],
)
def test_iterations_are_left_out_where_none_was_completed(iterations: int, seconds: float, words: str) -> None:
    assert effort(iterations, seconds) == words
