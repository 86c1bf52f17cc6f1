"""Frames are left out by their numbers in messages, in all tasks on stacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.cli.options import option_name
from napari_diner.errors import DinerError
from napari_diner.tasks.left_out import LeftOut
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.registry import task
from napari_diner.tasks.saving import save
from napari_diner.tasks.task import Frames
from tests.kit.runs import finished

DISTANCES = (310.0, 370.0, 430.0, 490.0, 550.0)
LIGHT = {"wavelength_um": 0.633, "pixel_size_um": 1.4}
QUICK = {"gauss_newton": {"warm_up": 3, "iterations": 1, "cg_steps": 3}}


def recording() -> np.ndarray:
    data = nd.sample("lensless", height_px=48, width_px=40, noise_sigma=0.01, distances_um=DISTANCES, **LIGHT)
    return np.asarray(data.data.data)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("frame 1 is dark", "frame 2 is dark"),
        ("frames 1, 2 and 3 differ", "frames 2, 4 and 5 differ"),
        ("frames 1 and 2 more", "frames 2 and 2 more"),
        ("frames 1 and 3, and frames 2 and 4 are identical", "frames 2 and 5, and frames 4 and 6 are identical"),
        ("the distance of frame 2, 3 µm, is far", "the distance of frame 4, 3 µm, is far"),
        ("3 frames of 20 pixels", "3 frames of 20 pixels"),
        ("Frame 2 is zero; use {field:leave_out} 2", "Frame 4 is zero; use {field:leave_out} 1,3,4"),
    ],
)
def test_messages_count_as_the_stack_does(text: str, counted: str) -> None:
    assert LeftOut(6, (0, 2)).counted([text]) == [counted]


def test_a_run_is_that_of_the_other_frames_and_can_be_repeated(tmp_path: Path) -> None:
    stack = recording()
    broken = stack.copy()
    broken[1] = 0
    settings = {**LIGHT, **QUICK, "distances_um": DISTANCES}
    with pytest.raises(DinerError) as raised:
        nd.lensless.start(broken, **settings)
    assert raised.value.describe(option_name) == "Frame 2 is all zero; leave it out with --leave-out 2"
    result = finished(nd.lensless.start(broken, **settings, leave_out=[2]))
    kept = [0, 2, 3, 4]
    others = finished(
        nd.lensless.start(stack[kept], **{**settings, "distances_um": [DISTANCES[number] for number in kept]})
    )
    np.testing.assert_array_equal(result["phase"].data, others["phase"].data)
    assert result.report["left_out"] == [2]
    assert [frame["frame"] for frame in result.report["frames"]] == [1, 3, 4, 5]
    assert result.recipe.distances_um == DISTANCES and result.recipe.leave_out == (2,)
    save(result, tmp_path / "result")
    again = LenslessRecipe.load(tmp_path / "result" / "recipe.yaml")
    assert not any("checksums" in text for text in task("lensless").start(again, Frames(broken)).warnings)


def test_warnings_name_frames_by_their_numbers_in_the_stack() -> None:
    stack = recording()
    stack[4] = (0.8 * stack[4]).astype(stack.dtype)
    (text,) = [
        text
        for text in nd.lensless.start(stack, **LIGHT, distances_um=DISTANCES, leave_out=[1, 3]).warnings
        if "exposure" in text
    ]
    assert "the brightness of frame 5 differs" in text and "(frame 5 has" in text


@pytest.mark.parametrize(
    ("numbers", "message"), [([6], "names frame 6"), ([0], "no frame 0"), ([1, 2, 3, 4, 5], "all")]
)
def test_impossible_numbers_are_refused(numbers: list[int], message: str) -> None:
    with pytest.raises(DinerError, match=message):
        nd.lensless.start(recording(), **LIGHT, distances_um=DISTANCES, leave_out=numbers)


def test_dark_field_is_named_so_that_it_can_be_left_out() -> None:
    data = nd.sample("idt", height_px=32, width_px=32, slices=4, frames=8, model="born")
    recipe: Any = data.recipe
    directions = [[y, x] for ((y, x),) in ([(s.na_y, s.na_x) for s in f] for f in recipe.illumination(8).frames)]
    for number in (2, 5):
        directions[number] = [0.8, 0.0]
    values = {
        **recipe.model_dump(exclude_unset=True), "stack": None, "illuminations": directions, "ring": {"na": None},
        "solver": "tikhonov", "regularization": {"tikhonov": 10.0},
    }  # fmt: skip
    idt = task("idt")

    def start(**changes: Any) -> Any:
        return idt.start(idt.recipe_type.parse({**values, **changes}), Frames(data.data.data))

    with pytest.raises(DinerError) as raised:
        start()
    assert "set --dark-field to use or to leave_out" in raised.value.describe(option_name)
    report = finished(start(dark_field="leave_out")).report
    assert report["left_out"] == [3, 6]
    # light from both sides of the edge is no dark field
    mixed: list[Any] = [*directions]
    mixed[5] = [[0.8, 0.0], [0.1, 0.0]]
    with pytest.raises(DinerError) as raised:
        start(illuminations=mixed, leave_out=[3])
    assert "leave such frames out with --leave-out 3,6, or" in raised.value.describe(option_name)
    report = finished(start(illuminations=mixed, leave_out=[3, 6])).report
    assert report["left_out"] == [3, 6]
    assert [frame["frame"] for frame in report["frames"]] == [1, 2, 4, 5, 7, 8]
    assert all("na_yx" in frame for frame in report["frames"])
