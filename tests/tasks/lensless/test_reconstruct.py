"""From frames to amplitude and phase, by every solver and through every option that changes the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diner.errors import DinerError, OutOfMemoryError, RecipeError
from napari_diner.simulate.lensless.recording import LenslessSample, simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks import run as engine
from napari_diner.tasks.lensless import stages
from napari_diner.tasks.lensless.data import LenslessData, prepare
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.truth import Truth
from tests.tasks.lensless.reconstruction import finished, start

QUICK = {"gradient": {"iterations": 60}, "diner": {"lattice_size": 32}}


def test_gauss_newton_is_exact_on_exact_data(recipe: LenslessRecipe, sample: LenslessSample, truth: Truth) -> None:
    result = finished(recipe, sample.frames, truth)
    assert result.report["truth"]["amplitude_psnr_db"] > 80
    assert result.report["truth"]["phase_psnr_db"] > 75
    assert not result.partial
    assert result.recipe.start == "contrast-transfer"  # type: ignore[attr-defined]


def test_strong_phase_is_untangled_first() -> None:
    heights = (100.0, 140.0, 200.0, 270.0)
    sample = simulate(LenslessSimulation(height_px=96, width_px=96, phase_range_rad=8.0, distances_um=heights))
    recipe = LenslessRecipe.parse(
        {
            "wavelength_um": sample.wavelength_um,
            "pixel_size_um": sample.pixel_size_um,
            "distances_um": sample.distances_um,
            "intensity_scale": sample.intensity_scale,
        }
    )
    known = Truth(sample.amplitude, sample.phase)
    stuck = finished(recipe.updated({"gauss_newton": {"warm_up": 0}}), sample.frames, known)
    assert stuck.report["truth"]["phase_psnr_db"] < 60
    assert finished(recipe, sample.frames, known).report["truth"]["phase_psnr_db"] > 90


def test_diner_keeps_what_it_is_started_with(recipe: LenslessRecipe, sample: LenslessSample, truth: Truth) -> None:
    result = finished(recipe.updated({"solver": "diner", **QUICK}), sample.frames, truth)
    names = [stage["name"] for stage in result.report["stages"]]
    assert names == ["noise estimate", "start: gauss-newton", "diner: starting values", "diner"]
    assert result.report["truth"]["amplitude_psnr_db"] > 70
    # two tables of width 2 and two networks 2 → 64 → 64 → 1
    assert result.report["parameters"] == 2 * (64 * 72 * 2 + 2 * 64 + 64 + 64 * 64 + 64 + 64 + 1)
    assert any(name.endswith("hash_table") for name in result.weights)


def test_a_time_limit_during_the_starting_values_does_not_lose_the_start(
    recipe: LenslessRecipe, sample: LenslessSample
) -> None:
    alone = finished(recipe.updated({"max_seconds": 1e-3}), sample.frames)
    started = finished(recipe.updated({"max_seconds": 1e-3, "solver": "diner"}), sample.frames)
    assert started.report["stages"][-1]["iterations"] == 1
    assert started.report["measurement_psnr_db"] > alone.report["measurement_psnr_db"] - 1


@pytest.mark.parametrize("solver", ["diner", "pixels", "alternating"])
def test_first_order_solvers_explain_the_data_from_a_flat_start(
    recipe: LenslessRecipe, sample: LenslessSample, solver: str
) -> None:
    settings = {"iterations": 200, "learning_rate": 2e-3 if solver == "diner" else 2e-2}
    changes = {"solver": solver, "start": "flat", "gradient": settings, "diner": {"lattice_size": 48}}
    result = finished(recipe.updated(changes), sample.frames)
    flat = 10 * np.log10(1 / np.mean((sample.frames / 65535 - (sample.frames / 65535).mean()) ** 2))
    assert result.report["measurement_psnr_db"] > flat + 15


@pytest.mark.parametrize("first", ["alternating", "pixels", "diner"])
def test_any_solver_starts_another(recipe: LenslessRecipe, sample: LenslessSample, first: str) -> None:
    result = finished(recipe.updated({"start": first, "alternating": {"iterations": 20}, **QUICK}), sample.frames)
    assert result.report["stages"][0]["name"].startswith(f"start: {first}")
    assert result.report["measurement_psnr_db"] > 80


def test_same_seed_same_result(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    cold = recipe.updated({"solver": "diner", "start": "flat", **QUICK, "seed": 3})
    first, second = finished(cold, sample.frames), finished(cold, sample.frames)
    other = finished(cold.updated({"seed": 4}), sample.frames)
    np.testing.assert_array_equal(first["phase"].data, second["phase"].data)
    assert not np.array_equal(first["phase"].data, other["phase"].data)


def test_shifts_gains_and_mask_of_the_recording_are_undone(
    recipe: LenslessRecipe, sample: LenslessSample, truth: Truth
) -> None:
    gains = np.array([1.0, 0.9, 0.8, 1.0])
    frames = np.round(sample.frames * gains[:, None, None]).astype(np.uint16)
    shifts = [(0, 0), (2, -1), (0, 3), (-1, 0)]
    frames = np.stack([np.roll(frame, shift, (0, 1)) for frame, shift in zip(frames, shifts, strict=True)])
    frames[1, 10:14, 20:24] = 65535
    mask = frames < 65535
    pixel = sample.pixel_size_um
    full = recipe.updated({"gains": tuple(gains), "shifts_um": tuple((dy * pixel, dx * pixel) for dy, dx in shifts)})
    result = finished(full, LenslessData(frames, mask=mask), truth)
    assert result.report["truth"]["amplitude_psnr_db"] > 70
    assert not result["residual"].data[1, 10:14, 20:24].any()
    assert finished(recipe, frames, truth).report["truth"]["amplitude_psnr_db"] < 40


def test_equalised_gains_are_found(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    frames = (sample.frames * np.array([1.0, 0.5, 1.0, 1.0])[:, None, None]).astype(np.uint16)
    result = finished(recipe.updated({"equalise_gains": True, "gauss_newton": {"iterations": 1}}), frames)
    gains = np.array(result.report["gains"])
    assert gains[1] / gains[0] == pytest.approx(0.5, abs=0.01)
    assert not any("equalise_gains" in warning for warning in result.report["warnings"])


def test_gains_of_clipped_frames_are_doubted(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    frames = (sample.frames // np.array([1, 2, 1, 1], np.uint16)[:, None, None]).astype(np.uint16)
    level = int(np.quantile(frames[0], 0.9))
    equal = recipe.updated({"equalise_gains": True, "gauss_newton": {"iterations": 1}})
    report = finished(equal, np.minimum(frames, level)).report
    assert any("so that gains may be wrong by up to" in warning for warning in report["warnings"])


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_padding_explains_a_field_that_does_not_repeat(
    recipe: LenslessRecipe, sample: LenslessSample, mode: str
) -> None:
    crop = sample.frames[:, 8:56, 8:64]
    padded = recipe.updated({"padding": {"mode": mode, "width_um": 20}})
    inside = np.s_[:, 12:-12, 12:-12]
    residual = finished(padded, crop)["residual"].data[inside]
    assert np.sqrt(np.mean(residual**2)) < 0.02


def test_illumination_is_taken_out(recipe: LenslessRecipe, sample: LenslessSample, truth: Truth) -> None:
    x = np.arange(72) / 72
    illumination = np.broadcast_to(1 + 0.2 * np.cos(2 * np.pi * x), (64, 72)).astype(np.float32)
    prepared = prepare(recipe, LenslessData(sample.frames))
    problem = ModelBuilder(illumination, torch.device("cpu")).problem(Setup.of(recipe, prepared.gains), prepared)
    field = torch.polar(torch.from_numpy(sample.amplitude), torch.from_numpy(sample.phase))
    frames = problem.model.intensities(field).numpy()
    result = finished(recipe, LenslessData(frames, illumination=illumination), truth)
    assert result.report["truth"]["amplitude_psnr_db"] > 70


def test_time_limit_is_kept_and_reported(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    endless = recipe.updated({"solver": "alternating", "max_seconds": 0.3, "alternating": {"tolerance": 0.0}})
    report = finished(endless.updated({"alternating": {"iterations": 100_000}}), sample.frames).report
    assert report["stopped_by_time_limit"]
    assert not report["partial"]


def test_progress_tells_stage_time_and_preview(
    recipe: LenslessRecipe, sample: LenslessSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_ESTIMATE_AFTER_S", 0.0)
    # the rounds that come first count as no part of the iterations
    at_once = recipe.updated({"gauss_newton": {"warm_up": 0}})
    with start(at_once, sample.frames, preview_interval_s=0.0) as run:
        progress = next(run)
        assert progress.stage == "noise estimate"
        assert progress.remaining_s is not None and progress.remaining_s > 0
        assert [image.name for image in progress.preview] == ["amplitude", "phase"]
        assert progress.preview[0].data.dtype == np.float32
        elapsed = [next(run).elapsed_s for _ in range(3)]
        assert elapsed == sorted(elapsed)


def test_an_interrupted_run_gives_its_best_marked_partial(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    with start(recipe, sample.frames) as run:
        with pytest.raises(DinerError, match="no result yet"):
            run.result()
        next(run)
        assert run.result().partial
        assert run.result().report["partial"]


def test_leaving_the_block_frees_the_fields(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    with start(recipe, sample.frames) as run:
        next(run)
        assert run.result().partial
    with pytest.raises(DinerError, match="no result yet"):
        run.result()


def test_memory_that_runs_out_is_one_sentence(
    recipe: LenslessRecipe, sample: LenslessSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with monkeypatch.context() as patch, start(recipe, sample.frames) as run:
        patch.setattr(stages, "contrast_transfer_inverse", full)
        with pytest.raises(OutOfMemoryError, match="crop the data"):
            next(run)
    assert finished(recipe, sample.frames).report["measurement_psnr_db"] > 80


def test_a_bug_is_not_mistaken_for_a_lack_of_memory(
    recipe: LenslessRecipe, sample: LenslessSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(stages, "contrast_transfer_inverse", broken)
    with start(recipe, sample.frames) as run, pytest.raises(RuntimeError, match="shapes"):
        next(run)


def test_pixel_size_of_the_file_is_used_unless_the_recipe_has_one(
    recipe: LenslessRecipe, sample: LenslessSample
) -> None:
    silent = recipe.updated({"pixel_size_um": None})
    data = LenslessData(sample.frames, pixel_size_um=1.5)
    assert start(silent, data).job.recipe.pixel_size_um == 1.5
    assert start(recipe, data).job.recipe.pixel_size_um == recipe.pixel_size_um
    with pytest.raises(RecipeError, match="pixel size is missing"):
        start(silent, sample.frames)


def test_scale_and_units_of_the_result(recipe: LenslessRecipe, sample: LenslessSample) -> None:
    result = finished(recipe.updated({"gauss_newton": {"iterations": 1}}), sample.frames)
    pixel = sample.pixel_size_um
    assert (result["amplitude"].axes, result["amplitude"].scale_um) == ("YX", (pixel, pixel))
    assert (result["phase"].unit, result["residual"].axes) == ("rad", "NYX")
    assert result["phase"].data.dtype == np.float32
    assert abs(np.angle(np.sum(result["amplitude"].data * np.exp(1j * result["phase"].data)))) < 1e-3
