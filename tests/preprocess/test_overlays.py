"""Scale bars and texts that were drawn into frames are found, and light that is cut off is not taken for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

import napari_diner as nd
from napari_diner.errors import InputError
from napari_diner.preprocess.overlays import overlays
from napari_diner.preprocess.settings import PreprocessSettings
from napari_diner.preprocess.soundness import black
from napari_diner.preprocess.steps import References, prepare_frames

Frames = npt.NDArray[Any]
Field = npt.NDArray[np.float64]
SHAPE = (80, 92)
DIGITS = ("111101101101111", "010110010010111", "111001111100111", "111001111001111", "101101111001001")


def recording(**settings: Any) -> Frames:
    data = nd.sample("lensless", height_px=SHAPE[0], width_px=SHAPE[1], **settings)
    return np.asarray(data.data.data)


FRAMES = recording(seed=5)


def bar() -> Field:
    drawn = np.zeros(SHAPE)
    drawn[70:73, 50:84] = 1
    return drawn


def text(*numbers: int, row: int = 52, column: int = 44, scale: int = 3) -> Field:
    drawn = np.zeros(SHAPE)
    for place, number in enumerate(numbers):
        digit = np.array([*DIGITS[number]], float).reshape(5, 3).repeat(scale, 0).repeat(scale, 1)
        left = column + place * 4 * scale
        drawn[row : row + 5 * scale, left : left + 3 * scale] = digit
    return drawn


def cross() -> Field:
    drawn = np.zeros(SHAPE)
    drawn[30, 20:51] = drawn[15:46, 35] = 1
    return drawn


DRAWN = {
    "bar": bar(),
    "text": text(2, 0),
    "blended text": np.clip(1.6 * ndimage.gaussian_filter(text(3, 4, scale=4), 0.6), 0, 1),
    "both": np.maximum(bar(), text(1, 3)),
    "cross": cross(),
    "numbers": np.stack([text(number % 5, (number + 2) % 5, row=4, column=5) for number in range(len(FRAMES))]),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("value", [65535, 52000, 0])
def test_what_was_drawn_is_ignored(name: str, value: int) -> None:
    opacity = np.broadcast_to(DRAWN[name], FRAMES.shape)
    frames = np.round((1 - opacity) * FRAMES * (48000 / FRAMES.max()) + opacity * value).astype(np.uint16)
    prepared = prepare_frames(PreprocessSettings(), frames, None, References())
    assert prepared.mask is not None
    assert (opacity[prepared.mask] > 0.1).sum() <= 0.06 * (opacity > 0.1).sum()
    near = ndimage.binary_dilation(opacity > 0, np.ones((1, 13, 13)))
    assert prepared.mask[~near].all()
    assert prepared.at_least is None
    assert "drawn into the frames like a scale bar or a text" in prepared.notes[0]


@pytest.mark.parametrize("settings", [{}, {"distances_um": (300.0, 302.0, 304.0)}, {"phase_range_rad": 12.0}])
@pytest.mark.parametrize("part", [0.8, 0.98])
def test_light_that_is_cut_off_is_not_taken_for_a_drawing(settings: dict[str, Any], part: float) -> None:
    light = recording(seed=2, **settings).astype(float)
    assert not overlays(np.clip(light, 0, np.quantile(light, part))).any()
    assert not overlays(np.round(np.clip(light - np.quantile(light, 1 - part), 0, None) / 200)).any()


def test_spots_that_saturate_in_every_frame_are_no_drawing() -> None:
    y, x = np.mgrid[:60, :70]
    widths = 1.8 + 0.15 * np.arange(4)[:, None, None]
    spots = sum(700 * np.exp(-((y - row) ** 2 + (x - 3 * row) ** 2) / (2 * widths**2)) for row in (8, 15, 21))
    assert not overlays(np.clip(30 + spots, 0, 255).astype(np.uint8)).any()


def test_a_flat_background_is_no_drawing() -> None:
    frames = np.full((5, 40, 50), 120, np.uint8)
    frames[:, 8:30, 10:40] += np.random.default_rng(1).integers(0, 60, (5, 22, 30)).astype(np.uint8)
    assert not overlays(frames).any()


def test_a_black_box_with_a_text_is_no_black_level() -> None:
    frames = FRAMES.copy()
    frames[:, 52:80, 44:90] = 0
    frames[:, 55:58, 50:80] = 65535
    assert overlays(frames)[:, 52:80, 44:90].all()
    assert not black(frames)


def test_the_phase_is_that_without_a_drawing() -> None:
    sample = nd.sample("lensless", height_px=64, width_px=64, seed=1, distances_um=(300, 380, 480, 600))
    settings = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    settings["gauss_newton"] = {"iterations": 12}
    clean = np.asarray(sample.data.data).astype(float)
    frames = np.round(clean * 40000 / clean.max())
    frames[:, 50:52, 30:54] = 65535
    results = [nd.lensless(stack.astype(np.uint16), **settings) for stack in (frames, clean)]
    difference = np.angle(np.exp(1j * (results[0].phase - results[1].phase)))[:44]
    assert np.std(difference) < 0.1
    assert any("drawn into the frames" in warning for warning in results[0].report["warnings"])


def test_idt_refuses_frames_with_a_drawing() -> None:
    sample = nd.sample("idt", height_px=48, width_px=48, slices=4, frames=8)
    frames = np.round(np.asarray(sample.data.data) * 9000).astype(np.uint16)
    frames[:, 40:42, 12:36] = 16383
    settings = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"}) | {"background": "mean"}
    with pytest.raises(InputError, match=r"in rows 39 to 44 and columns 11 to 38 are drawn .* not recorded; crop"):
        nd.idt(frames, **settings)
