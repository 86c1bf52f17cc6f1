"""Recordings of objects that others have published are not doubted."""

from __future__ import annotations

from pathlib import Path


def test_right_directions_of_a_strong_and_deep_sample_are_not_doubted(data_folder: Path) -> None:
    import false_alarms

    recordings = false_alarms.directions_of_others(data_folder)
    task, _, frames, settings = next(one for one in recordings if one[1] == "phantom, 1.5 rad")
    assert false_alarms.doubts(task, frames, settings) == []
