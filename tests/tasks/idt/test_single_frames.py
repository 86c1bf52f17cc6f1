"""Single frames of an IDT recording that do not fit the others are named, before a run and after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

import napari_diner as nd
from tests.kit.runs import finished
from tests.tasks.idt.small_recordings import Recording, started

Array = npt.NDArray[Any]


def negative(frames: Array) -> Array:
    frames[[1, 4]] *= -1
    return frames


def flipped(frames: Array) -> Array:
    frames[3] = frames[3, ::-1]
    return frames


def transposed(frames: Array) -> Array:
    frames[8] = frames[8].T
    return frames


def mean(frames: Array) -> Array:
    frames[5] = (frames[5] + frames[8]) / 2
    return frames


def displaced(frames: Array) -> Array:
    frames[6] = np.roll(frames[6], (-4, 3), (0, 1))
    return frames


def faint(frames: Array) -> Array:
    frames[2] *= 0.6
    return frames


def blurred(frames: Array) -> Array:
    frames[9] = ndimage.gaussian_filter(frames[9], 2.0, mode="wrap")
    return frames


FITS = "not fit the others, which predict each other to within"


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (negative, "frames 2 and 5 do", "frames 2 and 5 are negatives of what the other frames let expect"),
        (flipped, "frame 4 does", "frame 4 is upside down against what the other frames let expect"),
        (transposed, "frame 9 does", "frame 9 is transposed, rows for columns, against"),
        (mean, "frame 6 does", "frame 6 fits better as the mean of itself and frame 9"),
        (displaced, "frame 7 does", "frame 7 is displaced by about 3 pixels up and 2 right against"),
        (faint, "", "frame 3 has 0.6"),
        (blurred, "", "frame 10 is blurred by about "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_frame_that_does_not_fit_is_named(
    recording: Recording, change: Callable[[Array], Array], before: str, after: str
) -> None:
    run = started(recording.recipe.updated({"solver": "tikhonov"}), change(recording.frames.copy()))
    early = list(run.job.all_warnings)
    if before:
        text = early[0]
        assert text.startswith(before) and FITS in text
        # opposite directions show a weak sample as negatives of each other
        assert len(early) == 1 or change is negative
        assert ("turned by 180°" in text) == (change is negative)
    texts = [text for text in finished(run).report["warnings"] if text not in early]
    assert texts[0].startswith(after), texts
    assert not [text for text in texts[1:] if "frame" in text.split(" % ")[0].split(";")[0].split(" of the ")[0]], texts


def test_sound_frames_are_not_named(recording: Recording) -> None:
    run = started(recording.recipe.updated({"solver": "tikhonov"}), recording.frames)
    assert list(run.job.all_warnings) == []
    assert finished(run).report["warnings"] == []


def test_wrong_directions_and_optics_are_not_taken_for_faults_of_frames(recording: Recording) -> None:
    for changes in ({"ring": {"na": 0.637, "first_angle_deg": 70.0}}, {"pixel_size_um": 0.24}, {"na": 0.9}):
        run = started(recording.recipe.updated({"solver": "tikhonov", **changes}), recording.frames)
        texts = finished(run).report["warnings"]
        assert texts and not [text for text in texts if text.startswith("frame")], texts


def test_frames_are_not_blamed_for_a_lost_one() -> None:
    made = nd.sample("idt", height_px=48, width_px=48, slices=8, frames=24)
    settings = made.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth", "illuminations"})
    run = nd.idt.start(np.delete(made.data.data, 10, 0), **settings, solver="tikhonov")
    (text,) = finished(run).report["warnings"]
    assert "frame 11 of 24 is missing" in text
