"""Frames that differ by nothing but noise."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.physics.optics import Optics
from napari_diner.preprocess.same_exposure import of_one_height, of_one_light
from napari_diner.simulate.idt.recording import simulate as simulate_cells
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation

DISTANCES_UM = (430.0, 520.0, 575.0, 700.0)
OPTICS = Optics(1.67, 0.6328)
RNG = np.random.default_rng(4)


def recording(**settings: object) -> np.ndarray:
    """Intensities of about one, (N, Y, X)."""
    sample = simulate(
        LenslessSimulation.model_validate(
            {
                "height_px": 88,
                "width_px": 80,
                "distances_um": DISTANCES_UM,
                "wavelength_um": OPTICS.wavelength_um,
                "pixel_size_um": OPTICS.pixel_size_um,
                **settings,
            }
        )
    )
    return sample.frames / sample.frames.mean()


@pytest.mark.parametrize("gain", [1.0, 0.9])
def test_one_height_recorded_twice(gain: float) -> None:
    frames = recording(noise_sigma=0.005)
    assert of_one_height(frames, OPTICS, DISTANCES_UM) == []
    frames[2] = gain * (frames[1] + RNG.normal(0, 0.01, frames[1].shape))
    (text,) = of_one_height(frames, OPTICS, DISTANCES_UM)
    assert text.startswith("frames 2 and 3 differ by nothing but noise, though their distances do")


def test_frames_that_are_the_same_need_not_follow_each_other() -> None:
    frames = recording(noise_sigma=0.003)
    frames[3] = frames[0] + RNG.normal(0, 0.01, frames[0].shape)
    (text,) = of_one_height(frames, OPTICS, DISTANCES_UM)
    assert text.startswith("frames 1 and 4 differ by nothing but noise")


@pytest.mark.parametrize(
    "settings",
    [
        {"phase_range_rad": 0.02, "amplitude_min": 0.3},
        {"phase_range_rad": 0.2, "amplitude_min": 1.0, "noise_sigma": 0.02},
        {"phase_range_rad": 6.0, "photons": 500.0},
    ],
)
def test_heights_that_differ(settings: dict[str, float]) -> None:
    assert of_one_height(recording(**settings), OPTICS, DISTANCES_UM) == []


def test_frames_that_are_the_same_to_the_last_bit_are_told_elsewhere() -> None:
    frames = recording()
    frames[3] = frames[2]
    assert of_one_height(frames, OPTICS, DISTANCES_UM) == []


@pytest.mark.parametrize("noise", [0.003, 0.006])
def test_one_light_recorded_twice(noise: float) -> None:
    cells = simulate_cells(IdtSimulation(height_px=64, width_px=72, slices=10, frames=14, noise_sigma=noise))
    contrasts = cells.frames - 1
    assert of_one_light(contrasts) == []
    contrasts[9] = contrasts[8] + RNG.normal(0, noise, contrasts[8].shape)
    (text,) = of_one_light(contrasts)
    assert text.startswith("frames 9 and 10 differ by nothing but noise, though their directions of light do")


def test_a_dead_row_that_all_frames_share_does_not_make_them_the_same() -> None:
    frames = recording(noise_sigma=0.003)
    frames[:, 30] = 0
    frames[:, :, 51] = 5
    assert of_one_height(frames, OPTICS, DISTANCES_UM) == []
