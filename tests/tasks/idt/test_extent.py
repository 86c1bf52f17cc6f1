"""Slices recommended for a recording, compared with where its sample is."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.physics.idt.preflight import axial_sampling
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.check import Ranking
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.task import IdtTask, simulate
from napari_diner.tasks.task import Frames


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
