"""Frames whose values were changed by a curve after the camera."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.preprocess.changed import changed
from napari_diner.preprocess.tone_curve import tone_curve

Array = npt.NDArray[Any]


def srgb(light: Array) -> Array:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def in_bits(values: Array, bits: int) -> Array:
    return np.round((2**bits - 1) * np.clip(values, 0, 1)).astype(f"u{bits // 8}")


@pytest.fixture(scope="module")
def frames() -> Array:
    """Frames of a camera with 8 bits, as parts of full scale."""
    sample = nd.sample("lensless", height_px=120, width_px=110, seed=31, bits=8, photons=4000.0, amplitude_min=0.2)
    return np.asarray(sample.data.data) / 255


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "curve", [srgb, lambda light: light**0.45, lambda light: light**0.6], ids=["srgb", "2.2", "1.7"]
)
def test_curves_for_display_are_named(frames: Array, curve: Any, bits: int) -> None:
    (text,) = changed(in_bits(curve(frames), bits)).warnings
    assert "farther apart where it is dark than where it is bright, as after a gamma" in text


@pytest.mark.parametrize("dtype", ["u2", "f4", "f8"])
def test_digits_tell_in_frames_of_little_contrast(frames: Array, dtype: str) -> None:
    weak = np.round(255 * (0.6 + 0.25 * (frames - 0.5))) / 255
    scale = 65535 if dtype == "u2" else 1
    assert len(tone_curve((scale * np.sqrt(weak)).astype(dtype))) == 1
    assert tone_curve((scale * weak).astype(dtype)) == []


@pytest.mark.parametrize("gain", [0.4, 0.8, 1.0, 1.3, 1.7, 2.6])
def test_gains_and_offsets_are_no_curves(frames: Array, gain: float) -> None:
    assert tone_curve(in_bits(gain * frames, 8)) == []
    assert tone_curve(in_bits(gain * (frames - 0.04) + 0.02, 8)) == []
    assert tone_curve((gain * frames).astype(np.float32)) == []
    assert tone_curve((gain * frames).astype(np.float16)) == []
    assert tone_curve(in_bits(gain * frames / 3, 16)) == []


def test_cameras_and_means_leave_other_combs(frames: Array) -> None:
    counts = in_bits(frames, 8).astype(np.uint16)
    two_amplifiers = np.where(counts < 90, 3 * counts, counts // 16 * 48)
    means = np.round((counts[1:] + counts[:-1]) / 2).astype(np.uint8)
    each = (counts / counts.mean((1, 2), keepdims=True)).astype(np.float32)
    for values in (two_amplifiers, means, each, counts > 90, counts[:, :20, :20]):
        assert tone_curve(values) == []
    for photons in (60.0, 900.0):
        sample = nd.sample("lensless", height_px=90, width_px=90, seed=3, photons=photons)
        assert tone_curve(np.asarray(sample.data.data)) == []
