"""Frames that are faulty in themselves are named, and not blamed for distances or displacements as well."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd

DISTANCES = (310.0, 370.0, 430.0, 490.0, 550.0)
LIGHT = {"wavelength_um": 0.633, "pixel_size_um": 1.4}


def recording() -> npt.NDArray[np.float64]:
    sample = nd.sample(
        "lensless", height_px=112, width_px=112, noise_sigma=0.005, distances_um=DISTANCES, seed=3, **LIGHT
    )
    return np.asarray(sample.data.data, np.float64)


def with_fault(kind: str, number: int = 2) -> npt.NDArray[np.float64]:
    frames, rng = recording(), np.random.default_rng(5)
    if kind == "rows":
        frames[number] += 0.08 * frames.mean() * rng.normal(size=112)[:, None]
    elif kind == "torn":
        frames[number, ::2] = np.roll(frames[number, ::2], 4, 1)
    else:
        frames[number] = frames.mean() * (1 + 0.02 * rng.normal(size=frames[number].shape))
    return frames


@pytest.mark.parametrize("kind", ["rows", "torn", "noise"])
def test_a_faulty_frame_is_named_and_nothing_else(kind: str) -> None:
    (text,) = nd.lensless.start(with_fault(kind), distances_um=DISTANCES, **LIGHT).warnings
    assert "frame 3" in text
    assert "distance" not in text and "displaced" not in text


def test_a_wrong_distance_beside_a_faulty_frame_has_its_own_number() -> None:
    given = [*DISTANCES[:3], 540.0, DISTANCES[4]]
    texts = nd.lensless.start(with_fault("rows", 1), distances_um=given, **LIGHT).warnings
    (doubt,) = (text for text in texts if re.match(r"frame 4 fits better with a distance of about 4[89]\d µm", text))
    assert doubt.endswith("(judged without frame 2)")
    assert any(text.startswith("frame 2 has stripes") for text in texts)
    assert len(texts) == 2


def test_frames_that_are_displaced_are_not_blamed_on_distances_that_hardly_help() -> None:
    distances = (520.0, 610.0, 730.0, 870.0, 1040.0)
    look = {"phase_range_rad": 4.0, "amplitude_min": 0.6, "noise_sigma": 0.004, "seed": 4}
    sample = nd.sample("lensless", height_px=120, width_px=130, distances_um=distances, **look, **LIGHT)
    whole = np.asarray(sample.data.data, np.float64)
    frames = [np.roll(frame, (2 * number, -3 * number), (0, 1)) for number, frame in enumerate(whole)]
    texts = nd.lensless.start(np.array(frames)[:, 20:108, 20:120], distances_um=distances, **LIGHT).warnings
    assert [text for text in texts if text.startswith("the frames are displaced against each other")] == list(texts)
