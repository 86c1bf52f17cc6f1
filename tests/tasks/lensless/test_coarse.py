"""A start from larger pixels: frames are averaged, fields lie where they belong, and the start is better."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from napari_diner.physics.settings import PaddingSettings
from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.solvers.settings import GaussNewtonSettings
from napari_diner.tasks.lensless import coarse
from napari_diner.tasks.lensless.coarse import CoarseStart, binned
from napari_diner.tasks.lensless.data import LenslessData, prepare
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.truth import phase_error
from napari_diner.tasks.run import Run

SIDE = 96
QUICK = GaussNewtonSettings()


@pytest.fixture(scope="module")
def sample() -> LenslessSample:
    return simulate(LenslessSimulation(height_px=SIDE, width_px=SIDE, distances_um=(150.0, 200.0, 260.0)))


@pytest.fixture(autouse=True)
def _small_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coarse, "_WIDE_PX", 64)
    monkeypatch.setattr(coarse, "_SMALLEST_PX", 24)


def recipe_of(sample: LenslessSample, **changes: object) -> LenslessRecipe:
    return LenslessRecipe.parse(
        {
            "wavelength_um": sample.wavelength_um,
            "pixel_size_um": sample.pixel_size_um,
            "distances_um": sample.distances_um,
            "intensity_scale": sample.intensity_scale,
            "solver": "gauss-newton",
            **changes,
        }
    )


def prepared_of(sample: LenslessSample) -> tuple[PreparedFrames, Setup]:
    recipe = recipe_of(sample)
    prepared = prepare(recipe, LenslessData(sample.frames))
    return prepared, Setup.of(recipe, prepared.gains)


def test_frames_are_averaged_over_blocks() -> None:
    amplitudes = np.sqrt(np.arange(30, dtype=np.float32).reshape(1, 5, 6))
    mask, at_least = np.ones((1, 5, 6), bool), np.zeros((1, 5, 6), bool)
    mask[0, 0, 1] = False
    at_least[0, 3, 5] = True
    frames = PreparedFrames(amplitudes, mask, 29.0, 1.0, (1.0,), (), at_least)
    half = binned(frames, 2)
    np.testing.assert_allclose(half.amplitudes[0] ** 2, [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]], rtol=1e-6)
    assert half.mask is not None
    assert half.mask[0].tolist() == [[False, True, True], [True, True, True]]
    assert half.at_least is not None
    assert half.at_least[0].tolist() == [[False, False, False], [False, False, True]]


@pytest.mark.parametrize("mode", ["none", "reflect", "unknown"])
@pytest.mark.parametrize("cut", [0, 3])
def test_the_start_lies_where_the_object_is(sample: LenslessSample, mode: str, cut: int) -> None:
    prepared, setup = prepared_of(sample)
    prepared = prepared.part(slice(0, SIDE - cut), slice(0, SIDE))
    setup = dataclasses.replace(setup, padding=PaddingSettings(mode=mode, width_um=20.0))
    builder = ModelBuilder(None, torch.device("cpu"))
    model = builder.problem(setup, prepared).model
    assert CoarseStart.pays_off(setup, builder, model)
    start = CoarseStart(setup, prepared, builder, model, QUICK)
    assert start.result() is None
    fractions = [step.done for step in start.steps()]
    assert fractions == sorted(fractions)
    field = start.result()
    assert field is not None
    assert field.shape == model.shape
    seen = model.padding.view(field).numpy()
    truth = sample.phase[: SIDE - cut]

    def error(dy: int, dx: int) -> float:
        moved = np.roll(np.angle(seen), (dy, dx), (0, 1))[16:-16, 16:-16]
        return float(np.sqrt(np.mean(phase_error(moved, truth[16:-16, 16:-16]) ** 2)))

    errors = {(dy, dx): error(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
    assert min(errors, key=errors.__getitem__) == (0, 0)


def test_wide_fields_start_from_it(sample: LenslessSample) -> None:
    recipe = recipe_of(sample, gauss_newton={"warm_up": 20})
    with Run(LenslessJob(recipe, LenslessData(sample.frames))) as run:
        for _ in run:
            pass
        result = run.result()
    stages = {stage["name"]: stage for stage in result.report["stages"]}
    assert stages["start with larger pixels"]["iterations"] > 1
    phase = {array.name: array.data for array in result.arrays}["phase"]
    assert np.sqrt(np.mean(phase_error(phase, sample.phase) ** 2)) < 1e-3


@pytest.mark.parametrize("changes", [{"start": "flat"}, {"gauss_newton": {"warm_up": 0}}, {"super_resolution": 2}])
def test_other_starts_are_kept(sample: LenslessSample, changes: dict[str, object]) -> None:
    recipe = recipe_of(sample, **changes, max_seconds=2)
    with Run(LenslessJob(recipe, LenslessData(sample.frames))) as run:
        for progress in run:
            assert progress.stage != "start with larger pixels"
            if progress.iteration > 1:
                break
