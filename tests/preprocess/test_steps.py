"""Preparation of recorded frames."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.errors import InputError
from napari_diner.preprocess.settings import PreprocessSettings
from napari_diner.preprocess.steps import Prepared, References, prepare_frames, prepared_shape

Y, X = np.mgrid[:60, :80] / 80


def scene(frames: int = 2) -> np.ndarray:
    return np.stack([1 + 0.2 * np.cos(30 * (X + n * Y)) for n in range(frames)])


def prepared(frames: np.ndarray, references: References | None = None, **settings: object) -> Prepared:
    return prepare_frames(PreprocessSettings.model_validate(settings), frames, None, references or References())


def test_nothing_is_changed_unless_asked_for() -> None:
    frames = (scene() * 100).astype(np.uint8)
    result = prepare_frames(PreprocessSettings(), frames, None, References(), scale=1 / 255)
    np.testing.assert_allclose(result.intensities, frames / 255, rtol=1e-6)
    assert result.mask is None and result.notes == ()


def test_sensor_and_light_are_taken_out() -> None:
    dark = 20 + 5 * np.random.default_rng(0).random((60, 80))
    sensitivity = 1 + 0.1 * np.random.default_rng(1).normal(size=(60, 80))
    light = 1.3 - 0.6 * X
    recorded = dark + 100 * sensitivity * light * scene()
    references = References(
        dark=dark, flat=dark + 50 * sensitivity, empty=dark + 100 * sensitivity * light,
    )  # fmt: skip
    # the empty field alone holds both the sensor's and the light's unevenness
    alone = prepared(recorded, References(dark=dark, empty=references.empty)).intensities
    ratio = alone / scene()
    assert np.ptp(ratio) < 1e-4 * ratio.mean()
    assert ratio.mean() == pytest.approx(100 * (sensitivity * light).mean(), rel=1e-4)
    flat_only = prepared(recorded, References(dark=dark, flat=references.flat)).intensities
    assert np.ptp(flat_only / (light * scene())) < 1e-4 * ratio.mean()


@pytest.mark.parametrize(
    "settings", [{"background": "polynomial", "polynomial_degree": 2}, {"background": "blur", "blur_px": 12}]
)
def test_the_background_at_large_is_levelled_and_fine_detail_kept(settings: dict[str, object]) -> None:
    light = 1.2 - 0.5 * X + 0.3 * Y * X
    fine = 1 + 0.05 * np.cos(np.arange(80) * 2)
    result = prepared((light * fine)[None], **settings).intensities[0]
    assert result.mean() == pytest.approx(light.mean(), rel=0.01)
    inner = (result / fine)[8:-8, 8:-8]
    before = np.ptp(light[8:-8, 8:-8]) / light.mean()
    assert np.ptp(inner) / inner.mean() < 0.2 * before


def test_a_background_that_falls_to_zero_is_refused() -> None:
    frame = np.maximum(1 - 4 * X, 0)[None]
    with pytest.raises(InputError, match="polynomial background of frame 1 falls to zero"):
        prepared(frame, background="polynomial", polynomial_degree=1)


def test_saturated_pixels_can_be_masked_and_then_do_not_bleed() -> None:
    frames = scene() * 100
    frames[1, 20:22, 30] = 255
    result = prepared(frames, saturation=255, saturated="mask", upsample=2, background="polynomial")
    assert result.at_least is None
    assert result.mask is not None
    assert np.unique(np.argwhere(~result.mask)[:, 0]).tolist() == [1]
    assert (~result.mask).sum() == 8
    assert result.intensities[1].max() < 130
    assert "2 pixels are saturated" in result.notes[0]


def test_a_level_that_no_pixel_reaches_changes_nothing() -> None:
    result, plain = prepared(scene(), saturation=50, upsample=2), prepared(scene(), upsample=2)
    assert result.mask is None and result.at_least is None and result.notes == ()
    np.testing.assert_array_equal(result.intensities, plain.intensities)


def test_the_level_is_corrected_as_the_light_is() -> None:
    light = 1 + 0.5 * X
    bright = scene() * 3 * light
    dark = np.full((60, 80), 0.4)
    level = float(np.quantile(bright + dark, 0.9))
    references = References(dark=dark, flat=light + dark)
    clipped = prepared(np.minimum(bright + dark, level), references, saturation=level)
    exact = prepared(bright + dark, references)
    assert clipped.at_least is not None and clipped.mask is None
    np.testing.assert_array_equal(clipped.at_least, bright + dark >= level)
    np.testing.assert_allclose(clipped.intensities[~clipped.at_least], exact.intensities[~clipped.at_least], rtol=1e-5)
    assert (clipped.intensities[clipped.at_least] <= exact.intensities[clipped.at_least] * (1 + 1e-5)).all()
    assert "and are taken as at least so bright" in clipped.notes[0]


def test_saturated_pixels_can_be_believed() -> None:
    result = prepared(scene(), saturation=1.0, saturated="believe")
    assert result.mask is None and result.at_least is None and result.notes == ()


def test_what_is_interpolated_from_a_saturated_pixel_is_saturated() -> None:
    frames = scene()
    frames[1, 20:22, 30:32] = 9
    result = prepared(frames, saturation=9, upsample=3)
    assert result.at_least is not None and not result.at_least[0].any()
    expected = np.zeros((180, 240), bool)
    expected[57:69, 87:99] = True
    np.testing.assert_array_equal(result.at_least[1], expected)


def test_a_pixel_that_is_full_in_all_frames_without_its_neighbours_is_hot() -> None:
    frames = scene(4)
    frames[:, 20:22, 30] = 9  # broken
    for number, frame in enumerate(frames):
        frame[40:46, 50 : 60 + number] = 9  # a bright place, which differs from frame to frame
    frames[2, 5, 5] = 9  # a hit
    result = prepared(frames, saturation=9)
    assert result.mask is not None and result.at_least is not None
    expected = np.ones((4, 60, 80), bool)
    expected[:, 20:22, 30] = expected[2, 5, 5] = False
    np.testing.assert_array_equal(result.mask, expected)
    np.testing.assert_array_equal(result.at_least, (frames == 9) & expected)
    assert "2 pixels are hot and are ignored" in result.notes
    assert "1 pixel is saturated but not around, as from cosmic rays or hot pixels, and is ignored" in result.notes


def test_saturation_is_judged_in_the_units_of_the_file() -> None:
    frames = np.full((1, 16, 16), 100, np.uint16)
    frames[0, 3:5, 4] = 4095
    frames[0, 3:5, 5] = 4000
    settings = PreprocessSettings(saturation=4095)
    result = prepare_frames(settings, frames, None, References(), scale=1 / 65535)
    assert result.at_least is not None and np.argwhere(result.at_least).tolist() == [[0, 3, 4], [0, 4, 4]]
    assert result.mask is None


def test_dead_pixels_drop_out_of_all_frames() -> None:
    frames = scene(3)
    frames[:, 11, 13] = 0
    mask = prepared(frames, dead_pixels=8).mask
    assert mask is not None and np.argwhere(~mask).tolist() == [[n, 11, 13] for n in range(3)]


def test_pixels_that_the_flat_field_leaves_dark_are_masked() -> None:
    flat = np.ones((60, 80))
    flat[5, 5] = 0
    result = prepared(scene(), References(flat=flat))
    assert result.mask is not None and (~result.mask).sum() == 2
    assert np.isfinite(result.intensities).all()


def test_cropping_cuts_frames_mask_and_references_alike() -> None:
    mask = np.ones((2, 60, 80), bool)
    mask[:, 12, 25] = False
    settings = PreprocessSettings(crop_px=(10, 20, 30, 40), upsample=2)
    light = 1 + 0.5 * X
    result = prepare_frames(settings, light * scene(), mask, References(empty=light))
    assert result.intensities.shape == (2, *prepared_shape(settings, (60, 80))) == (2, 60, 80)
    assert result.mask is not None
    assert np.argwhere(~result.mask[0]).tolist() == [[4, 10], [4, 11], [5, 10], [5, 11]]
    ratio = result.intensities[:, ::2, ::2] / scene()[:, 10:40, 20:60]
    assert np.std(ratio) < 0.1 * ratio.mean()


def test_what_is_not_finite_matters_only_where_it_is_used() -> None:
    frames = scene()
    frames[1, 50, 70] = np.nan
    with pytest.raises(InputError, match="Frame 2 holds values that are not finite"):
        prepared(frames)
    assert np.isfinite(prepared(frames, crop_px=(0, 0, 40, 40)).intensities).all()


@pytest.mark.parametrize(
    ("references", "settings", "message"),
    [
        (References(dark=np.ones((8, 9))), {}, "dark frame has 8×9 pixels but the frames have 2×60×80"),
        (References(flat=np.full((60, 80), np.nan)), {}, "flat field holds values that are not finite"),
        (
            References(dark=np.full((60, 80), 0.5), empty=np.full((60, 80), 0.5)),
            {},
            "empty field is not brighter than the dark",
        ),
        (References(), {"crop_px": (40, 0, 30, 40)}, "30×40 pixels from row 40 and column 0"),
        (References(), {"saturation": 0.5}, "masked or saturated"),
    ],
)
def test_what_cannot_be_used(references: References, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepared(scene(), references, **settings)


@pytest.mark.parametrize("name", ["flat", "empty"])
def test_a_reference_that_is_one_of_the_frames_is_refused(name: str) -> None:
    frames = np.random.default_rng(6).integers(100, 900, (3, 12, 14)).astype(np.uint16)
    for reference in (frames[1], np.stack([frames[1] // 2, frames[1], frames[0]])):
        with pytest.raises(InputError, match="field is the same image as frame 2; check which file is which"):
            prepare_frames(PreprocessSettings(), frames, None, References(**{name: reference}))


@pytest.mark.parametrize(("kind", "offset"), [(np.uint32, 4_100_000_000), (np.float64, 3e12)])
def test_a_large_offset_is_subtracted_before_digits_are_lost(kind: type, offset: float) -> None:
    light = np.round(5000 * scene(3))
    frames, dark = (light + offset).astype(kind), np.full(light.shape[1:], offset, kind)
    np.testing.assert_array_equal(prepared(frames, References(dark=dark)).intensities, light)
    with pytest.raises(InputError, match="too little for single precision"):
        prepared(frames)


def test_a_dark_frame_that_is_no_darker_is_refused() -> None:
    frames = scene() * 100
    assert prepared(frames, References(dark=np.full((60, 80), 90.0))).intensities.min() < 0
    with pytest.raises(InputError, match=r"dark frame has a mean of 130.*check which file is which"):
        prepared(frames, References(dark=np.full((60, 80), 130.0)))
