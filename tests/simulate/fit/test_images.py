"""Synthetic images, videos and volumes: structure at all scales, motion between frames, counts with noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from napari_diner.errors import OutOfMemoryError
from napari_diner.simulate.fit.images import simulate_image, simulate_video, simulate_volume
from napari_diner.simulate.fit.settings import ImageSimulation, VideoSimulation, VolumeSimulation


@pytest.mark.parametrize(
    ("settings", "shape", "dtype"),
    [
        ({}, (64, 48, 3), "uint8"),
        ({"bits": 16}, (64, 48, 3), "uint16"),
        ({"colours": False}, (64, 48), "uint8"),
        ({"colours": False, "bits": 16}, (64, 48), "uint16"),
    ],
)
def test_an_image_has_the_form_asked_for(settings: dict[str, int], shape: tuple[int, ...], dtype: str) -> None:
    image = simulate_image(ImageSimulation.model_validate({"height_px": 64, "width_px": 48, **settings}))
    assert (image.shape, image.dtype) == (shape, np.dtype(dtype))
    # the range is used without being clipped much
    most = np.iinfo(image.dtype).max
    assert np.ptp(image) > 0.6 * most
    assert (image == most).mean() < 0.02


def test_the_seed_fixes_the_drawing() -> None:
    first, again, other = (simulate_image(ImageSimulation(height_px=48, width_px=48, seed=seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_image_has_many_colours_edges_and_smooth_places(seed: int) -> None:
    image = simulate_image(ImageSimulation(height_px=256, width_px=256, seed=seed))
    assert 10_000 < len(np.unique(image.reshape(-1, 3), axis=0)) < 0.9 * 256**2
    grey = ndimage.gaussian_filter(image.mean(-1), 0.7)
    slope = np.hypot(*np.gradient(grey))
    assert np.percentile(slope, 99) > 20
    assert np.percentile(slope, 20) < 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_image_has_structure_in_all_octaves(seed: int) -> None:
    image = simulate_image(ImageSimulation(height_px=256, width_px=256, colours=False, seed=seed)).astype(float)
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(256)] * 2))
    shares = [power[(radius >= low) & (radius < 2 * low)].sum() / power.sum() for low in 0.5 ** np.arange(2, 8)]
    # noise that is alike at all pixels would have most of it in the last octave, a smooth image next to none
    assert min(shares) > 0.01
    assert max(shares) < 0.6


@pytest.mark.parametrize("shape", [(16, 16), (16, 300), (300, 17)])
def test_images_and_videos_may_be_small_or_narrow(shape: tuple[int, int]) -> None:
    assert simulate_image(ImageSimulation(height_px=shape[0], width_px=shape[1])).shape == (*shape, 3)
    video = simulate_video(VideoSimulation(frames=2, height_px=shape[0], width_px=shape[1]))
    assert video.shape == (2, *shape, 3)


def test_a_video_pans_by_parts_of_a_pixel_with_something_in_front() -> None:
    video = simulate_video(VideoSimulation(frames=13, height_px=80, width_px=120, seed=1))
    assert (video.shape, video.dtype) == ((13, 80, 120, 3), np.dtype("uint8"))
    first, last = video[0].mean(-1), video[12].mean(-1)
    # 12 frames further the scene lies 12·(0.31, 0.83) pixels further up and to the left
    back = ndimage.shift(last, (12 * 0.31, 12 * 0.83), order=3)[8:-8, 12:-12]
    difference = np.abs(back - first[8:-8, 12:-12])
    assert np.median(difference) < 3
    assert np.median(np.abs(last - first)) > 6
    # the balls moved otherwise
    assert (difference > 30).mean() > 0.02


def test_a_still_video_is_one_frame() -> None:
    assert simulate_video(VideoSimulation(frames=1, height_px=20, width_px=30)).shape == (1, 20, 30, 3)


def variance_to_mean(volume: npt.NDArray[np.uint16], axis: int) -> float:
    """Return variance over mean of the noise, from the second differences along an axis, whose own are far smaller."""
    photons = volume.astype(float) - 100
    noise = np.diff(photons, 2, axis) ** 2 / 6
    dark = slice(1, -1)
    mean = np.moveaxis(ndimage.uniform_filter(photons, 3), axis, 0)[dark]
    chosen = mean < np.percentile(mean, 50)
    return float(np.moveaxis(noise, axis, 0)[chosen].mean() / mean[chosen].mean())


def test_a_volume_is_counts_of_photons_above_an_offset() -> None:
    volume = simulate_volume(VolumeSimulation(slices=12, height_px=64, width_px=72, pixel_size_um=0.05))
    assert (volume.shape, volume.dtype) == ((12, 64, 72), np.dtype("uint16"))
    assert volume.min() > 100
    assert 1000 < volume.max() < 65535
    assert variance_to_mean(volume, 2) == pytest.approx(1, abs=0.35)


def test_a_volume_is_blurred_more_along_z_and_in_micrometres() -> None:
    def detail(settings: VolumeSimulation) -> list[float]:
        """Return the power at 0.1 to 0.2 cycles per voxel along each axis, above that of the noise."""
        volume = simulate_volume(settings).astype(float)
        found = []
        for axis in range(3):
            spectrum = np.moveaxis(np.abs(np.fft.rfft(volume - volume.mean(), axis=axis)) ** 2, axis, 0).mean((1, 2))
            frequency = np.fft.rfftfreq(volume.shape[axis])
            noise = spectrum[frequency > 0.4].mean()
            found.append(float(spectrum[(frequency > 0.1) & (frequency < 0.2)].mean() / noise - 1))
        return found

    even = detail(VolumeSimulation(slices=64, height_px=64, width_px=64, pixel_size_um=0.1, z_step_um=0.1))
    assert even[0] < 0.5 * min(even[1:])
    coarse = detail(VolumeSimulation(slices=64, height_px=64, width_px=64, pixel_size_um=0.1, z_step_um=0.4))
    assert coarse[0] > 2 * even[0]


def test_the_memory_is_asked_first() -> None:
    with pytest.raises(OutOfMemoryError, match=r"GB"):
        simulate_video(VideoSimulation(frames=10_000, height_px=16384, width_px=16384))
