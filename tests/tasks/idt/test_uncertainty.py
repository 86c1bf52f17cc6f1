"""Uncertainty requested by a recipe: volumes, a picture, and sentences in the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_diner.tasks.idt.task import PICTURE, RECORDED, IdtTask
from napari_diner.tasks.result import Result
from tests.tasks.idt.small_recordings import Recording, reconstructed, started

ASKED = {"solver": "tikhonov", "uncertainty": {"map": True, "samples": 3}}


@pytest.fixture(scope="module")
def result(recording: Recording) -> Result:
    return reconstructed(recording.recipe.updated(ASKED), recording.frames)


def test_volumes_have_the_size_of_the_index(result: Result) -> None:
    index = result["n_re"]
    for name in ("n_uncertainty", "n_im_uncertainty", "n_prior_change"):
        assert (result[name].data.shape, result[name].scale_um) == (index.data.shape, index.scale_um)
    assert result["n_deviations"].data.shape == (3, *index.data.shape)
    assert (result["n_uncertainty"].data > 0).all()


def test_the_report_says_what_is_not_in_the_data(result: Result) -> None:
    report = result.report["uncertainty"]
    np.testing.assert_allclose(report["noise"], 0.002, rtol=0.3)
    periods = [band["axial_period_um"] for band in report["bands"]]
    # the coarser the octave, the wider the missing cone
    assert periods[-1] > 1.5 * periods[-2] and f"below {periods[-1]:.2g} µm" in report["statements"][0]
    assert "for noise only" in report["statements"][1]
    assert not any("times their noise" in sentence for sentence in report["statements"])
    # the figures of the run are those of the solver
    assert result.report["iterations"] == 1
    assert any(row.value == report["statements"][0] for row in IdtTask().summary_rows(result.report))


def test_errors_of_the_model_are_told_from_noise(recording: Recording) -> None:
    wrong = np.roll(recording.frames, 1, axis=0)
    report = reconstructed(recording.recipe.updated(ASKED), wrong).report["uncertainty"]
    assert any("times their noise" in sentence for sentence in report["statements"])


def test_the_recorded_frequencies_are_drawn(result: Result, tmp_path: Path) -> None:
    assert IdtTask().write_extras(result, tmp_path) == (PICTURE, RECORDED)
    assert (tmp_path / RECORDED).stat().st_size > 5000


def test_no_volumes_unless_asked_for_and_without_time(recording: Recording) -> None:
    plain = reconstructed(recording.recipe.updated({"solver": "tikhonov"}), recording.frames)
    names = {array.name for array in plain.arrays}
    assert names == {"n_re", "n_im", "residual"}
    with started(recording.recipe.updated({**ASKED, "max_seconds": 1e-3}), recording.frames) as run:
        for _ in run:
            pass
        late = run.result()
    assert "uncertainty" not in late.report
    assert any("no time was left for the uncertainty" in warning for warning in late.report["warnings"])
