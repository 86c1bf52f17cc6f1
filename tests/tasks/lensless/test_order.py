"""Wrong distances of frames are reported before a run, and correct ones are not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

import napari_diner as nd
from napari_diner.physics.optics import Optics
from napari_diner.physics.propagation import transfer_function
from napari_diner.preprocess.distances import DistanceFit
from napari_diner.preprocess.soundness import numbered
from napari_diner.tasks.frame_list import listed
from napari_diner.tasks.lensless.order import likelier_way

DISTANCES = (200.0, 240.0, 280.0, 320.0, 360.0)
LIGHT = {"wavelength_um": 0.633, "pixel_size_um": 1.4}


def warnings(distances: list[float], noise: float = 0.01, **settings: Any) -> list[str]:
    """Return the warnings about distances for frames that were recorded at `DISTANCES`."""
    sample = nd.sample(
        "lensless", height_px=80, width_px=88, noise_sigma=noise, distances_um=DISTANCES, seed=3, **LIGHT
    )
    texts = nd.lensless.start(sample.data.data, distances_um=distances, **{**LIGHT, **settings}).warnings
    return [text for text in texts if re.search("fits? better|in reverse", text)]


def test_right_distances_are_left_alone() -> None:
    assert warnings(list(DISTANCES)) == []


def test_wrong_steps_far_away_are_named_and_not_taken_for_a_list_in_reverse() -> None:
    """No common factor explains them in a small field, which light from farther away leaves."""
    sample = nd.sample("lensless", height_px=96, width_px=80, distances_um=(300.0, 380.0, 460.0, 540.0))
    light = {"wavelength_um": 0.532, "pixel_size_um": 1.12}
    elsewhere = nd.lensless.start(sample.data.data, distances_um=(950.0, 1000.0, 1050.0, 1100.0), **light)
    (text,) = [text for text in elsewhere.warnings if re.search("fits? better|in reverse", text)]
    named = re.match(r"the frames fit better with steps between their distances that are about (\d+) % larger", text)
    assert named is not None, text
    assert int(named[1]) == pytest.approx(60, abs=15)


def test_two_exchanged_distances_are_named_with_what_they_explain() -> None:
    given = list(DISTANCES)
    given[1], given[3] = given[3], given[1]
    (text,) = warnings(given)
    assert text.startswith("frames 2 and 4 fit better with their distances exchanged")
    shares = re.search(r"leaves ([\d.]+) % unexplained instead of ([\d.]+) %", text)
    assert shares is not None and float(shares[1]) < 0.5 * float(shares[2])


def test_of_two_lists_that_fit_equally_well_the_one_nearer_to_that_given_is_named() -> None:
    sample = nd.sample("lensless", height_px=80, width_px=88, distances_um=DISTANCES, seed=3, **LIGHT)
    fit = DistanceFit(np.sqrt(sample.data.data), Optics(1.4, 0.633))
    right = np.array(DISTANCES)
    given, turned = right[[3, 1, 2, 0, 4]], right[::-1]
    assert fit.misfit(turned) < fit.misfit(given)
    assert likelier_way(fit, given, turned).tolist() == right.tolist()
    assert likelier_way(fit, given, right).tolist() == right.tolist()
    assert likelier_way(fit, turned, right).tolist() == right.tolist()


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 0), (4, 3, 2, 1, 0)])
def test_the_right_order_is_named(order: tuple[int, ...]) -> None:
    (text,) = warnings([DISTANCES[number] for number in order])
    assert f"{listed(DISTANCES)} µm" in text


@pytest.mark.parametrize(("frame", "wrong_um"), [(0, 220.0), (3, 3200.0), (4, 330.0)])
def test_a_single_wrong_distance_is_named(frame: int, wrong_um: float) -> None:
    given = list(DISTANCES)
    given[frame] = wrong_um
    (text,) = warnings(given)
    named = re.match(
        rf"frame {frame + 1} fits better with a distance of about ([\d.]+) µm instead of {wrong_um:g} µm", text
    )
    assert named is not None, text
    assert float(named[1]) == pytest.approx(DISTANCES[frame], rel=0.04)


def test_a_mask_that_leaves_nothing_of_the_middle() -> None:
    sample = nd.sample("lensless", height_px=88, width_px=240, distances_um=DISTANCES, seed=4, **LIGHT)
    mask = np.ones((88, 240))
    mask[:, 8:] = 0
    texts = nd.lensless.start(sample.data.data, distances_um=DISTANCES[::-1], mask=mask, **LIGHT).warnings
    assert [text for text in texts if not text.startswith("the mask leaves only 3.3%")] == []


def test_a_frame_that_is_wrong_otherwise_has_no_other_distance() -> None:
    sample = nd.sample("lensless", height_px=80, width_px=88, distances_um=DISTANCES, seed=4, **LIGHT)
    for change in (lambda frame: frame[:, ::-1], lambda frame: 65535 - frame, lambda frame: frame // 4):
        frames = sample.data.data.copy()
        frames[2] = change(frames[2])
        texts = nd.lensless.start(frames, distances_um=DISTANCES, **LIGHT).warnings
        assert not any(re.search("fits? better", text) for text in texts), texts


def test_a_common_factor_is_named() -> None:
    (text,) = warnings(list(np.array(DISTANCES) * 1.1), noise=0.0)
    assert re.search(r"all distances, or the wavelength, about (8|9|10|11|12) % smaller", text)


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({"wavelength_um": 0.633 / 2}, 2),
        ({"pixel_size_um": 2.8}, 4),
        ({"pixel_size_um": 0.7}, 0.25),
        ({"medium_index": 1.5}, 1.5),
        ({"distances_um": 10 * np.array(DISTANCES)}, 0.1),
        ({"distances_um": np.array(DISTANCES) / 5}, 5),
    ],
)
def test_a_wrong_unit_or_medium_is_named(settings: dict[str, Any], factor: float) -> None:
    settings = dict(settings)
    (text,) = warnings(list(settings.pop("distances_um", DISTANCES)), **settings)
    share = re.search(r"all distances, or the wavelength, about ([\d.]+) (% larger|% smaller|times as large)", text)
    assert share is not None, text
    number, how = float(share[1]), share[2]
    named = number if how.startswith("times") else 1 + number / 100 * (1 if how == "% larger" else -1)
    assert named == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize(
    ("wavelength_um", "named"), [(0.537, None), (0.45, "about 19 % larger"), (0.64, "about 16 % smaller")]
)
def test_another_laser_is_named_where_residuals_alternate_from_pixel_to_pixel(
    wavelength_um: float, named: str | None
) -> None:
    """What a wrong scale leaves of detail of the size of pixels looks like noise: neighbours are not alike."""
    optics, distances = Optics(3.45, 0.537), (500.0, 600.0, 700.0, 800.0)
    amplitude, phase = np.random.default_rng(0).random((2, 80, 80))
    spectrum = torch.fft.fft2(torch.from_numpy((1 - 0.5 * amplitude) * np.exp(1j * phase)))
    frames = [
        torch.fft.ifft2(spectrum * transfer_function((80, 80), optics, z, band_limit=False)).abs().square().numpy()
        for z in distances
    ]
    run = nd.lensless.start(
        np.array(frames), wavelength_um=wavelength_um, pixel_size_um=optics.pixel_size_um, distances_um=distances
    )
    texts = [text for text in run.warnings if "fit better" in text]
    assert len(texts) == (named is not None) and all(f"the wavelength, {named}" in text for text in texts)


@pytest.mark.parametrize(("phase", "factor"), [(0.4, 10), (5.0, 10), (1.5, 1.4)])
def test_a_small_field_shows_the_scale_too_and_nothing_else_is_blamed(phase: float, factor: float) -> None:
    """The minimum of the linear theory is elsewhere there; a gamma or a negative would fit somewhat better, too."""
    sample = nd.sample("lensless", height_px=88, width_px=80, phase_range_rad=phase, distances_um=DISTANCES, **LIGHT)
    texts = nd.lensless.start(sample.data.data, distances_um=np.array(DISTANCES) / factor, **LIGHT).warnings
    (text,) = [text for text in texts if "fit better" in text]
    named = re.search(r"all distances, or the wavelength, about ([\d.]+) (% larger|times as large)", text)
    assert named is not None, text
    size = float(named[1]) if named[2] == "times as large" else 1 + float(named[1]) / 100
    assert size == pytest.approx(factor, rel=0.2)


def test_frames_that_are_yet_to_be_registered_tell_nothing() -> None:
    assert warnings(list(DISTANCES[::-1]), registration="shift") == []


@pytest.mark.parametrize("numbers", [(0,), (2,), (0, 3)], ids=str)
def test_negatives_of_single_frames_are_named_also_of_the_nearest(numbers: tuple[int, ...]) -> None:
    sample = nd.sample("lensless", height_px=80, width_px=88, noise_sigma=0.01, distances_um=DISTANCES, seed=3, **LIGHT)
    frames = np.asarray(sample.data.data, np.float64)
    for number in numbers:
        frames[number] = frames[number].max() + frames[number].min() - frames[number]
    texts = nd.lensless.start(frames, distances_um=DISTANCES, **LIGHT).warnings
    (text,) = [text for text in texts if "negative" in text]
    assert text.startswith(f"{numbered(numbers)} seem") and "leave" in text
    assert not [text for text in texts if re.search("fits? better", text)]


@pytest.mark.parametrize(("frame", "other"), [(1, 3), (3, 0), (None, None)])
def test_a_frame_of_two_heights_is_named(frame: int | None, other: int | None) -> None:
    sample = nd.sample("lensless", height_px=96, width_px=96, noise_sigma=0.01, distances_um=DISTANCES, seed=3, **LIGHT)
    frames = np.asarray(sample.data.data, np.float64)
    if frame is not None:
        frames[frame] = (frames[frame] + frames[other]) / 2
    texts = nd.lensless.start(frames, distances_um=DISTANCES, **LIGHT).warnings
    assert [text.split(",")[0] for text in texts if re.search("fits? better", text)] == [
        f"frame {number + 1} fits better as the mean of itself and frame {another + 1}"
        for number, another in [(frame, other)]
        if number is not None and another is not None
    ]


def test_a_frame_that_is_displaced_is_no_mean_of_two_heights() -> None:
    sample = nd.sample("lensless", height_px=96, width_px=96, distances_um=DISTANCES, seed=3, **LIGHT)
    amplitudes = np.sqrt(np.asarray(sample.data.data, np.float32))
    mean = amplitudes.copy()
    mean[1] = np.sqrt((amplitudes[1] ** 2 + amplitudes[3] ** 2) / 2)
    optics = Optics(LIGHT["pixel_size_um"], LIGHT["wavelength_um"])
    better, *frames = DistanceFit(mean, optics).best_mixture(DISTANCES)
    assert better > 0.1 and frames == [1, 3]
    for by in (1, 3, 8):
        amplitudes[2] = np.roll(amplitudes[2], by, 0)
        assert DistanceFit(amplitudes, optics).best_mixture(DISTANCES)[0] <= 0
