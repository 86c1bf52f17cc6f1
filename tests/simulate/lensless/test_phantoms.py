"""The specimen: within its ranges, smooth, periodic, with structure at all scales."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_diner.simulate.lensless.phantoms import specimen

Image = npt.NDArray[np.float64]


def draw(shape: tuple[int, int] = (128, 144), seed: int = 0, **options: float) -> tuple[Image, Image]:
    values = {"phase_range_rad": 1.7, "amplitude_min": 0.3} | options
    phantom = specimen(shape, seed=seed, **values)
    return phantom.amplitude, phantom.phase


def power_by_frequency(image: Image) -> tuple[Image, Image]:
    """Return the power of each frequency, and the larger of |fy| and |fx| in cycles per pixel."""
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    fy, fx = (np.abs(np.fft.fftfreq(size)) for size in image.shape)
    return power / power.sum(), np.maximum(fy[:, None], fx[None, :])


@pytest.mark.parametrize("shape", [(128, 144), (64, 72), (16, 16), (200, 40)])
@pytest.mark.parametrize("seed", [0, 1])
def test_values_fill_their_ranges(shape: tuple[int, int], seed: int) -> None:
    amplitude, phase = draw(shape, seed, phase_range_rad=2.5, amplitude_min=0.2)
    assert amplitude.shape == phase.shape == shape
    assert (amplitude.min(), amplitude.max()) == (pytest.approx(0.2, abs=1e-12), 1.0)
    assert (phase.min(), phase.max()) == (0.0, 2.5)


def test_a_specimen_may_be_transparent_or_flat() -> None:
    assert np.array_equal(draw(amplitude_min=1.0)[0], np.ones((128, 144)))
    assert np.array_equal(draw(phase_range_rad=0.0)[1], np.zeros((128, 144)))


def test_the_seed_fixes_the_drawing() -> None:
    first, again, other = draw(seed=5), draw(seed=5), draw(seed=6)
    assert np.array_equal(first, again)
    assert np.corrcoef(first[1].ravel(), other[1].ravel())[0, 1] < 0.6


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_amplitude_and_phase_are_different_pictures(seed: int) -> None:
    amplitude, phase = draw(seed=seed)
    assert abs(np.corrcoef(amplitude.ravel(), phase.ravel())[0, 1]) < 0.7


def test_the_field_is_band_limited() -> None:
    amplitude, phase = draw()
    power, frequency = power_by_frequency(amplitude * np.exp(1j * phase))
    assert power[frequency > 0.45].sum() < 1e-6


def test_more_smoothing_leaves_less_of_the_high_frequencies() -> None:
    for image in draw(smoothing_px=3.0):
        power, frequency = power_by_frequency(image)
        assert power[frequency > 0.25].sum() < 1e-6


def test_there_is_structure_at_all_scales() -> None:
    for image in draw((256, 256)):
        power, frequency = power_by_frequency(image)
        octaves = [power[(frequency > low) & (frequency <= 2 * low)].sum() for low in 2.0 ** -np.arange(2, 9)]
        # from periods of 2 to 4 pixels, of which the smoothing leaves little, to that of the whole field
        assert min(octaves) > 1e-5
        assert max(octaves) < 0.6


def test_opposite_edges_meet() -> None:
    for image in draw():
        for axis in (0, 1):
            across = np.abs(np.diff(np.take(image, [-1, 0], axis), axis=axis)).max()
            assert across <= np.abs(np.diff(image, axis=axis)).max()
