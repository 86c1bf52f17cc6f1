"""Flat fields that cannot be what frames are divided by are named."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd

Image = npt.NDArray[np.float64]


def doubts(flat: Image, light: Image) -> list[str]:
    """Return the warnings about a flat field, for frames recorded with some light."""
    sample = nd.sample("lensless", height_px=96, width_px=96, amplitude_min=0.9, seed=1)
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth", "intensity_scale"})
    frames = np.asarray(sample.data.data, np.float64) * light
    with nd.lensless.start(frames, **{**values, "preprocess": {"flat": flat}}) as run:
        return [text for text in run.warnings if "flat field" in text]


@pytest.fixture
def light() -> Image:
    y, x = np.mgrid[:96, :96] / 96
    return np.asarray(1 + 0.8 * (x - 0.5) + 0.1 * np.cos(5 * y))


def test_a_flat_field_of_the_recording_is_left_alone(light: Image) -> None:
    noise = 1 + 0.02 * np.random.default_rng(0).standard_normal(light.shape)
    assert doubts(light * noise, light) == []
    assert doubts(np.ones_like(light) * noise, light) == []


@pytest.mark.parametrize("wrong", [lambda flat: flat[:, ::-1], lambda flat: 2 - flat], ids=["mirrored", "negative"])
def test_a_pattern_that_the_frames_do_not_show_is_named(light: Image, wrong: object) -> None:
    (text,) = doubts(wrong(light), light)  # type: ignore[operator]
    assert text.startswith("the frames do not show the pattern of the flat field: where it is 10 % brighter, they are ")


def test_a_saturated_flat_field_is_named(light: Image) -> None:
    (text,) = doubts(np.minimum(np.round(200 * light), 230), light)
    assert "of the pixels of the flat field are saturated at 230, and do not correct the frames" in text
