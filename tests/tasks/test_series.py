"""All recordings of a series in one run, each starting from the previous result."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.cli.app import execute
from napari_diner.errors import DinerError, RecipeError
from napari_diner.io.axes import at_point, series_axis
from napari_diner.tasks.checkpoint import Checkpoint
from napari_diner.tasks.fit.model import FitModel
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.preflight import preflight
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

RECIPE = {
    "wavelength_um": 0.532,
    "pixel_size_um": 1.12,
    "distances_um": [300, 400, 500],
    "padding": {"mode": "none"},
    "gauss_newton": {"iterations": 8, "warm_up": 5},
}


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    """Three recordings of one specimen that is moved by a few pixels each time, (T, N, Y, X)."""
    sample = nd.sample("lensless", height_px=32, width_px=32, distances_um=[300, 400, 500])
    return np.stack([np.roll(sample.data.data, 2 * number, 2) for number in range(3)])


def test_the_time_of_a_series_is_estimated_from_its_first_two_recordings(series: np.ndarray) -> None:
    recipe = LenslessRecipe.parse({**RECIPE, "select": "T=all"})
    stages = task("lensless").start(recipe, Frames(series, "TNYX")).job.stages()
    counts = {stage.name: stage.alike for stage in stages}
    assert sum(counts.values()) == len(stages)
    assert counts["recording 2 of 3: gauss-newton"] == 2
    assert counts["recording 3 of 3: gauss-newton"] == 0
    (line,) = (line for line in preflight(task("lensless"), recipe, Frames(series, "TNYX")) if line.aspect == "time")
    assert "recording 3" not in line.sentence


def test_a_series_gives_what_each_recording_gives(series: np.ndarray) -> None:
    together = nd.lensless(Frames(series, "TNYX"), select="T=all", **RECIPE)
    assert together.phase.shape == (3, 32, 32) and together["phase"].axes == "TYX"
    assert together.residual.shape == series.shape and together["residual"].axes == "TNYX"
    for stack, phase in zip(series, together.phase, strict=True):
        alone = nd.lensless(Frames(stack, "NYX"), **RECIPE).phase
        assert np.std(phase - alone) < 0.05 * np.std(alone)
    report = together.report["series"]
    assert report["axis"] == "T" and len(report["measurement_psnr_db"]) == report["done"] == 3
    assert together.report["measurement_psnr_db"] == min(report["measurement_psnr_db"])
    names = [stage["name"] for stage in together.report["stages"]]
    assert [name for name in names if name.startswith("recording 3")] == ["recording 3 of 3: gauss-newton"]


def test_a_sample_that_moves_under_noise_is_as_good_as_alone() -> None:
    sample = nd.sample("lensless", height_px=32, width_px=32, distances_um=[300, 400, 500], noise_sigma=0.02)
    truth = np.roll(next(array.data for array in sample.truth if array.name == "phase"), 4, 1)
    moved = np.stack([np.roll(sample.data.data, shift, 2) for shift in (0, 4)])
    settings = {name: value for name, value in RECIPE.items() if name != "gauss_newton"}
    following = nd.lensless(Frames(moved, "TNYX"), select="T=all", **settings).phase[1]
    alone = nd.lensless(Frames(moved[1], "NYX"), **settings).phase
    errors = [float(np.std(phase - truth)) for phase in (following, alone)]
    assert errors[0] < 1.15 * errors[1], errors


def test_a_recording_that_is_stopped_costs_no_image_of_the_others(series: np.ndarray) -> None:
    settings = {**RECIPE, "uncertainty": {"map": True, "samples": 1, "cg_steps": 10}, "select": "T=all"}
    run = task("lensless").start(LenslessRecipe.parse(settings), Frames(series, "TNYX"))
    for progress in run:
        if progress.stage.startswith("recording 3"):
            break
    stopped = run.result()
    assert stopped.report["series"]["done"] == 3
    assert len(stopped["phase"].data) == len(stopped["residual"].data) == 3
    assert stopped["residual"].data.shape == series.shape
    assert len(stopped["uncertainty"].data) == len(stopped["amplitude_uncertainty"].data) == 2
    assert any("uncertainty is only of the first 2 of 3 recordings" in text for text in stopped.report["warnings"])


def test_each_recording_is_prepared_once(series: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    lensless, prepared = task("lensless"), []
    job = lensless.job

    def counted(_: object, recipe: LenslessRecipe, *others: object) -> object:
        prepared.append(recipe.select)
        return job(recipe, *others)

    monkeypatch.setattr(type(lensless), "job", counted)
    nd.lensless(Frames(series, "TNYX"), select="T=all", **RECIPE)
    assert prepared == ["T=0", "T=1", "T=2"]


def test_a_series_from_a_file_and_back(series: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "series.npy", np.moveaxis(series, 0, 1))
    options = ["--wavelength-um", "0.532", "--pixel-size-um", "1.12", "--distances-um", "300,400,500"]
    solver = ["--solver", "alternating", "--alternating.iterations", "9", "-q", "--padding.mode", "none"]
    out = tmp_path / "out"
    where = ["--axes", "NTYX", "--select", "T=all"]
    assert execute(["lensless", str(tmp_path / "series.npy"), "-o", str(out), *options, *solver, *where]) == 0
    result = nd.load(out)
    assert result["phase"].axes == "TYX" and result["residual"].axes == "TNYX"
    assert result.recipe.select == "T=all"
    assert [stage["iterations"] for stage in result.report["stages"] if "alternating" in stage["name"]] == [9, 3, 3]
    assert execute(["run", str(out / "recipe.yaml"), "-o", str(tmp_path / "again"), "-q"]) == 0
    np.testing.assert_array_equal(nd.load(tmp_path / "again").phase, result.phase)


def test_an_interrupted_series_goes_on(series: np.ndarray, tmp_path: Path) -> None:
    recipe = task("lensless").recipe_type.parse({**RECIPE, "select": "T=all", "checkpoint_seconds": 1e-9})
    path = tmp_path / "run.checkpoint"
    run = task("lensless").start(recipe, Frames(series, "TNYX"), checkpoint=Checkpoint(path))
    later = (progress for progress in run if progress.stage.startswith("recording 2"))
    for _ in itertools.islice(later, 25):
        run.checkpoint._due = 0.0
    partial = run.result()
    assert partial.partial and partial.phase.shape[0] == 2
    run.close()
    with task("lensless").start(recipe, Frames(series, "TNYX"), checkpoint=Checkpoint(path, resume=True)) as run:
        for progress in run:
            assert not progress.stage.startswith("recording 1")
        resumed = run.result()
    np.testing.assert_array_equal(resumed.phase, nd.lensless(Frames(series, "TNYX"), recipe=recipe).phase)


def test_doubts_about_a_later_recording_are_told(series: np.ndarray) -> None:
    frames = series.astype(np.float32)
    frames[2, 0, 10, 10] = 1e6
    warnings = nd.lensless(Frames(frames, "TNYX"), select="T=all", **RECIPE).report["warnings"]
    assert any(warning.startswith("T = 2: ") and "far above" in warning for warning in warnings), warnings


@pytest.fixture(scope="module")
def tomograms() -> tuple[np.ndarray, dict[str, object]]:
    """Three recordings of a volume that turns into another one, (T, N, Y, X), and their recipe."""
    samples = [nd.sample("idt", height_px=32, width_px=32, slices=6, frames=8, seed=seed) for seed in (0, 1)]
    first, second = (sample.data.data for sample in samples)
    recipe = samples[0].recipe.model_dump(exclude_unset=True, exclude={"stack", "task"})
    return np.stack([(1 - part) * first + part * second for part in (0, 0.02, 0.04)]).astype(np.float32), recipe


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "voxels", "model": "born"},
        {"solver": "voxels", "model": "multislice", "multislice": {"iterations": 6}},
        {"solver": "diner", "model": "born", "gradient": {"iterations": 30}},
        {"solver": "tikhonov"},
    ],
    ids=lambda settings: "-".join(map(str, list(settings.values())[:2])),
)
def test_a_series_of_volumes(tomograms: tuple[np.ndarray, dict[str, object]], settings: dict[str, object]) -> None:
    frames, recipe = tomograms
    together = nd.idt(Frames(frames, "TNYX"), select="T=all", **recipe, **settings)
    assert together["n_re"].axes == "TZYX" and together["n_re"].data.shape == (3, 6, 32, 32)
    report = together.report
    alone = nd.idt(Frames(frames[2], "NYX"), **recipe, **settings)
    assert report["series"]["unexplained"][2] < 1.1 * alone.report["unexplained"] + 0.01
    assert report["model"] == alone.report["model"]
    names = [stage["name"] for stage in report["stages"] if stage["name"].startswith("recording 3")]
    assert names == [f"recording 3 of 3: {'closed form' if settings['solver'] == 'tikhonov' else settings['solver']}"]
    assert sum(report["series"]["iterations"][1:]) <= 2 * alone.report["iterations"]


@pytest.fixture(scope="module")
def video() -> np.ndarray:
    """Frames of a video in colours, (T, Y, X, S)."""
    return nd.sample("video", height_px=20, width_px=24, frames=3).data.data


@pytest.mark.parametrize("settings", [{}, {"representation": "siren"}], ids=str)
def test_a_series_of_fits(video: np.ndarray, settings: dict[str, object], tmp_path: Path) -> None:
    epochs = 60
    settings = {**settings, "epochs": epochs, "training": {"searches": 1}}
    together = nd.fit(Frames(video, "TYXS"), select="T=all", **settings)
    assert together["reconstruction"].axes == "TYXS" and together["reconstruction"].data.dtype == np.uint8
    alone = nd.fit(Frames(video[2], "YXS"), **settings).report
    series = together.report["series"]
    assert series["psnr_db"][2] > alone["psnr_db"] - 1
    assert together.report["psnr_db"] == min(series["psnr_db"])
    training = [stage["iterations"] for stage in together.report["stages"] if "placing" not in stage["name"]]
    assert training == [epochs, *[epochs if "representation" in settings else epochs // 3] * 2]
    together.save(tmp_path / "out")
    with pytest.raises(DinerError, match="for each point along T"):
        FitModel.open(tmp_path / "out")


def test_a_fit_starts_from_the_first_image_until_the_scene_changes() -> None:
    first, other = (nd.sample("video", height_px=20, width_px=24, frames=3, seed=seed).data.data for seed in (0, 4))
    # shades of grey: no value of the colours that follow is among them
    grey = np.repeat(first.mean(-1, keepdims=True), 3, axis=-1).astype(np.uint8)
    settings = {"epochs": 60, "training": {"searches": 1}}
    together = nd.fit(Frames(np.concatenate([grey[:2], other[:2]]), "TYXS"), select="T=all", **settings)
    training = [stage["iterations"] for stage in together.report["stages"] if "placing" not in stage["name"]]
    assert training == [60, 20, 60, 20]
    # an image of another scene is fitted as if it were alone
    alone = nd.fit(Frames(other[0], "YXS"), **settings)
    np.testing.assert_array_equal(together["reconstruction"].data[2], alone["reconstruction"].data)


def test_slices_as_a_series_keep_their_spacing() -> None:
    volume = nd.sample("volume", height_px=24, width_px=24, slices=3).data.data
    result = nd.fit(Frames(volume, "ZYX", (2.5, 0.5, 0.5)), select="Z=all", representation="pixels")
    assert result["reconstruction"].axes == "ZYX" and result["reconstruction"].scale_um == (2.5, 0.5, 0.5)


def test_an_interrupted_series_of_fits_goes_on(video: np.ndarray, tmp_path: Path) -> None:
    settings = {"epochs": 12, "training": {"searches": 1}, "checkpoint_seconds": 1e-9}
    recipe = task("fit").recipe_type.parse({"select": "T=all", **settings})
    path, frames = tmp_path / "run.checkpoint", Frames(video, "TYXS")
    run = task("fit").start(recipe, frames, checkpoint=Checkpoint(path))
    for _ in itertools.islice(
        (progress for progress in run if progress.stage.startswith("recording 2 of 3: diner")), 2
    ):
        run.checkpoint._due = 0.0
    run.close()
    with task("fit").start(recipe, frames, checkpoint=Checkpoint(path, resume=True)) as run:
        assert not any(progress.stage == "recording 1 of 3: diner-siren" for progress in run)
        resumed = run.result()
    whole = nd.fit(frames, recipe=recipe)
    np.testing.assert_array_equal(resumed["reconstruction"].data, whole["reconstruction"].data)


def test_what_cannot_be_a_series_is_refused(series: np.ndarray) -> None:
    with pytest.raises(RecipeError, match="one axis only"):
        nd.lensless(Frames(series, "TNYX"), select="T=all, N=all", **RECIPE)
    with pytest.raises(DinerError, match="cannot choose along C"):
        nd.lensless(Frames(series, "TNYX"), select="C=all", **RECIPE)
    with pytest.raises(DinerError, match="choose along the others"):
        nd.task("focus")(Frames(series, "TNYX"), select="T=all", wavelength_um=0.5, pixel_size_um=1)
    with pytest.raises(DinerError, match="resampled"):
        nd.lensless(Frames(series, "TNYX"), select="T=all", registration="similarity", **RECIPE)


def test_choices_along_axes() -> None:
    assert series_axis("C=1, T=all") == "T" and series_axis("C=1") is None
    assert at_point("C=1, T=ALL", "T", 4) == "C=1, T=4"
