"""Frames with stripes or torn rows are named, and those of samples and lamps that have lines are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

import napari_diner as nd
from napari_diner.preprocess.rows import uneven_lines

Frames = npt.NDArray[Any]


def recording(kind: str = "lensless", **settings: Any) -> Frames:
    sizes: dict[str, Any] = {"height_px": 64, "width_px": 72} | ({"slices": 4, "frames": 8} if kind == "idt" else {})
    return np.asarray(nd.sample(kind, **sizes, **settings).data.data, float)


@pytest.mark.parametrize("kind", ["lensless", "idt"])
@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("period", [2.0, 3.0, 7.3])
def test_stripes_of_one_frame_are_named(kind: str, noise: float, transposed: bool, period: float) -> None:
    frames = recording(kind, noise_sigma=noise, seed=4)
    stripes = 1 + 0.06 * np.sin(2 * np.pi * np.arange(frames.shape[1 + transposed]) / period + 0.4)
    frames[4] *= stripes if transposed else stripes[:, None]
    ((numbers, warning),) = uneven_lines(frames, oblique=kind == "idt")
    assert numbers == [4] and warning.startswith(
        f"frame 5 has stripes along the {'columns' if transposed else 'rows'}, unlike the others"
    )


@pytest.mark.parametrize("kind", ["lensless", "idt"])
@pytest.mark.parametrize("moved", [2, -4])
def test_torn_rows_of_frames_are_named(kind: str, moved: int) -> None:
    frames = recording(kind, seed=6)
    for number in (1, 4):
        frames[number, ::2] = np.roll(frames[number, ::2], moved, 1)
    ((numbers, warning),) = uneven_lines(frames)
    assert numbers == [1, 4] and warning.startswith("odd and even rows of frames 2 and 5 do not fit each other")


@pytest.mark.parametrize("settings", [{}, {"photons": 100.0}, {"phase_range_rad": 12.0}, {"noise_sigma": 0.03}])
def test_sound_recordings_are_not_warned_of(settings: dict[str, Any]) -> None:
    for seed in range(3):
        assert not uneven_lines(recording(seed=seed, **settings))


def test_lines_of_a_sample_are_not_warned_of() -> None:
    """They are the same in all frames, and turn with the light of a lamp in none."""
    rows = 1 + 0.1 * np.sin(2 * np.pi * np.arange(64) / 4.5)
    assert not uneven_lines(recording(seed=1) * rows[:, None])
    for seed in range(3):
        assert not uneven_lines(recording("idt", seed=seed))


def test_oblique_light_makes_detail_finer_along_its_direction_only() -> None:
    """Fringes of 2.6 pixels along the direction of the light are no torn frames, and torn ones are still found."""
    rng, (y, x) = np.random.default_rng(2), np.mgrid[:64, :64]
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    where, smooth = (ndimage.gaussian_filter(rng.normal(size=(64, 64)), width, mode="wrap") for width in (1.2, 2))
    waves = np.array([np.cos(2 * np.pi / 2.6 * (np.sin(a) * y + np.cos(a) * x)) for a in angles])
    frames = 1 + smooth + 0.3 * where * waves
    assert uneven_lines(frames)
    assert not uneven_lines(frames, oblique=True)
    frames[2, ::2] = np.roll(frames[2, ::2], 6, 1)
    ((numbers, _),) = uneven_lines(frames, oblique=True)
    assert numbers == [2]


@pytest.mark.parametrize("axis", [0, 1])
def test_shadows_along_the_light_are_no_stripes(axis: int) -> None:
    rng = np.random.default_rng(7)
    frames = 1 + 0.02 * ndimage.gaussian_filter(rng.normal(size=(9, 120, 128)), (0, 2, 2)) / 0.15
    shadows = np.zeros((120, 128))
    for place in range(0, 128, 32):  # other rows in each part of the field
        shadows[:, place : place + 32] = 0.3 * ndimage.gaussian_filter1d(rng.normal(size=120), 0.8)[:, None]
    if axis:
        frames, shadows = np.swapaxes(frames, 1, 2), shadows.T
    frames[3] += shadows
    assert [numbers for numbers, _ in uneven_lines(frames)] == [[3]]
    assert uneven_lines(frames, oblique=True) == []
