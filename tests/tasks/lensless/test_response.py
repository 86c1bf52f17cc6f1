"""Frames that are not proportional to the light are noticed before a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd

Frames = npt.NDArray[Any]


def warnings(curve: Callable[[Frames], Frames]) -> list[str]:
    sample = nd.sample("lensless", height_px=96, width_px=96, noise_sigma=0.005, seed=2)
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
        (lambda light: light + 2, "light on top of an offset"),
    ],
    ids=["gamma", "amplitude", "squared", "negative", "logarithm", "offset"],
)
def test_other_functions_of_the_light_are_named(curve: Callable[[Frames], Frames], words: str) -> None:
    (text,) = warnings(curve)
    assert text.startswith(f"the frames fit better as {words}")
