"""Wide fields of diffraction tomography in tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_diner import memory
from napari_diner.errors import RecipeError
from napari_diner.tasks.idt.memory import plan, with_tiles
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.tiled import TiledIdtJob
from napari_diner.tasks.idt.tiles import TileLayout
from napari_diner.tasks.idt.truth import TrueVolume
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from tests.kit.runs import finished
from tests.tasks.idt.small_recordings import Array, Recording, reconstructed, started

WIDE = {"padding": {"mode": "unknown", "width_um": 1.6}, "regularization": {"tikhonov": 0.05, "tv": 1e-3}}
TILES = {**WIDE, "tiles": {"use": "always", "size_px": 64}}


@pytest.fixture(scope="module")
def wide(recording: Recording) -> Recording:
    """A field of 96×96 pixels: the periodic field of a small one, four times."""
    frames = np.tile(recording.frames, (1, 2, 2))
    truth = TrueVolume(*(np.tile(part, (1, 2, 2)) for part in (recording.truth.n_re, recording.truth.n_im)))
    return Recording(frames, truth, recording.recipe.updated(WIDE))


@pytest.mark.parametrize(
    ("shape", "size", "overlap"), [((96, 130), 64, 20), ((200, 64), 64, 31), ((100, 101), 99, 8), ((300, 300), 100, 50)]
)
def test_tiles_cover_the_field_and_blend(shape: tuple[int, int], size: int, overlap: int) -> None:
    layout = TileLayout(shape, size, overlap)
    total = np.zeros(shape)
    for tile in layout.tiles:
        weights = layout.weights(tile)
        assert weights.min() >= 0
        total[tile.place] += weights
        if tile.rows.start:  # what is next to an unknown surround does not count
            assert (weights[: overlap // 4] == 0).all()
    np.testing.assert_allclose(total, 1, atol=1e-6)
    # the memory of the parts that count
    boxes = [np.pad(layout.weights(tile), 3, mode="edge") > 0 for tile in layout.tiles]
    counted = sum(int(box.any(1).sum() * box.any(0).sum()) for box in boxes)
    assert layout.counted_px(3) == pytest.approx(counted, rel=0.05)


def test_tiles_that_are_hardly_wider_than_their_overlap_are_refused(wide: Recording) -> None:
    narrow = wide.recipe.updated({"tiles": {"use": "always", "size_px": 64}, "padding": {"width_um": 4.0}})
    with pytest.raises(RecipeError, match=r"too narrow.*or more") as caught:
        started(narrow, wide.frames)
    assert caught.value.field == "tiles.size_px"


@pytest.mark.parametrize("solver", ["tikhonov", "voxels"])
def test_tiles_give_the_volume_of_the_whole_field(wide: Recording, solver: str) -> None:
    recipe = wide.recipe.updated({"solver": solver, "iterations": 10, "model": "born"})
    whole = reconstructed(recipe, wide.frames, wide.truth)
    tiled = reconstructed(recipe.updated(TILES), wide.frames, wide.truth)
    assert tiled.report["tiles"]["count"] == 4
    scores = [result.report["truth"] for result in (whole, tiled)]
    assert scores[1]["n_re_correlation"] > scores[0]["n_re_correlation"] - 0.01
    assert scores[1]["n_re_rmse"] < 1.1 * scores[0]["n_re_rmse"]
    assert tiled.report["unexplained"] < whole.report["unexplained"] + 0.02
    # no line of the error stands out
    error = tiled.arrays[0].data - wide.truth.n_re
    lines = np.sqrt(np.square(np.diff(error, axis=1)).mean(axis=(0, 2)))
    (seam,) = tiled.report["tiles"]["seams_y"]
    assert lines[seam - 3 : seam + 3].max() < lines.mean() + 2 * lines.std()


def test_the_residual_is_that_of_the_blended_volume(wide: Recording) -> None:
    result = reconstructed(wide.recipe.updated({"solver": "tikhonov", **TILES}), wide.frames)
    rms = float(np.sqrt(np.mean(result.arrays[-1].data.astype(float) ** 2)))
    assert rms == pytest.approx(result.report["residual_rms"], rel=1e-5)
    assert rms < 0.3 * result.report["data_rms"]


def test_one_tile_decides_on_the_model_for_all(wide: Recording) -> None:
    multislice = {"iterations": 2, "steps_per_slice": 1, "method": "chords"}
    recipe = wide.recipe.updated({**TILES, "model": "multislice", "multislice": multislice})
    result = reconstructed(recipe, wide.frames)
    assert result.report["model"] == "multislice"
    names = [stage["name"] for stage in result.report["stages"]]
    assert names[-2:] == ["tile 4 of 4: closed form", "tile 4 of 4: voxels"]
    assert result.report["unexplained"] < 0.05


def test_a_representation_is_compared_with_the_closed_form(wide: Recording) -> None:
    recipe = wide.recipe.updated({**TILES, "solver": "pixels", "start": "empty", "gradient": {"iterations": 3}})
    found = reconstructed(recipe, wide.frames).report
    assert found["start_unexplained"] < 0.1
    assert found["warnings"][0].startswith("pixels explains the data less well than the closed form")


def test_a_cancelled_run_keeps_the_tiles_so_far(wide: Recording) -> None:
    recipe = wide.recipe.updated({"solver": "tikhonov", **TILES})
    with started(recipe, wide.frames) as run:
        for progress in run:
            if progress.stage.startswith("tile 3"):
                break
        result = run.result()
    assert result.partial
    index = result.arrays[0].data
    assert index.shape == wide.truth.n_re.shape
    done = (np.abs(index - 1.33).max(0) > 1e-4).mean()
    assert 0.4 < done < 0.95
    # what is not there yet explains nothing
    empty = np.abs(index - 1.33).max(0) == 0
    np.testing.assert_allclose(result.arrays[-1].data[:, empty], -wide.frames[:, empty], atol=1e-5)


def test_fields_beyond_the_memory_are_computed_in_tiles(wide: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, shape = wide.recipe, (12, 1000, 1000)
    assert with_tiles(recipe, shape) is None
    whole = plan(recipe, shape).work
    monkeypatch.setattr(memory, "free_bytes", lambda: whole // 2)
    tiled = with_tiles(recipe, shape)
    assert tiled is not None
    assert plan(recipe, shape).work < 0.8 * whole / 2
    assert "tiles" in plan(recipe, shape).subject
    for changes in ({"tiles": {"use": "never"}}, {"uncertainty": {"map": True}}):
        assert with_tiles(recipe.updated(changes), shape) is None


def test_a_card_only_holds_one_tile(wide: Recording) -> None:
    recipe, shape = wide.recipe.updated({"tiles": {"use": "always", "size_px": 256}}), (12, 1000, 1000)
    on_card, elsewhere = plan(recipe, shape, device=torch.device("cuda")), plan(recipe, shape)
    part = plan(recipe.updated({"tiles": {"use": "never"}}), (12, 256, 256))
    assert on_card.work == part.work
    assert elsewhere.work > 2 * part.work


def test_the_pupil_of_the_first_tile_is_that_of_all(wide: Recording) -> None:
    calibration = {"pupil": True, "iterations": 1}
    recipe = wide.recipe.updated({**TILES, "solver": "tikhonov", "calibration": calibration})
    run = started(recipe, wide.frames)
    result = finished(run)
    assert result.report["tiles"]["count"] == 4
    pupil = result.report["calibration"]["zernike_rad"]
    assert any(pupil)
    last = run.job.part(3).stages_beside()  # type: ignore[attr-defined]
    assert [stage.name for stage in last] == ["closed form"]
    refined = [stage["name"] for stage in result.report["stages"] if "refinement" in stage["name"]]
    assert refined == ["tile 1 of 4: refinement"]


def test_what_tiles_cannot_do_is_refused(wide: Recording) -> None:
    with pytest.raises(RecipeError, match="uncertainty is not estimated in tiles"):
        wide.recipe.updated({"tiles": {"use": "always"}, "uncertainty": {"map": True}})
    run = started(wide.recipe.updated({"solver": "tikhonov", **TILES}), wide.frames)
    assert isinstance(run.job, TiledIdtJob)
    with pytest.raises(RecipeError, match="not computed in tiles"):
        run.job.check_series()


def test_a_series_in_tiles_is_refused_before_it_is_read(wide: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise AssertionError("it is read")

    monkeypatch.setattr(type(task("idt")), "assemble", read)
    recipe = wide.recipe.updated({**TILES, "select": "T=all"})
    with pytest.raises(RecipeError, match="A series is not computed in tiles"):
        task("idt").start(recipe, Frames(np.stack([wide.frames] * 2), "TNYX"))


def test_a_field_that_fits_is_no_field_of_tiles(recording: Recording) -> None:
    recipe: IdtRecipe = recording.recipe.updated({"solver": "tikhonov"})
    frames: Array = recording.frames
    assert "tiles" not in reconstructed(recipe, frames).report
