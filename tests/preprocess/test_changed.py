"""Values that are not those of the camera any more: wrapped round, read with the wrong sign, or equalised."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

import napari_diner as nd
from napari_diner.errors import InputError
from napari_diner.preprocess.changed import changed
from napari_diner.preprocess.equalised import equalised
from napari_diner.preprocess.few_levels import few_levels
from napari_diner.preprocess.wrapped import wrapped

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def light() -> Array:
    """Frames between zero and one."""
    sample = nd.sample("lensless", height_px=70, width_px=64, seed=8, noise_sigma=0.01, amplitude_min=0.4)
    frames = np.asarray(sample.data.data, np.float64)
    return frames / frames.max()


@pytest.mark.parametrize(("bits", "gain"), [(8, 1.6), (16, 1.4), (12, 2.2)])
def test_sums_in_too_few_bits_are_named(light: Array, bits: int, gain: float) -> None:
    frames = np.round(gain * light * 2**bits).astype(np.int64) % 2**bits
    (text,) = changed(frames.astype(np.uint8 if bits == 8 else np.uint16)).warnings
    assert f"jump between 0 and {2**bits - 1:,} from pixel to pixel" in text
    assert f"in {bits} bits" in text
    found = wrapped(frames.astype(np.float32))
    assert found is not None and found.high == 2**bits - 1


def test_only_frames_that_wrap_are_named(light: Array) -> None:
    frames = np.round(200 * light).astype(int)
    frames[2] = np.round(2 * 200 * light[2]).astype(int) % 256
    frames[2, :3, :2] = [0, 255]  # a bare range does not tell
    found = wrapped(frames.astype(np.uint8))
    assert found is not None and found.frames == (2,)


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4"])
def test_unsigned_numbers_read_as_signed_ones_are_refused(light: Array, dtype: str) -> None:
    frames = np.round(60_000 * light).astype(np.uint16).view(np.int16).astype(dtype)
    with pytest.raises(InputError, match=r"unsigned numbers of 16 bits .* adds 65,536"):
        changed(frames)


def test_frames_above_half_of_the_range_are_refused_if_read_as_signed(light: Array) -> None:
    bright = np.round(36_000 + 9_000 * light).astype(np.uint16)
    with pytest.raises(InputError, match=r"100% of the values .* negative integers, down to -.* read them as unsigned"):
        changed(bright.view(np.int16))
    noise = np.round(300 * np.random.default_rng(2).standard_normal(light.shape)).astype(np.int16)
    assert changed(noise).warnings == ()


def test_recorded_frames_are_not_named(light: Array) -> None:
    random = np.random.default_rng(3)
    broken = np.round(190 * light).astype(np.uint8)
    for low, high in ((0, 9), (244, 256)):
        broken[:, random.random(light.shape[1:]) < 0.003] = random.integers(low, high)
    torn = np.round(250 * light).astype(np.uint8)
    torn[:, :, 30:34] = 0
    torn[:, 20:24] = 255
    for frames in (
        broken,
        torn,
        np.round(255 * light).astype(np.uint8),
        np.clip(900 * light - 300, 0, 255).astype(np.uint8),  # overexposed and cut off below
        np.where(light > 0.5, 255, 0).astype(np.uint8),
        np.round(4095 * light).astype(np.int16) - 2048,
        random.integers(0, 256, light.shape).astype(np.uint8),
    ):
        assert wrapped(frames) is None


@pytest.mark.parametrize(("top", "dtype"), [(255, "u1"), (1, "f4"), (65535, "u2")])
def test_equalised_histograms_are_named(light: Array, top: float, dtype: str) -> None:
    shape = light.shape
    ranks = light.reshape(len(light), -1).argsort(1).argsort(1).reshape(shape) / (light[0].size - 1)
    (text,) = changed((ranks * top).astype(dtype)).warnings
    assert "histogram had been equalised" in text
    for frames in (light, np.round(255 * light).astype(np.uint8), np.round(6 * light).astype(np.uint8)):
        assert equalised(frames) == []
    assert equalised((light > 0.5).astype(np.uint8)) == []


@pytest.mark.parametrize("count", [2, 5, 16])
def test_frames_that_are_rounded_to_a_few_values_are_named(light: Array, count: int) -> None:
    smooth = gaussian_filter(light, (0, 2, 2))
    few = np.round((count - 1) * smooth / smooth.max()).astype(np.uint8)
    (text,) = few_levels(few)
    assert text.startswith(f"the values of all frames are rounded to at most {max(len(np.unique(f)) for f in few)}")
    mixed = np.round(200 * smooth / smooth.max()).astype(np.uint8)
    mixed[1] = 36 * few[1]
    assert few_levels(mixed)[0].startswith("the values of frame 2 are rounded to at most")
    # single photons are few values, too, but noise makes their means exact
    assert few_levels(np.random.default_rng(0).poisson(3 * light).astype(np.uint8)) == []
    assert changed(few).warnings[-1] == text


def test_a_cause_is_told_once_before_a_run(light: Array) -> None:
    recipe = {"wavelength_um": 0.532, "pixel_size_um": 1.12, "distances_um": [700 + 60 * n for n in range(len(light))]}
    frames = (np.round(1.6 * 256 * light * np.linspace(0.8, 1, len(light))[:, None, None]) % 256).astype(np.uint8)
    told = nd.lensless(frames, **recipe, solver="alternating", alternating={"iterations": 15}).report["warnings"]
    assert any("wrapped round" in text for text in told)
    assert "unexplained, more than noise accounts for; give frames whose values are not changed, see below" in told[0]
    assert not any(word in text for text in told for word in ("exposure", "stretched", "dust", "much worse"))
    with pytest.raises(InputError, match=r"The values of frames 1, 2.* read them as unsigned"):
        nd.lensless.start(np.round(65000 * light).astype(np.uint16).view(np.int16), **recipe)
    ring = {"wavelength_um": 0.515, "pixel_size_um": 0.1625, "na": 0.65, "medium_index": 1.33, "ring": {"na": 0.6}}
    slices = {"slice_count": 3, "slice_spacing_um": 0.8}
    with pytest.raises(InputError, match="read them as unsigned"):
        nd.idt.start(np.round(65000 * light).astype(np.uint16).view(np.int16), **ring, **slices)
    image = (np.round(1.6 * 256 * light[0]) % 256).astype(np.uint8)
    with nd.fit.start(image, epochs=2) as fit:
        (told_too,) = fit.job.warnings
    assert "values of the data jump between 0 and 255" in told_too


def test_values_come_before_directions_in_a_tomographic_recording() -> None:
    sample = nd.sample("idt", height_px=48, width_px=48, slices=6, frames=8, peak_phase_rad=0.3)
    light = sample.data.data / sample.data.data.max()
    frames = (np.round(1.1 * 255 * light) % 256).astype(np.uint8)
    told = nd.idt(frames, recipe=sample.recipe, background="mean", solver="tikhonov", model="born").report["warnings"]
    assert any("wrapped round" in text for text in told)
    doubts = [text for text in told if "unexplained" in text or "no better than" in text]
    assert doubts[0].split("; ")[1] == "give frames whose values are not changed, see below"
    assert not any("same pattern" in text or "stripes" in text for text in told)
