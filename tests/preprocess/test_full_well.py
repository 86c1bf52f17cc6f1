"""Saturation with noise."""

from __future__ import annotations

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.preprocess.full_well import full_well, full_well_doubts
from napari_diner.preprocess.saturation import saturation_levels
from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation


def pattern(phase: float = 6.0) -> np.ndarray:
    settings = {"height_px": 96, "width_px": 128, "distances_um": (150.0, 220.0, 300.0), "bits": 16}
    return simulate(LenslessSimulation.model_validate({**settings, "phase_range_rad": phase})).frames


def recorded(share: float, noise: float, full: float, kind: type) -> np.ndarray:
    """Frames that are cut off at a level, with noise relative to it."""
    frames = pattern()
    light = full * np.minimum(frames / np.quantile(frames, 1 - share), 1)
    values = np.maximum(light + np.random.default_rng(1).normal(0, noise * full, frames.shape), 0)
    return (values if kind is np.float32 else np.round(values)).astype(kind)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("noise", [0.002, 0.008])
@pytest.mark.parametrize(("full", "kind"), [(3870, np.uint16), (61_000, np.uint16), (215, np.uint8), (0.8, np.float32)])
def test_full_pixels_with_noise_are_found(share: float, noise: float, full: float, kind: type) -> None:
    well = full_well(recorded(share, noise, full, kind))
    assert well is not None
    assert well.level == pytest.approx(full, rel=noise)
    assert well.share == pytest.approx(share, rel=0.3, abs=0.003)


@pytest.mark.parametrize("phase", [0.1, 2.0, 6.0])
@pytest.mark.parametrize("noise", [0.0, 0.003, 0.03])
@pytest.mark.parametrize("scale", [1.0, 1 / 300])
def test_whole_light_is_left_alone(phase: float, noise: float, scale: float) -> None:
    frames = pattern(phase) * scale
    noisy = frames + np.random.default_rng(2).normal(0, noise * frames.max(), frames.shape)
    assert full_well(np.clip(np.round(noisy), 0, None).astype(np.uint16)) is None


def test_fringes_and_flat_light_are_left_alone() -> None:
    y, x = np.mgrid[:96, :128]
    noise = np.random.default_rng(3).normal(0, 3, (2, 96, 128))
    for light in (200 + 100 * np.cos(0.3 * x + 0.1 * y), np.full(x.shape, 300.0)):
        assert full_well(light + noise) is None
        assert full_well(light + 0 * noise) is None


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_frames_that_are_mostly_overexposed_are_named(kind: type) -> None:
    frames = pattern()
    cut = (220 * np.minimum(frames / np.quantile(frames, 0.35), 1)).astype(kind)
    (text,) = full_well_doubts(cut, saturation_levels(cut))
    assert (
        text
        == "65 % of the pixels hold the largest value, 220, as of an overexposed camera; record them with less light"
    )


def test_the_warning_tells_the_setting_that_ends_it() -> None:
    sample = nd.sample("lensless", height_px=96, width_px=96, phase_range_rad=6.0, seed=2)
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth", "intensity_scale"})
    light = np.asarray(sample.data.data, np.float64)
    cut = np.minimum(light / np.quantile(light, 0.94), 1) * 3600
    frames = np.round(cut + np.random.default_rng(4).normal(0, 12, cut.shape)).clip(0).astype(np.uint16)
    with nd.lensless.start(frames, **values) as run:
        (text,) = [text for text in run.job.warnings if "nothing lies above" in text]
    level = float(text.split("saturation set to ")[1].split(",")[0])
    assert 3540 < level < 3600
    with nd.lensless.start(frames, **{**values, "preprocess": {"saturation": level}}) as run:
        texts = [text for text in run.job.warnings if "saturat" in text]
    assert len(texts) == 1 and "taken as at least so bright" in texts[0]
