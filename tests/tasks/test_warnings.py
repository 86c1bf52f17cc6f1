"""Warnings about recipe and data before a run, in its report, and in a comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import napari_diner as nd
from napari_diner.tasks.python_data import as_frames
from napari_diner.tasks.registry import task
from napari_diner.tasks.saving import save
from napari_diner.tasks.task import Frames


def single_height() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.5, 1.0, (1, 16, 16)).astype(np.float32)


OPTICS = {"wavelength_um": 0.532, "pixel_size_um": 1.12, "distances_um": (300.0,), "max_seconds": 1.0}


def test_warnings_are_known_before_the_first_step() -> None:
    run = nd.lensless.start(single_height(), **OPTICS)
    assert any("single height" in warning for warning in run.warnings)
    with run:
        for _ in run:
            pass
        report = run.result().report
    assert set(run.warnings) <= set(report["warnings"])


def test_a_comparison_says_whom_a_warning_concerns() -> None:
    lensless = task("lensless")
    recipe = lensless.recipe_type.parse({**OPTICS, "max_seconds": None})
    with lensless.compare(recipe, as_frames(single_height()), names=("gauss-newton", "alternating"), seconds=1) as run:
        for _ in run:
            pass
        notes = run.result().notes()
    assert any("(gauss-newton, alternating)" in note and "single height" in note for note in notes)


def test_a_recipe_of_a_result_knows_its_data(tmp_path: Path) -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    fit = task("fit")
    with fit.start(fit.recipe_type.parse({"representation": "pixels"}), Frames(image)) as run:
        for _ in run:
            pass
        result = run.result()
    assert result.recipe.input_sha256 == result.report["input_sha256"]
    save(result, tmp_path / "fit")
    recipe = fit.recipe_type.load(tmp_path / "fit" / "recipe.yaml")
    assert not any("checksums differ" in warning for warning in fit.start(recipe, Frames(image)).warnings)
    assert "checksums differ" in fit.start(recipe, Frames(image + 1)).warnings[0]
