"""Frames that are flipped, turned or displaced are told from those with other errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

import napari_diner as nd
from napari_diner.tasks.turned_frames import Turned, turned_frames, warnings_of_turns
from napari_diner.tasks.unexplained import Unexplained
from tests.kit.runs import finished

Array = npt.NDArray[Any]


@pytest.mark.parametrize(("way", "how"), [(np.flipud, "is upside down"), (np.fliplr, "is flipped left to right")])
def test_a_flipped_lensless_frame_is_named(way: Any, how: str) -> None:
    sample = nd.sample(
        "lensless",
        height_px=64,
        width_px=72,
        seed=6,
        noise_sigma=0.01,
        distances_um=(280.0, 340.0, 420.0, 500.0, 610.0, 690.0),
    )
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    frames = np.asarray(sample.data.data, np.float64)
    frames[3] = way(frames[3])
    run = nd.lensless.start(frames, **{**values, "gauss_newton": {"iterations": 4}})
    texts = finished(run, compares_settings=False).report["warnings"]
    assert texts[0].startswith(f"frame 4 {how} against what the other frames let expect"), texts


def test_other_errors_are_not_taken_for_a_turn() -> None:
    random = np.random.default_rng(5)
    light = ndimage.gaussian_filter(random.standard_normal((5, 64, 64)), (0, 1, 1))

    def found(changed: Array) -> list[Turned]:
        seen = light.copy()
        seen[1] = changed
        residual, trivial = light - seen, -seen
        return turned_frames(residual, trivial, Unexplained.of(residual, trivial))

    assert found(np.rot90(light[1])) == [Turned(1, "turned by 90°")]
    assert found(np.roll(light[1], (2, -7), (0, 1))) == [Turned(1, "", (2, -7))]
    others = (-light[1], 0.7 * light[1], ndimage.gaussian_filter(light[1], 2), light[3], light[1])
    assert [found(other) for other in others] == [[]] * len(others)
    (text,) = warnings_of_turns([Turned(4, "", (0, 3))])
    assert text.startswith("frame 5 is displaced by about 3 pixels right against what the other frames let expect")
