"""Dark and flat fields that cannot correct frames are named."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

import napari_diner as nd
from napari_diner.preprocess.references import dark_doubts

Image = npt.NDArray[np.float64]


def doubts(flat: Image, light: Image) -> list[str]:
    """Return the warnings about a flat field, for frames recorded with some light."""
    sample = nd.sample("lensless", height_px=72, width_px=72, amplitude_min=0.9, seed=1)
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth", "intensity_scale"})
    frames = np.asarray(sample.data.data, np.float64) * light
    with nd.lensless.start(frames, **{**values, "preprocess": {"flat": flat}}) as run:
        # without the comparison of settings, which says nothing of it
        return [text for text in run.job.warnings if "flat field" in text]


@pytest.fixture
def light() -> Image:
    y, x = np.mgrid[:72, :72] / 72
    return np.asarray(1 + 0.8 * (x - 0.5) + 0.1 * np.cos(5 * y))


def test_a_flat_field_of_the_recording_is_left_alone(light: Image) -> None:
    noise = 1 + 0.02 * np.random.default_rng(0).standard_normal(light.shape)
    assert doubts(light * noise, light) == []
    assert doubts(np.ones_like(light) * noise, light) == []


def test_a_pattern_that_the_frames_do_not_show_is_named(light: Image) -> None:
    vignette = light - 0.9 * (np.hypot(*np.mgrid[-1 : 1 : light.shape[0] * 1j, -1 : 1 : light.shape[1] * 1j]) - 1) ** 2
    (text,) = doubts(2.2 - vignette, vignette)
    assert text.startswith("the frames do not show the pattern of the flat field: where it is 10 % brighter, they are ")


@pytest.mark.parametrize(
    ("turned", "way"),
    [
        ((slice(None), slice(None, None, -1)), "mirrored from left to right"),
        ((slice(None, None, -1),), "mirrored from top to bottom"),
        ((slice(None, None, -1), slice(None, None, -1)), "turned by 180°"),
    ],
)
def test_a_flat_field_that_is_turned_is_named(turned: tuple[slice, ...], way: str) -> None:
    y, x = np.mgrid[-1:1:72j, -1:1:72j]
    light = np.exp(-0.5 * ((y - 0.5) ** 2 + (x + 0.45) ** 2))
    noise = 1 + 0.02 * np.random.default_rng(3).standard_normal(light.shape)
    assert doubts(light, light * noise) == []
    assert doubts(light[turned], light * noise) == [
        f"the frames show the pattern of the flat field {way}; turn the file as the frames"
    ]


def test_a_saturated_flat_field_is_named(light: Image) -> None:
    (text,) = doubts(np.minimum(np.round(200 * light), 230), light)
    assert "of the pixels of the flat field are saturated at 230, and do not correct the frames" in text
    (text, *_) = doubts(np.minimum(np.round(2000 * light), 1500), light)
    assert "saturated at 1500, and do not correct the frames" in text


def dark_and_frames(dark_area: float = 0.0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint16]]:
    """Return a dark frame of 12 bits, and frames with it that are without light in a part of the field."""
    random = np.random.default_rng(5)
    light = np.full((3, 64, 80), 1500.0)
    light[:, :, : round(80 * dark_area)] = 0
    frames = np.round(light + random.normal(120, 5, light.shape)).astype(np.uint16)
    return np.round(random.normal(120, 5, light.shape[1:])).astype(np.float32), frames


@pytest.mark.parametrize("factor", [1, 16])
def test_a_dark_frame_of_the_camera_is_left_alone(factor: int) -> None:
    dark, frames = dark_and_frames(dark_area=0.4)
    assert dark_doubts(factor * dark, factor * frames, "frames") == []
    assert dark_doubts(np.full_like(dark, 100), factor * frames, "frames") == []


@pytest.mark.parametrize("factor", [4, 8])
def test_a_dark_frame_brighter_than_parts_of_the_field_is_named(factor: int) -> None:
    dark, frames = dark_and_frames(dark_area=0.4)
    (text,) = dark_doubts(factor * dark, frames, "flat field")
    assert text.startswith("the dark frame is brighter than the flat field in 40 % of the area")


def test_a_dark_frame_of_other_bits_is_named() -> None:
    dark, frames = dark_and_frames()
    (text,) = dark_doubts(dark, 16 * frames, "frames")
    assert text.startswith("the values of the frames are multiples of 16") and "multiply them by 16" in text
    (text,) = dark_doubts(8 * dark, frames, "frames")
    assert text.startswith("the values of the dark frame are multiples of 8")


@pytest.mark.parametrize("bits", [2, 4])
def test_a_dark_frame_of_fewer_bits_is_named_by_its_fine_pattern(bits: int) -> None:
    random = np.random.default_rng(8)
    offset = 300 + 40 * random.standard_normal((72, 90))
    light = 9000 + ndimage.gaussian_filter(random.normal(0, 3e4, (4, 72, 90)), (0, 3, 3))
    frames = np.round(light + offset + random.normal(0, 30, light.shape))
    dark = np.round(offset + random.normal(0, 10, offset.shape)).astype(np.float32)
    assert dark_doubts(dark, frames, "frames") == []
    (text,) = dark_doubts(np.round(dark / 2**bits), frames, "frames")
    strength = re.search(r"the fine pattern of the dark frame is ([\d.]+) times as strong in the frames", text)
    assert strength is not None and float(strength[1]) == pytest.approx(2**bits, rel=0.2)


def test_a_run_names_a_dark_frame_of_another_range() -> None:
    dark, frames = dark_and_frames(dark_area=0.2)
    optics = {"wavelength_um": 0.53, "pixel_size_um": 1.1, "distances_um": (300.0, 400.0, 500.0)}
    with nd.lensless.start(frames, **optics, preprocess={"dark": (4 * dark).astype(np.uint16)}) as run:
        assert sum("the dark frame is brighter than the frames" in text for text in run.job.warnings) == 1
