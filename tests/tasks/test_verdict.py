"""The verdict on a result, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.tasks.comparison import Comparison
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.job import StageRecord
from napari_diner.tasks.preflight import Finding
from napari_diner.tasks.registry import task
from napari_diner.tasks.result import Result
from napari_diner.tasks.verdict import verdict

SIGNAL = "the signal in the frames"


@pytest.mark.parametrize(
    ("figures", "about_result", "text"),
    [
        ({"unexplained": 1e-9}, 0, "good, practically all of the signal in the frames is explained"),
        (
            {"unexplained": float("nan"), "unexplained_beyond_noise": float("nan"), "warnings": ["a"]},
            0,
            "good with reservations, there is no variation to explain; read the warning",
        ),
        (
            {"unexplained": 0.3, "unexplained_beyond_noise": 0.01},
            0,
            "good, only 70 % of the signal in the frames is explained, and what is left looks like noise",
        ),
        (
            {"unexplained": 0.3, "unexplained_beyond_noise": 0.2, "warnings": ["a", "b"]},
            1,
            "doubtful, only 70 % of the signal in the frames is explained, not all of it noise; "
            "read the 2 warnings, the worst is first",
        ),
        (
            {"unexplained": 1e-9, "warnings": ["a"]},
            0,
            "good with reservations, practically all of the signal in the frames is explained; read the warning",
        ),
        (
            {"unexplained": 0.9999991, "unexplained_beyond_noise": 0.9, "partial": True},
            1,
            "unfinished, practically nothing of the signal in the frames is explained",
        ),
        ({"unexplained": 0.031}, 0, "good, all but 3.1 % of the signal in the frames is explained"),
        ({"unexplained": 2.0, "partial": True}, 1, "unfinished, nothing of the signal in the frames is explained"),
    ],
)
def test_words(figures: dict[str, Any], about_result: int, text: str) -> None:
    assert verdict({"warnings": [], **figures}, SIGNAL, about_result, []) == text


def test_what_other_settings_explain_is_no_noise() -> None:
    report = {"unexplained": 0.03, "unexplained_beyond_noise": 0.001, "warnings": ["the order is another"]}
    assert verdict(report, SIGNAL, 0, [], is_suspected=True) == (
        "doubtful, all but 3 % of the signal in the frames is explained, not all of it noise; read the warning"
    )


def test_few_steps_are_no_reason_for_doubt_if_nothing_but_noise_is_left() -> None:
    for beyond, word in ((0.001, "good with reservations"), (0.02, "doubtful")):
        report = {"unexplained": 0.03, "unexplained_beyond_noise": beyond, "warnings": ["the time limit was reached"]}
        assert verdict(report, SIGNAL, 1, (), of_steps=1).startswith(f"{word}, ")


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


@pytest.mark.parametrize(
    ("figures", "advice"),
    [
        (
            {"diner-siren": (40.0, 20.0), "siren": (30.0, 10.0)},
            "use diner-siren: the DINER is 10.0 dB better than siren",
        ),
        ({"diner-siren": (30.5, 20.0), "siren": (30.0, 10.0)}, "use diner-siren, or siren if time matters"),
        ({"diner-siren": (30.05, 20.0), "siren": (30.0, 10.0)}, "use siren; diner-siren and siren are equally good"),
        (
            {"diner-siren": (25.0, 20.0), "siren": (30.0, 10.0)},
            "use siren, without a DINER; diner-siren is 5.0 dB worse",
        ),
        ({"hash-grid": (25.0, 20.0), "siren": (30.0, 10.0)}, "use siren"),
        ({"diner-mlp": (25.0, 20.0), "diner-siren": (30.0, 10.0)}, "use diner-siren"),
    ],
)
def test_a_comparison_recommends_a_diner_or_not(figures: dict[str, tuple[float, float]], advice: str) -> None:
    results = {
        name: Result("fit", (), FitRecipe(), {"psnr_db": psnr, "seconds": seconds, "warnings": []})
        for name, (psnr, seconds) in figures.items()
    }
    comparison = Comparison(task("fit"), results, {})
    assert comparison.recommendation.startswith(advice)
    assert comparison.notes()[-1] == f"recommendation: {comparison.recommendation}"
    if "siren" in figures and "diner-siren" in figures:
        assert comparison.recommendation.endswith("in 20 s instead of 10 s")


def test_a_contender_without_time_is_not_judged() -> None:
    stages = {"diner-siren": StageRecord("training", 10.0, 1, 500, 0.1, True), "siren": StageRecord("training")}
    results = {
        name: Result("fit", (), FitRecipe(), {"psnr_db": 20.0, "seconds": 9.0, "warnings": [], "stages": [vars(stage)]})
        for name, stage in stages.items()
    }
    advice = Comparison(task("fit"), results, {}).recommendation
    assert advice == "none, as diner-siren had time for the first steps only; compare with a longer time limit"


def test_a_result_from_values_that_do_not_measure_light_is_doubtful() -> None:
    sample = nd.sample("lensless", height_px=64, width_px=72, seed=4, bits=8, amplitude_min=0.2)
    curved = np.sqrt(np.asarray(sample.data.data) / 255).astype(np.float32)
    settings = sample.recipe.model_dump(exclude_unset=True) | {"gauss_newton": {"iterations": 1, "warm_up": 10}}
    report = nd.lensless(curved, **settings).report
    assert report["verdict"].startswith("doubtful")
    assert "do not measure light" in report["warnings"][0]
