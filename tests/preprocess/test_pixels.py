"""Good and bad pixels, and finer grids."""

from __future__ import annotations

import numpy as np

from napari_diner.preprocess.pixels import dead_pixels, fill, magnify, magnify_mask, split, upsample


def fringes(frames: int = 3, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    radius2 = (y - 30.0) ** 2 + (x - 25.0) ** 2
    noise = np.random.default_rng(1).normal(0, 0.01, (frames, size, size))
    return np.stack([1 + 0.4 * np.cos(radius2 / (150 + 60 * n)) for n in range(frames)]) + noise


def test_dead_pixels_are_those_that_stand_out_in_every_frame() -> None:
    frames = fringes()
    spots = [(10, 12), (40, 41), (63, 0)]
    for (y, x), value in zip(spots, (0.0, 3.0, 4.0), strict=True):
        frames[:, y, x] = value
    frames[1, 50, 50] = 9  # a flash in one frame only
    found = {(int(y), int(x)) for y, x in np.argwhere(dead_pixels(frames, 8))}
    assert found == set(spots)


def test_a_picture_without_noise_has_dead_pixels_too() -> None:
    frames = np.ones((2, 16, 16))
    frames[:, 5, 6] = 0
    assert np.argwhere(dead_pixels(frames, 8)).tolist() == [[5, 6]]


def test_filling_takes_the_nearest_good_pixel() -> None:
    image = np.arange(25.0).reshape(5, 5)
    mask = np.ones((5, 5), bool)
    mask[2, 0] = False
    filled = fill(image, mask)
    assert filled[2, 0] in (image[1, 0], image[3, 0], image[2, 1])
    np.testing.assert_array_equal(filled[mask], image[mask])


def test_upsampling_keeps_the_field_of_view_and_smooth_values() -> None:
    def scene(size: int) -> np.ndarray:
        y, x = (np.mgrid[:size, :size] + 0.5) / size
        return np.cos(2 * np.pi * x) + np.cos(np.pi * y)

    fine = upsample(scene(40), 3)
    assert fine.shape == (120, 120)
    np.testing.assert_allclose(fine, scene(120), atol=1e-3)


def test_a_mask_is_split_and_not_smoothed() -> None:
    mask = np.ones((2, 4, 5), bool)
    mask[1, 2, 3] = False
    fine = split(mask, 2)
    assert fine.shape == (2, 8, 10)
    assert np.argwhere(~fine).tolist() == [[1, 4, 6], [1, 4, 7], [1, 5, 6], [1, 5, 7]]


def test_magnifying_keeps_the_centre_of_the_field() -> None:
    y, x = np.mgrid[:60, :70] - np.array([29.5, 34.5])[:, None, None]
    larger = magnify(np.exp(-((y - 3) ** 2 + x**2) / 50), 1.5)
    np.testing.assert_allclose(larger, np.exp(-((y / 1.5 - 3) ** 2 + (x / 1.5) ** 2) / 50), atol=1e-3)


def test_a_magnified_mask_keeps_away_from_bad_pixels() -> None:
    mask = np.ones((20, 20), bool)
    mask[8, 8] = False
    larger = magnify_mask(mask, 1.3)
    assert larger.dtype == bool and 1 <= (~larger).sum() <= 12
