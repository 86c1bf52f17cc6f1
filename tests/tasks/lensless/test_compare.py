"""The comparison of solvers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from napari_diner.errors import RecipeError
from napari_diner.simulate.lensless.recording import LenslessSample
from napari_diner.tasks.comparison import Comparison
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.task import LenslessTask
from napari_diner.tasks.lensless.truth import Truth
from napari_diner.tasks.task import Frames


@pytest.fixture
def comparison(recipe: LenslessRecipe, sample: LenslessSample, truth: Truth) -> Comparison:
    contenders = ("alternating", "gauss-newton")
    run = LenslessTask().compare(recipe, Frames(sample.frames), truth=truth, names=contenders, seconds=3.0)
    assert {progress.stage for progress in run} == {
        "alternating: alternating",
        "gauss-newton: noise estimate",
        "gauss-newton: gauss-newton",
    }
    return run.result()


def test_the_most_accurate_wins_and_is_named(comparison: Comparison) -> None:
    assert comparison.criterion == "phase_psnr_db"
    phases = {name: comparison.scores(name)["phase_psnr_db"] for name in comparison.results}
    assert phases[comparison.winner] >= max(phases.values()) - 0.1
    assert comparison.notes()[-1].endswith(comparison.winner)
    headings, rows = comparison.rows()
    assert "phase dB" in headings
    assert [row[0] for row in rows] == list(phases)
    assert json.loads(json.dumps(comparison.report))["winner"] == comparison.winner


def test_the_figure_is_drawn(comparison: Comparison, tmp_path: Path) -> None:
    comparison.save_figure(tmp_path / "figure.png")
    picture = imread(tmp_path / "figure.png")
    assert picture.shape[0] > 300
    assert picture.std() > 10


def test_without_a_truth_the_measurement_decides(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    run = LenslessTask().compare(recipe, Frames(sample.frames), names=("gauss-newton",), seconds=3.0)
    for _ in run:
        pass
    assert run.result().criterion == "measurement_psnr_db"


def test_an_unknown_contender(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    with pytest.raises(RecipeError, match="no contender 'magic'"):
        LenslessTask().compare(recipe, Frames(sample.frames), names=("magic",))


def test_curves_have_gaps_where_a_stage_has_no_loss(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    run = LenslessTask().compare(recipe, Frames(sample.frames), names=("diner",), seconds=3.0)
    stages = {progress.stage: "loss" in progress.losses for progress in run}
    assert stages["diner: diner"]
    # the misfit of the values that the table takes over is another quantity
    assert not stages["diner: diner: starting values"], stages
    assert np.isnan(run.result().curves["diner"][:, 1]).any()
