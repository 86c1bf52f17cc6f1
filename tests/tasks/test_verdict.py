"""The verdict on a result, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.tasks.preflight import Finding
from napari_diner.tasks.verdict import verdict

SIGNAL = "the signal in the frames"


@pytest.mark.parametrize(
    ("figures", "about_result", "text"),
    [
        ({"unexplained": 1e-9}, 0, "good, practically all of the signal in the frames is explained"),
        (
            {"unexplained": 0.3, "unexplained_beyond_noise": 0.01},
            0,
            "good, all but 30 % of the signal in the frames is explained, and what is left looks like noise",
        ),
        (
            {"unexplained": 0.3, "unexplained_beyond_noise": 0.2, "warnings": ["a", "b"]},
            1,
            "doubtful, all but 30 % of the signal in the frames is explained, not all of it noise; "
            "read the 2 warnings, the worst is first",
        ),
        (
            {"unexplained": 1e-9, "warnings": ["a"]},
            0,
            "good with reservations, practically all of the signal in the frames is explained; read the warning",
        ),
        ({"unexplained": 2.0, "partial": True}, 1, "unfinished, nothing of the signal in the frames is explained"),
    ],
)
def test_words(figures: dict[str, Any], about_result: int, text: str) -> None:
    assert verdict({"warnings": [], **figures}, SIGNAL, about_result, []) == text


def test_a_band_that_is_not_determined_is_uncertain() -> None:
    lines = [Finding("band", "doubtful", "slow changes are lost"), Finding("zeros", "doubtful", "two even distances")]
    text = verdict({"unexplained": 0.0, "warnings": []}, SIGNAL, 0, lines)
    assert text.endswith("; slow changes are lost") and "even" not in text


def test_every_report_has_one() -> None:
    image = np.random.default_rng(0).random((12, 12))
    report = nd.fit(image, epochs=3).report
    assert report["verdict"] == "doubtful, nothing of the variation of the data is explained; read the warning"
    assert report["checks"][0]["aspect"] == "sampling"
    exact = nd.fit(image, representation="pixels").report
    assert exact["verdict"].startswith("good with reservations, practically all")
