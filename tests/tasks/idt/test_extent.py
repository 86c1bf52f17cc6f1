"""Slices recommended for a recording, compared with where its sample is."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.preflight import axial_sampling
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.check import Ranking
from napari_diner.tasks.idt.optics import preflight
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.task import IdtTask, simulate
from napari_diner.tasks.task import Frames
from tests.tasks.idt.small_recordings import Recording, reconstructed, started


def ranked(recipe: IdtRecipe, frames: object) -> Ranking:
    (check,) = (check for check in IdtTask.checks if check.name == "slices")
    return IdtTask().rank(check, recipe, Frames(frames))


def test_the_slices_cover_the_sample_and_little_more() -> None:
    settings = IdtSimulation(
        slices=40, height_px=72, width_px=72, frames=12, slice_spacing_um=0.4, model="born", seed=2
    )
    sample = simulate(settings)
    filled = (sample.truth[0].data - settings.medium_index).sum((1, 2))
    z = (np.arange(40) - 19.5) * 0.4
    inside = z[filled > 0.05 * filled.max()]
    ranking = ranked(sample.recipe, sample.data.data)
    best, half, given = ranking.alternatives
    assert ranking.given == 2 and not given.changes
    spacing, first = float(best.changes["slice_spacing_um"]), float(best.changes["first_slice_um"])
    last = first + spacing * (int(best.changes["slice_count"]) - 1)
    assert first < inside.min() < inside.max() < last
    assert last - first < 2.2 * np.ptp(inside)
    # finer slices are offered, and none beyond the limit
    assert float(half.changes["slice_spacing_um"]) == pytest.approx(spacing / 2, abs=0.01)
    changed = sample.recipe.updated(best.changes)
    geometry = changed.geometry((changed.slice_count, 72, 72))
    assert axial_sampling(geometry, changed.illumination(12)).fine
    assert ranking.picture is not None and ranking.picture.std() > 20


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"slice_count": 3}, "the first slice, at -0.6 µm and the last slice, at 0.6 µm"),
        ({"slice_count": 6, "first_slice_um": 0.2}, "the first slice, at 0.2 µm,"),
        ({"slice_spacing_um": 0.15}, "the first slice, at -0.525 µm and"),
    ],
)
def test_a_sample_that_reaches_beyond_the_slices_is_told(
    recording: Recording, changes: dict[str, object], words: str
) -> None:
    quick = {"iterations": 8, "regularization": {"tikhonov": 10.0, "tv": 0.002}}
    result = reconstructed(recording.recipe.updated({**quick, **changes}), recording.frames)
    said = [text for text in result.report["warnings"] if text.startswith("the sample reaches")]
    assert [words in text for text in said] == ([True] if words else [])


@pytest.mark.parametrize("noise", [0.002, 0.02])
def test_noise_in_the_slices_at_the_ends_is_not_taken_for_a_sample(recording: Recording, noise: float) -> None:
    def said(**changes: object) -> list[str]:
        recipe = recording.recipe.updated({"solver": "tikhonov", **changes})
        warnings = reconstructed(recipe, frames).report["warnings"]
        return [text for text in warnings if text.startswith("the sample reaches")]

    frames = recording.frames + noise * np.random.default_rng(3).standard_normal(recording.frames.shape)
    assert said() == []
    if noise < 0.01:
        assert said(slice_count=4)


@pytest.mark.parametrize("first_um", [9.0, -17.0])
def test_slices_beside_the_sample_are_named_and_nothing_else(recording: Recording, first_um: float) -> None:
    said = started(recording.recipe.updated({"first_slice_um": first_um}), recording.frames).warnings
    assert any("fit better with slices from -" in text and "Which slices?" in text for text in said)
    assert not [text for text in said if "pixels about" in text or "turned by 180°" in text]


@pytest.mark.parametrize("changes", [{"slice_spacing_um": 2.2}, {"slice_count": 60}])
def test_slices_that_are_few_or_many_are_no_reason_to_doubt_the_optics(
    recording: Recording, changes: dict[str, float]
) -> None:
    said = started(recording.recipe.updated(changes), recording.frames).warnings
    for untrue in ("pixels about", "the directions do not fit", "index of the sample"):
        assert not [text for text in said if untrue in text], said


@pytest.mark.parametrize(
    ("na", "count", "spacing_um", "warns"),
    [
        (0.25, 24, 0.5, True),
        (0.16, 30, 1.0, True),
        (0.25, 24, 2.0, False),
        (0.65, 24, 0.5, False),
        (0.25, 1, 0.5, False),
    ],
)
def test_a_volume_in_which_nothing_can_vary_along_z_is_told(
    na: float, count: int, spacing_um: float, *, warns: bool
) -> None:
    geometry = VolumeGeometry((count, 32, 32), spacing_um, 0.515, 1.33, 0.1625, na)
    told = [sentence for sentence in preflight(geometry, ring(0.98 * na, 12)) if "slices are" in sentence]
    assert bool(told) is warns
    if told:
        assert f"the {count} slices are {count * spacing_um:.3g} µm thick together" in told[0]
