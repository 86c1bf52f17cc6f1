"""Second images and seams that all frames share are named before a run; what merely repeats is not."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.preprocess.doubled import doubled
from napari_diner.preprocess.odd_frames import odd_frames
from napari_diner.preprocess.seams import seams

Frames = npt.NDArray[Any]


@functools.cache
def recorded(task: str) -> Frames:
    sizes = {"height_px": 112, "width_px": 104, "seed": 3}
    more = {"frames": 12, "slices": 8} if task == "idt" else {"distances_um": (280.0, 350.0, 430.0, 520.0)}
    return np.asarray(nd.sample(task, **sizes, **more).data.data, np.float64)


@pytest.mark.parametrize("task", ["lensless", "idt"])
@pytest.mark.parametrize(("part", "down", "across"), [(0.25, 12, -9), (0.35, 0, 15)])
def test_a_second_image_is_named_with_its_place(task: str, part: float, down: int, across: int) -> None:
    frames = recorded(task)
    assert doubled(frames) == []
    (text,) = doubled(frames + part * np.roll(frames, (down, across), (1, 2)))
    side = "left" if down * across < 0 else "right"
    assert f"displaced by {down} pixels down and {abs(across)} {side}" in text
    share = float(text.split(" with ")[1].split()[0])
    assert share == pytest.approx(100 * part, rel=0.6)


def test_what_repeats_is_no_second_image() -> None:
    frames = recorded("lensless")
    y, x = np.mgrid[:112, :104]
    dots = 1 - 0.4 * (np.hypot(y % 19 - 9, x % 19 - 9) < 4)
    assert doubled(frames * dots) == doubled(np.kron(frames[:, ::7, ::7], np.ones((7, 7)))) == []
    assert doubled(frames[:, :40]) == []


def test_pixels_that_are_left_out_are_no_second_image() -> None:
    frames = recorded("lensless")
    scattered = np.ones(frames.shape, bool)
    scattered.reshape(len(frames), -1)[:, ::237] = False
    few, edge = np.zeros(frames.shape, bool), np.ones(frames.shape, bool)
    few[:, 40:52, 50:62] = True
    edge[:, :12] = False
    assert doubled(frames) == doubled(frames, scattered) == doubled(frames, few) == []
    twice = frames + 0.3 * np.roll(frames, (11, 8), (1, 2))
    assert len(doubled(twice, edge)) == 1


@pytest.mark.parametrize("task", ["lensless", "idt"])
def test_a_seam_is_named_with_its_lines(task: str) -> None:
    frames = recorded(task)
    assert seams(frames) == []
    torn = frames.copy()
    torn[:, 60:] = np.roll(frames, 3, axis=2)[:, 60:]
    (text,) = seams(torn)
    assert text.startswith("all frames jump between rows 60 and 61, as where parts of images")
    (text,) = seams(np.swapaxes(torn, 1, 2))
    assert "between columns 60 and 61" in text
    assert text in odd_frames(np.swapaxes(torn, 1, 2)).warnings


def test_pixels_that_do_not_count_and_unequal_columns_are_no_seams() -> None:
    frames = recorded("lensless").copy()
    frames[:, :, 80:] = 0
    assert len(seams(frames)) == 1
    valid = np.broadcast_to(np.arange(104) < 80, frames.shape)
    assert odd_frames(frames, valid=valid).warnings == ()
    unequal = 1 + 0.2 * np.random.default_rng(0).standard_normal(104)
    assert seams(recorded("lensless") * unequal) == []
