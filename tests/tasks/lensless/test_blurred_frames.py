"""Single frames that are blurred are named by their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

import napari_diner as nd
from napari_diner.tasks.blurred_frames import blurred_frames, warnings_of_blur
from napari_diner.tasks.predicted_spectra import PredictedSpectra
from tests.kit.runs import finished

Array = npt.NDArray[Any]
DISTANCES = (250.0, 310.0, 380.0, 470.0, 580.0)


def sample(**settings: object) -> Any:
    return nd.sample(
        "lensless", height_px=72, width_px=80, seed=9, distances_um=DISTANCES, photons=20_000.0, **settings
    )


def told(frames: Array, recipe: Any) -> tuple[list[str], list[str]]:
    """Return the warnings about blur, and those about frames that are explained worse."""
    values = recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    run = nd.lensless.start(frames, **{**values, "gauss_newton": {"iterations": 5}})
    warnings = finished(run, compares_settings=False).report["warnings"]
    return [text for text in warnings if " blurred by " in text], [text for text in warnings if "much worse" in text]


@pytest.mark.parametrize(("number", "sigma"), [(1, 1.3), (3, 2.5)])
def test_a_blurred_frame_is_named(number: int, sigma: float) -> None:
    recording = sample(phase_range_rad=3.0)
    frames = np.asarray(recording.data.data, np.float64)
    frames[number] = ndimage.gaussian_filter(frames[number], sigma, mode="wrap")
    (text,), others = told(frames, recording.recipe)
    assert text.startswith(f"frame {number + 1} is blurred by about ") and "source" not in text
    assert float(text.split(" about ")[1].split()[0]) == pytest.approx(sigma, rel=0.25)
    assert others == []


def test_a_frame_of_motion_is_named_and_sound_ones_are_not() -> None:
    recording = sample()
    frames = np.asarray(recording.data.data, np.float64)
    assert told(frames, recording.recipe) == ([], [])
    every = ndimage.gaussian_filter(frames, (0, 1.2, 1.2), mode="wrap")
    assert told(every, recording.recipe)[0] == []
    frames[0] = ndimage.uniform_filter1d(frames[0], 7, axis=1, mode="wrap")
    (text,), _ = told(frames, recording.recipe)
    assert text.startswith("frame 1 is blurred")


def test_blur_that_grows_with_the_distance_is_that_of_the_source() -> None:
    random = np.random.default_rng(3)
    reference = ndimage.gaussian_filter(random.standard_normal((6, 64, 64)), (0, 1, 1))
    blurred = np.stack(
        [ndimage.gaussian_filter(one, width) for one, width in zip(reference, (0, 0, 0, 0, 0, 3), strict=True)]
    )

    def compared(residual: npt.NDArray[np.float64]) -> PredictedSpectra:
        return PredictedSpectra.of(residual, -blurred, [1.0] * 6)

    ((number, width),) = blurred_frames(compared(reference - blurred))
    assert number == 5 and width == pytest.approx(3, rel=0.15)
    distances = [300.0, 340.0, 380.0, 420.0, 460.0, 900.0]
    (text,) = warnings_of_blur([(number, width)], distances)
    assert "frame 6 is blurred by about 3." in text.replace("2.9", "3.0") and "a light source that is too large" in text
    assert "source" not in warnings_of_blur([(number, width)], distances[::-1])[0]
    # the same blur in half of the frames tells nothing of single ones
    half = np.where(np.arange(6)[:, None, None] < 3, 0, reference - blurred[-1:])
    assert blurred_frames(compared(half)) == []
