"""Size and distance of the discs in spectra of synthetic frames, whose edges do not match."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_diner.solvers.calibration.spectral_discs import SpectralDiscs

RADIUS, DISTANCE = 0.15, 0.1


def frames_with_discs(centres: npt.NDArray[np.float64], size: int = 128) -> npt.NDArray[np.float64]:
    """Return parts of images with random phases inside of two discs, and noise everywhere."""
    rng = np.random.default_rng(3)
    whole = 192
    fy, fx = np.fft.fftfreq(whole)[:, None], np.fft.fftfreq(whole)[None, :]
    texture = np.fft.fft2(rng.normal(size=(whole, whole))) / (np.hypot(fy, fx) + 0.02)
    frames = []
    for y, x in centres:
        phase = np.exp(6j * rng.uniform() + 300j * (fy * y + fx * x))
        one = texture * phase * (np.hypot(fy + y, fx + x) <= RADIUS)
        image = np.fft.ifft2(one).real
        frames.append(image / image.std() + 0.5 * rng.normal(size=image.shape))
    return np.array(frames)[:, 40 : 40 + size, 30 : 30 + size]


def on_ring(count: int = 12) -> npt.NDArray[np.float64]:
    angles = 2 * np.pi * np.arange(count) / count + 0.2
    return DISTANCE * np.stack([np.sin(angles), np.cos(angles)], 1)


@pytest.mark.parametrize(
    ("radius", "distance"),
    [(1.0, 1.0), (1.25, 1.25), (0.8, 0.8), (1.2, 1.0), (0.85, 1.0), (1.0, 1.6), (1.0, 0.6), (1.2, 0.8)],
)
def test_size_and_distance_of_discs_are_found(radius: float, distance: float) -> None:
    frames = frames_with_discs(on_ring())
    fit = SpectralDiscs(frames, on_ring() / distance, RADIUS / radius).best()
    assert fit.radius == pytest.approx(radius, rel=0.04)
    assert fit.distance == pytest.approx(distance, rel=0.05)
    if radius == distance == 1:
        assert fit.gain < 0.1
    else:
        assert fit.gain > 0.18
        assert fit.standard_errors > 4


def test_noise_has_no_discs() -> None:
    noise = np.random.default_rng(0).normal(size=(12, 96, 96))
    fit = SpectralDiscs(noise, on_ring(), RADIUS).best()
    assert fit.evidence < 20 * len(noise)
