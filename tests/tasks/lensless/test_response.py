"""Frames that are not proportional to the light are noticed before a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd

Frames = npt.NDArray[Any]


def warnings(curve: Callable[[Frames], Frames], **settings: float) -> list[str]:
    sample = nd.sample("lensless", height_px=96, width_px=96, seed=2, **{"noise_sigma": 0.005, **settings})
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth", "intensity_scale"})
    frames = np.asarray(sample.data.data, np.float64)
    with nd.lensless.start(curve(frames / frames.max()), **values) as run:
        return [text for text in run.warnings if text.startswith("the frames fit better as")]


def test_light_is_left_alone() -> None:
    assert warnings(lambda light: light) == []


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (lambda light: light ** (1 / 2.2), "squares of their values"),
        (lambda light: 40 * np.sqrt(light), "squares of their values"),
        (np.square, "roots of their values"),
        (lambda light: 1 - light, "a negative"),
        (lambda light: np.log1p(99 * light), "exponentials of their values"),
        (lambda light: -np.log10(light / 1.2), "exponentials of their negatives, as if they were optical densities"),
        (lambda light: light + 2, "light on top of an offset"),
    ],
    ids=["gamma", "amplitude", "squared", "negative", "logarithm", "optical density", "offset"],
)
def test_other_functions_of_the_light_are_named(curve: Callable[[Frames], Frames], words: str) -> None:
    (text,) = warnings(curve)
    assert text.startswith(f"the frames fit better as {words}")


def test_a_small_offset_under_a_sample_of_much_contrast_is_named() -> None:
    (text,) = warnings(lambda light: light + 0.16 * light.mean(), amplitude_min=0.1, phase_range_rad=3.0)
    found = re.search(r"on top of an offset of about ([\d.]+) % of their mean", text)
    assert found is not None, text
    assert 7 < float(found[1]) < 16


@pytest.mark.parametrize(("gamma", "power"), [(0.72, 1.4), (1.38, 0.7)])
def test_weak_curves_are_named_if_the_sample_has_much_contrast(gamma: float, power: float) -> None:
    (text,) = warnings(lambda light: light**gamma, phase_range_rad=3.0)
    assert text.startswith(f"the frames fit better as powers of {power} of their values, as if a curve with a gamma of")


@pytest.mark.parametrize(("noise", "part"), [(0.0, 1.0), (0.0015, 1.0), (0.0, 0.3)])
def test_the_size_of_an_offset_under_a_sample_of_little_contrast_is_named(noise: float, part: float) -> None:
    distances = (320.0, 400.0, 470.0, 560.0, 640.0)
    chosen = {"height_px": 96, "width_px": 88, "distances_um": distances, "seed": 5}
    sample = nd.sample("lensless", phase_range_rad=0.8, amplitude_min=0.6, noise_sigma=noise, **chosen)
    light = np.asarray(sample.data.data, np.float64) / 65535
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth", "intensity_scale"})
    assert not [text for text in nd.lensless.start(light, **values).warnings if "fit better" in text]
    (text,) = [t for t in nd.lensless.start(light + part * light.mean(), **values).warnings if "fit better" in t]
    percent = re.search(r"on top of an offset of about (\d+) % of their mean", text)
    assert percent is not None and abs(int(percent[1]) - 100 * part / (1 + part)) <= 12
