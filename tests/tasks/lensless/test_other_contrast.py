"""Frames that were saved otherwise than the others are named by their numbers, with their contrast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.tasks.other_contrast import frames_of_other_contrast, warnings_of_contrast
from napari_diner.tasks.predicted_spectra import PredictedSpectra
from tests.kit.runs import finished

Array = npt.NDArray[Any]


def told(numbers: tuple[int, ...], changed: Callable[[Array], Array]) -> list[str]:
    sample = nd.sample(
        "lensless", height_px=80, width_px=72, seed=6, distances_um=(280.0, 340.0, 420.0, 500.0, 610.0, 700.0)
    )
    frames = np.asarray(sample.data.data, np.float64) / 65535
    for number in numbers:
        frames[number] = changed(frames[number])
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth", "intensity_scale"})
    run = nd.lensless.start(frames, **{**values, "gauss_newton": {"iterations": 5}})
    warnings = finished(run, compares_settings=False).report["warnings"]
    assert not [text for text in warnings if " blurred by " in text]
    return [text for text in warnings if "times the contrast" in text]


@pytest.mark.parametrize(
    ("numbers", "changed", "start"),
    [
        ((0, 3), lambda light: light**0.6, "frames 1 and 4 have 0."),
        ((2,), lambda light: light**1.5, "frame 3 has 1."),
        ((5,), lambda light: light + 0.15, "frame 6 has 0."),
    ],
    ids=["gamma in two frames", "gamma above one", "stray light"],
)
def test_frames_of_another_contrast_are_named(
    numbers: tuple[int, ...], changed: Callable[[Array], Array], start: str
) -> None:
    (text,) = told(numbers, changed)
    assert text.startswith(start) and "another curve (gamma) or black level" in text


def test_another_exposure_is_neither_contrast_nor_blur() -> None:
    assert told((1, 2), lambda light: 0.7 * light) == []


def test_a_common_factor_names_no_frame() -> None:
    random = np.random.default_rng(4)
    light = random.standard_normal((5, 48, 48))

    def named(factors: list[float]) -> list[tuple[int, float]]:
        seen = np.array(factors)[:, None, None] * light
        return frames_of_other_contrast(PredictedSpectra.of(light - seen, -seen, [9.0] * 5))

    assert named([1, 1, 1, 1, 1]) == named([1, 1, 0.8, 0.82, 0.8]) == []
    ((number, factor),) = named([1, 0.5, 1, 1, 1])
    assert number == 1 and factor == pytest.approx(0.5, rel=0.01)
    assert "frame 2 has 0.5 times the contrast" in warnings_of_contrast([(number, factor)])[0]
    (negative,) = named([1, 1, 1, -1, 1])
    assert negative == (3, pytest.approx(-1, rel=0.05))
    assert warnings_of_contrast([negative])[0].startswith("frame 4 is a negative of what the other frames let expect")
