"""Single frames of another magnification are named by their numbers; other errors are not taken for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

import napari_diner as nd
from napari_diner.tasks.other_magnification import enlarged_frames, warnings_of_magnification
from napari_diner.tasks.unexplained import Unexplained
from tests.kit.runs import finished

Array = npt.NDArray[Any]


def zoomed(image: Array, by: float) -> Array:
    middle = (np.array(image.shape) - 1) / 2
    return np.asarray(ndimage.affine_transform(image, [1 / by] * 2, middle * (1 - 1 / by), mode="reflect"))


@pytest.mark.parametrize("by", [1.0, 1.05, 0.96])
def test_an_enlarged_frame_is_named(by: float) -> None:
    sample = nd.sample(
        "lensless",
        height_px=80,
        width_px=88,
        seed=6,
        noise_sigma=0.01,
        distances_um=(280.0, 340.0, 420.0, 500.0, 610.0),
    )
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    frames = np.asarray(sample.data.data, np.float64)
    frames[2] = zoomed(frames[2], by)
    run = nd.lensless.start(frames, **{**values, "gauss_newton": {"iterations": 4}})
    texts = finished(run, compares_settings=False).report["warnings"]
    assert len(texts) == (by != 1)
    for text in texts:
        assert text.startswith("frame 3 has about ") and "registration: similarity" in text
        assert float(text.split()[4]) == pytest.approx(by, abs=0.025)


def test_another_exposure_of_noisy_frames_is_no_magnification() -> None:
    """Interpolation smooths the noise of a prediction, whichever way it is scaled."""
    random = np.random.default_rng(5)
    light = 1 + 0.2 * ndimage.gaussian_filter(random.standard_normal((4, 64, 64)), (0, 2, 2)) / 0.07
    noisy = light + 0.6 * random.standard_normal(light.shape)
    seen = light * np.array([1.15, 1, 0.9, 0.8])[:, None, None]
    residual, trivial = noisy - seen, seen.mean() - seen
    assert enlarged_frames(residual, trivial, Unexplained.of(residual, trivial)) == []


def test_other_errors_are_not_taken_for_a_magnification() -> None:
    random = np.random.default_rng(5)
    light = ndimage.gaussian_filter(random.standard_normal((5, 64, 64)), (0, 1, 1))

    def found(changed: Array) -> list[tuple[int, float]]:
        seen = light.copy()
        seen[1] = changed
        residual, trivial = light - seen, -seen
        return enlarged_frames(residual, trivial, Unexplained.of(residual, trivial))

    ((number, scale),) = found(zoomed(light[1], 1.03))
    assert number == 1 and scale == pytest.approx(1.03, abs=0.006)
    others = (np.roll(light[1], 2, 0), 0.7 * light[1], ndimage.gaussian_filter(light[1], 1), light[3], light[1])
    assert [found(other) for other in others] == [[]] * len(others)
    assert "frames 1 and 3 have about 0.96 to 1.04 times" in warnings_of_magnification([(0, 1.04), (2, 0.96)], "x")[0]
