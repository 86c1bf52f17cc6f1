"""Representations of the same data side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from skimage.io import imread

from napari_diner.errors import DinerError, RecipeError
from napari_diner.tasks.comparison import Comparison
from napari_diner.tasks.fit.job import FitJob
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.fit.state import FitState
from napari_diner.tasks.fit.task import FitTask
from napari_diner.tasks.job import Outcome, RunRecord
from napari_diner.tasks.result import Progress
from napari_diner.tasks.run import Run
from napari_diner.tasks.task import Frames

NAMES = ("diner-siren", "siren", "pixels")


def run(frames: Frames, names: tuple[str, ...] = NAMES, epochs: int = 60) -> Comparison:
    """Compare after a number of steps, which a busy machine does not change, and not after a time."""
    recipe = FitRecipe.parse({"epochs": epochs, "diner": {"lattice_size": 24}})
    with FitTask().compare(recipe, frames, names=names, seconds=1000.0) as comparison:
        seen = {progress.contender for progress in comparison}
        assert seen == set(names)
        return comparison.result()


def test_the_closest_wins_but_pixels_do_not_compete(image: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    comparison = run(Frames(image, "YXS"))
    assert list(comparison.results) == list(NAMES)
    assert comparison.scores("pixels")["psnr_db"] > 100
    rivals = {name: comparison.scores(name)["psnr_db"] for name in NAMES[:2]}
    assert rivals[comparison.winner] >= max(rivals.values()) - 0.1
    assert any(note.endswith(comparison.winner) for note in comparison.notes())
    assert comparison.notes()[-1].startswith("recommendation: use ")
    assert "pixels: not in the competition" in comparison.notes()
    headings, rows = comparison.rows()
    assert headings[:3] == ["", "unexplained", "PSNR dB"]
    assert [row[0] for row in rows] == list(NAMES)
    assert json.loads(json.dumps(comparison.report))["winner"] == comparison.winner
    # each curve ends near what its contender reached
    for name in NAMES[:2]:
        assert comparison.curves[name][-1, 1] == pytest.approx(rivals[name], abs=4)
    comparison.save_figure(tmp_path / "figure.png")
    assert imread(tmp_path / "figure.png").std() > 10


@pytest.mark.parametrize("axes", ["ZYX", "CYX", "TYXS"])
def test_figures_of_all_kinds_of_data(axes: str, tmp_path: Path, volume: npt.NDArray[np.uint16]) -> None:
    data: npt.NDArray[Any] = volume
    if axes == "TYXS":
        data = np.stack([volume[:, :, :, None] // 20] * 3, -2)[..., 0].astype(np.uint8)
    comparison = run(Frames(data, axes), ("diner-mlp",), 50)
    comparison.save_figure(tmp_path / "figure.png")
    assert imread(tmp_path / "figure.png").std() > 5


def test_stopping_keeps_what_there_is(image: npt.NDArray[np.uint8]) -> None:
    comparison = FitTask().compare(FitRecipe(), Frames(image, "YXS"), names=NAMES, seconds=100.0)
    for number, _ in enumerate(comparison):
        if number == 5:
            break
    found = comparison.result()
    assert list(found.results) == ["diner-siren"]
    assert found.results["diner-siren"].partial


def test_interrupting_a_step_keeps_what_there_is(image: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    progress, calls = Run._progress, list[int]()

    def interrupted(*arguments: Any) -> Progress:
        calls.append(1)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return progress(*arguments)

    monkeypatch.setattr(Run, "_progress", interrupted)
    comparison = FitTask().compare(FitRecipe(), Frames(image, "YXS"), names=NAMES, seconds=100.0)
    with pytest.raises(KeyboardInterrupt):
        list(comparison)
    assert comparison.result().results["diner-siren"].partial


def test_an_unknown_representation(image: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(RecipeError, match="no contender 'jpeg'"):
        FitTask().compare(FitRecipe(), Frames(image), names=("jpeg",))


def test_a_contender_that_cannot_run_is_left_out(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 200, (2, 3, 2, 12, 10)).astype(np.uint8)
    recipe = FitRecipe.parse({"diner": {"lattice_size": 12}, "channels": "separate", "axes": "TCZYX"})
    with FitTask().compare(recipe, Frames(data), names=("hash-grid", "diner-mlp"), seconds=0.5) as comparison:
        for _ in comparison:
            pass
        outcome = comparison.result()
    assert list(outcome.results) == ["diner-mlp"]
    assert outcome.winner == "diner-mlp"
    (note,) = (text for text in outcome.notes() if text.startswith("hash-grid"))
    assert "left out, as A hash grid represents signals of at most 4 axes, not of 5" in note


def test_a_comparison_of_none_that_can_run_is_refused() -> None:
    data = np.zeros((2, 3, 2, 12, 10), np.uint8)
    recipe = FitRecipe.parse({"channels": "separate", "axes": "TCZYX"})
    comparison = FitTask().compare(recipe, Frames(data), names=("hash-grid",), seconds=0.5)
    with pytest.raises(RecipeError, match="at most 4 axes"), comparison:
        next(comparison)


def test_what_diverges_on_the_way_costs_the_others_nothing(
    image: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome_of = FitJob.outcome

    def outcome(job: FitJob, state: FitState, record: RunRecord) -> Outcome:
        if job.recipe.representation == "siren":
            raise DinerError("It diverged.")
        return outcome_of(job, state, record)

    monkeypatch.setattr(FitJob, "outcome", outcome)
    comparison = run(Frames(image, "YXS"), ("siren", "diner-mlp"), 50)
    assert list(comparison.results) == ["diner-mlp"]
    assert comparison.notes()[0] == "siren: left out, as It diverged"
