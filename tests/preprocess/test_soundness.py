"""Checks of frames."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_diner.errors import InputError
from napari_diner.preprocess.soundness import (
    black,
    check_intensities,
    check_not_constant,
    check_resolved,
    check_same_type,
    exposures,
    graded,
    mask_doubts,
    numbered,
    only_noise,
    repeated,
    without_light,
)

RNG = np.random.default_rng(3)


def frames(count: int = 5) -> np.ndarray:
    """Smooth frames of counts about 2000, (N, Y, X)."""
    smooth = ndimage.gaussian_filter(RNG.normal(size=(count, 32, 40)), (0, 2, 2))
    return np.rint(2000 + 1000 * smooth).astype(np.uint16)


def test_sound_frames_pass() -> None:
    stack = frames()
    check_not_constant(stack)
    assert repeated(stack) == without_light(stack) == exposures(stack.mean((1, 2))) == []


@pytest.mark.parametrize("value", [0, 17])
def test_constant_frames_are_refused(value: int) -> None:
    stack = frames()
    stack[2] = value
    with pytest.raises(InputError, match="Frame 3 is"):
        check_not_constant(stack)
    mask = np.ones(stack.shape, bool)
    mask[2, 5:] = False
    stack[2, 5:] = frames(1)[0, 5:]
    with pytest.raises(InputError, match="Frame 3 is"):
        check_not_constant(stack, mask)
    check_not_constant(stack)


def test_repeated_frames_are_named() -> None:
    stack = frames(6)
    stack[4] = stack[1]
    stack[5] = stack[0]
    assert repeated(stack) == [
        "frames 1 and 6, and frames 2 and 5 are identical; one recording was probably saved twice (leave_out drops "
        "frames)"
    ]


def test_frames_without_light_are_those_without_structure() -> None:
    stack = frames()
    stack[1] = np.rint(60 + RNG.normal(0, 4, stack.shape[1:]))
    assert without_light(stack) == [1]
    # a dim light, as at the edge of the aperture, is light
    stack[1] = np.rint(0.05 * frames(1)[0])
    assert without_light(stack) == []
    # and where all frames are noise, none is darker than the others
    assert without_light(RNG.poisson(10, stack.shape)) == []
    for offset in (RNG.poisson(10, stack.shape).max(), 1e9):  # of all frames, none has light
        assert without_light(RNG.poisson(10, stack.shape), offset) == []


def test_bright_frames_without_a_sample_are_named() -> None:
    sound = ndimage.gaussian_filter(frames(6).astype(float), (0, 2, 2))
    assert only_noise(sound) == []
    sound[3] = np.random.default_rng(7).normal(sound.mean(), sound.std(), sound.shape[1:])
    assert only_noise(sound) == [([3], "frame 4 shows nothing but noise, unlike the others (leave_out drops frames)")]
    assert only_noise(np.random.default_rng(8).normal(100, 5, sound.shape)) == []


def test_exposures_that_differ_are_named() -> None:
    means = np.array([1.0, 1.01, 0.99, 1.2, 1.0])
    (text,) = exposures(means)
    assert "frame 4 differs" in text and "120 %" in text and "equalise_gains" in text
    assert exposures(means[:3]) == []
    # light that saturated pixels did not record may explain it
    assert exposures(means, np.full(5, 0.2)) == []


def test_references_count_in_the_unit_of_the_frames() -> None:
    stack = frames()
    check_same_type(stack[0], "dark frame", stack, "frames")
    check_same_type(stack.mean(0), "dark frame", stack, "frames")  # a mean of counts
    with pytest.raises(InputError, match=r"The dark frame is of type uint8.*of type uint16"):
        check_same_type(stack[0].astype(np.uint8), "dark frame", stack, "frames")
    with pytest.raises(InputError, match=r"of type float32.*of type uint16"):
        check_same_type(np.float32(stack[0] / 65535), "dark frame", stack, "frames")
    with pytest.raises(InputError, match=r"of type uint16.*of type float64"):
        check_same_type(stack[0], "dark frame", stack / 65535, "frames")


def test_contrasts_are_no_intensities() -> None:
    stack = frames() / 2000
    check_intensities(stack)
    check_intensities(stack - 1.2 * stack.min())  # what noise leaves of dark parts
    with pytest.raises(InputError, match=r"5\d% of the values of the frames are negative"):
        check_intensities(stack / np.median(stack) - 1.0001)


def test_frames_without_their_dark_parts() -> None:
    stack = frames().astype(np.float64)
    assert black(stack) == []
    stack[2] = np.clip(stack[2] - np.quantile(stack[2], 0.12), 0, None)
    (text,) = black(stack)
    assert text.startswith("12 % of the pixels of frame 3 hold 0")


def test_a_mask_that_leaves_nothing() -> None:
    mask = np.ones((2, 20, 20), bool)
    mask[:, :3] = False
    assert mask_doubts(mask) == []
    (text,) = mask_doubts(np.roll(~mask, 1) & (np.arange(20) < 10))
    assert "7.5%" in text
    mask = np.ones((40, 40), bool)
    mask[:5] = False
    (text,) = mask_doubts(~mask)  # inverted
    assert "12.5%" in text and mask_doubts(mask) == []
    (text,) = mask_doubts(np.ones((2, 20, 20), bool))
    assert text.startswith("the mask is nowhere zero")


def test_an_image_is_no_mask() -> None:
    image = frames(1)[0]
    (text,) = graded(image)
    assert "different values, as an image does" in text
    disc = np.hypot(*np.mgrid[-40:40, -40:40]) - 30
    smooth = np.rint(255 * np.clip(0.5 - disc, 0, 1)).astype(np.uint8)
    assert len(np.unique(smooth)) > 16
    labels = np.arange(80 * 80).reshape(80, 80) // 800
    assert graded(smooth) == graded(labels) == graded(disc < 0) == []


def test_light_on_an_offset_keeps_its_digits() -> None:
    stack = frames().astype(np.float64)
    check_resolved(stack + 100 * np.ptp(stack))
    with pytest.raises(InputError, match="too little for single precision; subtract the offset"):
        check_resolved(stack + 1e6 * np.ptp(stack))


def test_numbers_of_frames() -> None:
    assert numbered([3]) == "frame 4"
    assert numbered([0, 1, 4]) == "frames 1, 2 and 5"
    assert numbered(list(range(12))) == "frames 1, 2, 3, 4, 5, 6, 7, 8 and 4 more"
