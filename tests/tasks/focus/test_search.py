"""The distances of a recording, frame by frame and all together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.io import imread

from napari_diner.errors import DinerError, RecipeError
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.tasks.focus.job import FocusJob
from napari_diner.tasks.focus.output import as_csv
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.focus.task import FocusTask
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Result
from napari_diner.tasks.run import Run
from tests.kit.runs import finished

DISTANCES_UM = (300.0, 330.0, 365.0)
DEPTH_UM = 4 * 1.0**2 / 0.5
RECORDED = {"wavelength_um": 0.5, "pixel_size_um": 1.0, "rounds": 25}


def frames(transparent: bool = True) -> np.ndarray:
    """Return frames of discs that shift the phase or absorb, in a periodic field itself."""
    y, x = np.mgrid[:96, :96]
    places = ((30, 30, 8), (64, 40, 6), (40, 70, 10), (75, 75, 5))
    discs = sum(1 / (1 + np.exp(2 * (np.hypot(y - cy, x - cx) - r))) for cy, cx, r in places)
    field = np.exp(1j * discs) if transparent else 1 - 0.6 * discs + 0j
    model = MultiHeight((96, 96), Heights(Optics(1.0, 0.5), DISTANCES_UM), dtype=torch.complex128)
    return model.intensities(torch.from_numpy(field)).numpy()


def start(stack: np.ndarray, **changes: Any) -> Run[Any]:
    return Run(FocusJob(FocusRecipe.parse({**RECORDED, **changes}), LenslessData(stack)))


def found(stack: np.ndarray, **changes: Any) -> Result:
    return finished(start(stack, **changes))


@pytest.mark.parametrize("transparent", [False, True])
def test_a_common_error_of_all_distances_is_found(transparent: bool) -> None:
    """Within the depth of field for all together; a single frame is displaced by its twin image."""
    given = [z + 30 for z in DISTANCES_UM]
    report = found(frames(transparent), distances_um=given, search_range=0.2).report
    assert report["offset_um"] == pytest.approx(-30, abs=0.75 * DEPTH_UM)
    np.testing.assert_allclose(report["distances_um"], DISTANCES_UM, atol=0.75 * DEPTH_UM)
    np.testing.assert_allclose(report["sharpest_um"], DISTANCES_UM, atol=3 * DEPTH_UM)
    assert report["given_um"] == given


def test_distances_of_which_nothing_is_known() -> None:
    result = found(frames(transparent=False), near_um=230, far_um=450)
    np.testing.assert_allclose(result.report["distances_um"], DISTANCES_UM, atol=DEPTH_UM)
    assert result.report["given_um"] == []
    assert {array.name: array.data.shape for array in result.arrays} == {
        "refocused": (3, 96, 96), "amplitude": (96, 96), "phase": (96, 96),
    }  # fmt: skip
    # the discs absorb 60 % and shift no phase
    assert np.percentile(result["amplitude"].data, 1) < 0.6 * np.median(result["amplitude"].data)
    assert np.std(result["phase"].data) < 0.1


def test_single_frames_alone() -> None:
    result = found(frames(False), distances_um=DISTANCES_UM, joint=False)
    assert "offset_um" not in result.report
    assert result.report["distances_um"] == result.report["sharpest_um"]
    assert [array.name for array in result.arrays] == ["refocused"]


def test_distances_behind_a_point_source_are_real_ones() -> None:
    """Frames enlarged and dimmed as a point source does, on the pixels of a sensor."""
    source = 3000.0
    real = [z * source / (source - z) for z in DISTANCES_UM]
    by = [(source + z) / source for z in real]
    recorded = []
    for frame, m in zip(frames(False), by, strict=True):
        smaller = max(by) / m
        offset = (96 - 1) / 2 * (1 - smaller)
        recorded.append(smaller**2 * ndimage.affine_transform(frame, [smaller] * 2, offset, mode="grid-wrap"))
    report = found(
        np.stack(recorded), pixel_size_um=max(by), source_distance_um=source, distances_um=[1.06 * z for z in real]
    ).report
    np.testing.assert_allclose(report["distances_um"], real, atol=DEPTH_UM)


def test_a_peak_at_the_end_of_the_range_is_doubted() -> None:
    report = found(frames(False), distances_um=[z + 14 for z in DISTANCES_UM], search_range=0.02).report
    assert any("end of the range" in text for text in report["warnings"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "range to search is missing"),
        ({"distances_um": [1, 2]}, "2 entries but the stack has 3 frames"),
        ({"near_um": 100, "far_um": 200, "source_distance_um": 1e4}, "needs initial distances"),
        ({"distances_um": DISTANCES_UM, "wavelength_um": None}, "wavelength is missing"),
    ],
)
def test_what_is_missing_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        start(frames(), **changes)


def test_there_is_nothing_to_tell_before_the_first_step() -> None:
    with start(frames(), distances_um=DISTANCES_UM) as run:
        with pytest.raises(DinerError, match="no result yet"):
            run.result()
        next(run)
        with pytest.raises(DinerError, match="No frame is done yet"):
            run.result()


def test_the_recipe_to_go_on_with_says_what_this_one_said() -> None:
    recipe = FocusRecipe.parse({**RECORDED, "preprocess": {"upsample": 2}, "mask": "m.tif", "metric": "tenengrad"})
    lensless = recipe.lensless((1.0, 2.0))
    assert lensless.preprocess.upsample == 2 and lensless.mask == "m.tif" and lensless.distances_um == (1, 2)
    assert lensless.task == "lensless" and lensless.wavelength_um == 0.5


def test_table_and_file_tell_the_same() -> None:
    report = {
        "distances_um": [301.234, 402.5], "distances_um_se": [0.5, 0.6], "sharpest_um": [303.0, 404.0],
        "sharpest_um_se": [1.0, 2.0], "given_um": [300, 400], "offset_um": 1.5, "offset_um_se": 0.5,
        "depth_of_field_um": 8.0, "seconds": 1.0,
    }  # fmt: skip
    rows = dict(FocusTask().summary_rows(report))
    assert rows["frame 1"].startswith("301.23 ± 0.50")
    assert rows["all together"].startswith("+1.50 ± 0.50")
    lines = as_csv(report).splitlines()
    assert lines[0].split(",")[:2] == ["frame", "distances_um"]
    assert lines[1].split(",")[:2] == ["1", "301.2340"]


def test_the_files_beside_the_result_are_written_by_the_task(tmp_path: Path) -> None:
    result = found(frames(False), distances_um=DISTANCES_UM, joint=False)
    assert sorted(FocusTask().write_extras(result, tmp_path)) == sorted(path.name for path in tmp_path.iterdir())
    lensless = LenslessRecipe.load(tmp_path / "lensless.yaml")
    assert lensless.distances_um == pytest.approx(result.report["distances_um"])
    assert (tmp_path / "focus.csv").read_text() == as_csv(result.report)
    assert imread(tmp_path / "focus.png").std() > 5


def test_a_search_that_was_cut_short_has_no_files_to_go_on_with(tmp_path: Path) -> None:
    with start(frames(False), distances_um=DISTANCES_UM) as run:
        for progress in run:
            if progress.stage == "frame 2 of 3":
                break
        result = run.result()
    assert result.partial
    with pytest.raises(RecipeError, match="before every frame had its distance"):
        FocusTask().write_extras(result, tmp_path)
