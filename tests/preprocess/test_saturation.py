"""Estimation of the saturation level."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.preprocess.saturation import black_level, saturated, saturation_levels
from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation

DISTANCES_UM = (150.0, 220.0)


def saturation_level(frames: np.ndarray) -> float | None:
    """The level that all frames have, None for none."""
    (level,) = {*saturation_levels(frames).tolist()}
    return None if np.isinf(level) else level


def pattern(**settings: object) -> np.ndarray:
    """Frames as a camera of 16 bits gives them, unclipped."""
    return simulate(
        LenslessSimulation.model_validate(
            {"height_px": 72, "width_px": 64, "distances_um": DISTANCES_UM, "bits": 16, **settings}
        )
    ).frames


@pytest.mark.parametrize("share", [0.01, 0.12])
@pytest.mark.parametrize(
    ("kind", "full"), [(np.uint8, 255), (np.uint8, 201), (np.uint16, 1023), (np.uint16, 65520), (np.float32, 0.7)]
)
@pytest.mark.parametrize("photons", [None, 3000.0])
def test_where_light_is_cut_off_is_found(kind: type, full: float, share: float, photons: float | None) -> None:
    frames = pattern(photons=photons)
    level = np.quantile(frames, 1 - share)
    cut = np.minimum(frames / level, 1) * full
    recorded = (np.round(cut) if kind is not np.float32 else cut).astype(kind)
    assert saturation_level(recorded) == pytest.approx(full, rel=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("phase", [0.1, 1.7, 6.0])
@pytest.mark.parametrize("noise", [{}, {"photons": 500}, {"noise_sigma": 0.03}])
def test_the_brightest_pixels_of_a_whole_pattern_are_not_saturated(
    bits: int, phase: float, noise: dict[str, float]
) -> None:
    frames = pattern(bits=bits, phase_range_rad=phase, **noise)
    assert saturation_level(frames) is None
    assert saturation_level(frames.astype(np.float32) / 3) is None


def test_a_flat_background_is_not_saturated() -> None:
    frames = np.full((3, 32, 32), 200, np.uint8)
    frames[:, 10:14, 8:20] = 40
    assert saturation_level(frames) is None
    assert saturation_level(np.zeros((2, 16, 16), np.uint16)) is None


@pytest.mark.parametrize(("kind", "full"), [(np.uint8, 255), (np.uint16, 1023), (np.uint16, 16383)])
def test_frames_that_are_mostly_saturated_are_found(kind: type, full: int) -> None:
    light = np.random.default_rng(0).uniform(0.5, 6, (3, 40, 48))
    frames = np.minimum(light * full, full).astype(kind)
    assert (frames == full).mean() > 0.8
    assert saturation_levels(frames).tolist() == [full] * 3
    # a flat background of another value
    assert np.isinf(saturation_levels((frames - (frames == full)).astype(kind))).all()


def test_what_is_not_finite_does_not_count() -> None:
    frames = pattern().astype(np.float64)
    frames = np.minimum(frames, np.quantile(frames, 0.9))
    level = frames.max()
    frames[0, :5, :5], frames[1, 3, 3] = np.nan, np.inf
    assert saturation_level(frames) == level
    assert saturation_level(np.full((1, 8, 8), np.nan)) is None


def test_frames_that_were_normalised_are_cut_off_at_levels_of_their_own() -> None:
    frames = pattern().astype(np.float64)
    cut = np.stack([np.minimum(frame, np.quantile(frame, 0.94)) for frame in frames])
    cut[0] *= 0.31
    assert saturation_levels(cut).tolist() == cut.max((1, 2)).tolist()
    # and where only one is overexposed, the other is whole
    frames[1] = np.minimum(frames[1], np.quantile(frames[1], 0.8))
    levels = saturation_levels(frames)
    assert np.isinf(levels[0]) and levels[1] == frames[1].max()
    assert (
        saturated(frames, levels)[1].mean() == pytest.approx(0.2, abs=0.01) and not saturated(frames, levels)[0].any()
    )


@pytest.mark.parametrize("photons", [None, 30.0])
def test_a_dim_recording_is_not_saturated(photons: float | None) -> None:
    assert saturation_level((pattern(photons=photons) // 1500).astype(np.uint8)) is None


@pytest.mark.parametrize(("kind", "full"), [(np.uint8, 255), (np.uint16, 4095), (np.float32, 1)])
def test_dark_parts_that_are_cut_off_are_found(kind: type, full: float) -> None:
    frames = pattern(phase_range_rad=3.0)
    low = np.quantile(frames[1], 0.1)
    cut = np.clip(frames - low, 0, None) * (full / (frames.max() - low))
    assert black_level(cut.astype(kind)) == (0, [0, 1])
    cut[0] = frames[0] * (full / frames.max())
    assert black_level(cut.astype(kind)) == (0, [1])


@pytest.mark.parametrize("settings", [{"bits": 8}, {"photons": 20.0}, {"amplitude_min": 0.05, "photons": 100.0}])
def test_dark_parts_of_a_whole_pattern_are_not_cut_off(settings: dict[str, float]) -> None:
    assert black_level(pattern(**settings)) is None
