"""Patterns that no volume explains."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.tasks.idt.patterns_left import static_left
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.unexplained import Unexplained
from tests.tasks.idt.small_recordings import Array, Recording, reconstructed, started


def told(recording: Recording, frames: Array, solver: str) -> list[str]:
    quick = {"model": "born", "iterations": 8, "regularization": {"tv": 1e-3}}
    report = reconstructed(recording.recipe.updated({"solver": solver, **quick}), frames).report
    return [text for text in report["warnings"] if "stripes" in text or "same in all frames" in text]


@pytest.mark.parametrize("solver", ["voxels", "tikhonov"])
def test_stripes_and_unequal_pixels_are_named(recording: Recording, solver: str) -> None:
    frames, random = recording.frames, np.random.default_rng(7)
    size = float(frames.std())
    assert told(recording, frames, solver) == []
    flicker = np.sin(np.arange(48)[:, None] / 2.2 + 1.7 * np.arange(len(frames))[:, None, None])
    (text,) = told(recording, frames + 0.3 * size * flicker, solver)
    assert text.startswith("most frames have stripes along their rows") and "rolling shutter" in text
    (text,) = told(recording, frames + 0.25 * size * random.standard_normal((1, 1, 48)), solver)
    assert "same in all frames" in text and "columns" in text and "background" in text
    # weaker than what makes a result doubtful
    (text,) = told(recording, frames + 0.12 * size * random.standard_normal((48, 48)), solver)
    assert text.startswith("a pattern that is the same in all frames makes up ") and "a background recorded" in text


def test_samples_in_air_have_no_index_of_a_gas(recording: Recording) -> None:
    def said(index: float) -> list[str]:
        recipe = recording.recipe.updated({"solver": "tikhonov", "medium_index": index})
        warnings = reconstructed(recipe, recording.frames).report["warnings"]
        return [text for text in warnings if "check medium_index" in text]

    assert "in a medium of 1, which is that of air" in said(1.0)[0]
    assert said(1.33) == []


def test_a_run_that_ended_early_is_first_to_be_given_time() -> None:
    """The first steps leave something that frames share, whatever the background."""
    random = np.random.default_rng(3)
    data = random.standard_normal((12, 32, 32)).astype(np.float32)
    residual = 0.4 * random.standard_normal((32, 32)).astype(np.float32) + 0.1 * data
    unexplained = Unexplained.of(residual, data)

    def said(first: str) -> str:
        (text,) = static_left(residual, data, unexplained, "ratio", is_weak=True, is_described=True, first=first)
        return text

    assert "same in all frames, as of dirt, fringes or uneven light; a background recorded" in said("")
    early = said("allow more time")
    assert "same in all frames; allow more time; if that does not help, look for dirt, fringes" in early


def test_frames_along_another_axis_come_before_what_follows_from_them(recording: Recording) -> None:
    turned = np.ascontiguousarray(np.moveaxis(recording.frames, 0, 2))
    report = reconstructed(recording.recipe.updated({"solver": "tikhonov"}), turned).report
    assert "left unexplained" in report["warnings"][0] and "which axis counts the frames" in report["warnings"][0]
    assert "set axes to YXN" in report["warnings"][1]
    assert not [text for text in report["warnings"] if "first slice" in text or "the directions do not fit" in text]


def test_one_direction_for_all_frames_is_told(recording: Recording) -> None:
    def said(directions: list[tuple[float, float]]) -> list[str]:
        values = {**recording.recipe.model_dump(exclude_unset=True), "ring": {"na": None}, "illuminations": directions}
        with started(IdtRecipe.parse(values), recording.frames) as run:
            return [text for text in run.job.warnings if "the same direction of light" in text]

    assert "all 12 frames have the same direction" in said([(0.5, 0.1)] * 12)[0]
    assert said([(0.5, 0.1)] * 11 + [(0.1, 0.5)]) == []
