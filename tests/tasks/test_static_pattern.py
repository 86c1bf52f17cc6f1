"""Patterns that are the same in all frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.tasks.static_pattern import static_pattern
from tests.kit.runs import finished

Array = npt.NDArray[Any]
PATTERN = "a pattern that is the same in all frames"


@pytest.fixture(scope="module")
def sample() -> Any:
    return nd.sample("lensless", height_px=54, width_px=48, seed=4, noise_sigma=0.003)


def told(sample: Any, frames: Array) -> list[str]:
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    result = finished(
        nd.lensless.start(frames, **{**values, "gauss_newton": {"iterations": 5}}), compares_settings=False
    )
    return [text for text in result.report["warnings"] if text.startswith(PATTERN)]


def test_dust_on_the_sensor_and_unequal_pixels_are_told_from_the_sample(sample: Any) -> None:
    frames = np.asarray(sample.data.data, np.float64)
    y, x = np.mgrid[:54, :48]
    dust = 1 - 0.3 * ((np.hypot(y - 30, x - 35) < 3) | (np.hypot(y - 42, x - 12) < 2))
    pixels = 1 + 0.04 * np.random.default_rng(8).standard_normal((54, 48))
    for pattern in (dust, pixels):
        (text,) = told(sample, frames * pattern)
        assert "a flat field, recorded without the sample, removes it, and a mask" in text
    # the same spots elsewhere in each frame are no static pattern
    moving = [frame * np.roll(dust, 9 * number, 1) for number, frame in enumerate(frames)]
    for sound in (frames, np.array(moving)):
        assert told(sample, sound) == []


def test_what_all_but_one_frame_share_is_not_called_static() -> None:
    random = np.random.default_rng(2)
    reference, noise, common = (random.standard_normal((4, 30, 30)) * size for size in (1, 0.02, 0.1))
    shared = noise + common[:1]
    (text,) = static_pattern(shared, reference, is_corrected=True)
    assert "makes up 1 %" in text or "makes up 0.9" in text or "makes up 1.0" in text
    assert "the flat field does not hold it" in text
    shared[2] = noise[2]
    assert static_pattern(shared, reference) == []
    assert static_pattern(noise, reference) == static_pattern(shared[:2], reference[:2]) == []


def test_what_frames_share_is_not_the_cause_of_a_doubtful_result_if_they_differ_by_more() -> None:
    random = np.random.default_rng(4)
    reference, own = (random.standard_normal((4, 30, 30)) * size for size in (1, 0.3))
    shared = own + 0.2 * random.standard_normal((1, 30, 30))
    assert static_pattern(shared, reference) and static_pattern(shared, reference, least=0.5) == []


def test_a_wavelength_in_another_unit_is_no_dust() -> None:
    sample = nd.sample("lensless", height_px=64, width_px=64, seed=4, distances_um=(60.0, 75.0, 95.0, 120.0))
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    wrong = {**values, "wavelength_um": 30.0, "gauss_newton": {"iterations": 5}}
    warnings = finished(nd.lensless.start(sample.data.data, **wrong), compares_settings=False).report["warnings"]
    assert not any(text.startswith(PATTERN) for text in warnings), warnings
    assert any("the wavelength of 30 µm is outside" in text for text in warnings)
