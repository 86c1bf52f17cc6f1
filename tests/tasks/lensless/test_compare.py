"""The comparison of solvers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from napari_diner.tasks.lensless.compare import LenslessComparison, compare
from skimage.io import imread

from napari_diner.errors import RecipeError
from napari_diner.simulate.lensless.recording import LenslessSample
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.truth import Truth


@pytest.fixture
def comparison(recipe: LenslessRecipe, sample: LenslessSample, truth: Truth) -> LenslessComparison:
    contenders = ("alternating", "gauss-newton")
    run = compare(recipe, LenslessData(sample.frames), truth=truth, solvers=contenders, seconds=3.0)
    assert {progress.stage for progress in run} == {
        "alternating: alternating",
        "gauss-newton: a look at the noise",
        "gauss-newton: gauss-newton",
    }
    return run.result()


def test_the_most_accurate_wins_and_is_named(comparison: LenslessComparison) -> None:
    assert comparison.criterion == "phase_psnr_db"
    phases = {name: comparison.scores(name)["phase_psnr_db"] for name in comparison.results}
    assert phases[comparison.winner] >= max(phases.values()) - 0.1
    table = comparison.table()
    assert table.splitlines()[-1].endswith(comparison.winner)
    assert all(name in table for name in phases)
    assert json.loads(json.dumps(comparison.report))["winner"] == comparison.winner


def test_the_figure_is_drawn(comparison: LenslessComparison, tmp_path: Path) -> None:
    comparison.save_figure(tmp_path / "figure.png")
    picture = imread(tmp_path / "figure.png")
    assert picture.shape[0] > 300
    assert picture.std() > 10


def test_without_a_truth_the_measurement_decides(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    run = compare(recipe, LenslessData(sample.frames), solvers=("gauss-newton",), seconds=3.0)
    for _ in run:
        pass
    assert run.result().criterion == "measurement_psnr_db"


def test_an_unknown_contender(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    with pytest.raises(RecipeError, match="no solver 'magic'"):
        compare(recipe, LenslessData(sample.frames), solvers=("magic",))
