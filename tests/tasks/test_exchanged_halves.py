"""Halves of frames that are those of other frames are named, and nothing else is taken for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.tasks.exchanged_halves import Half, exchanged_halves, warnings_of_halves
from tests.kit.runs import finished

Array = npt.NDArray[Any]
DISTANCES = (280.0, 340.0, 420.0, 500.0, 610.0)


def exchanged(frames: Array, a: int, b: int, part: tuple[slice, ...]) -> Array:
    changed = frames.copy()
    changed[(a, *part)], changed[(b, *part)] = frames[(b, *part)], frames[(a, *part)]
    return changed


@pytest.mark.parametrize(
    ("part", "start"),
    [
        ((slice(None, 32), slice(None)), "the upper halves of frames 2 and 3 fit another frame"),
        ((slice(None), slice(36, None)), "the right halves of frames 2 and 3 fit another frame"),
        ((slice(0, 0), slice(None)), None),
    ],
    ids=["upper", "right", "none"],
)
def test_exchanged_halves_of_a_recording_are_named(part: tuple[slice, ...], start: str | None) -> None:
    sample = nd.sample("lensless", height_px=64, width_px=72, seed=6, distances_um=DISTANCES, noise_sigma=0.01)
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    frames = exchanged(np.asarray(sample.data.data), 1, 2, part)
    run = nd.lensless.start(frames, **{**values, "gauss_newton": {"iterations": 4}})
    texts = finished(run, compares_settings=False).report["warnings"]
    assert [text.startswith(start or "") for text in texts[:1]] == ([True] if start else [])


def test_other_errors_of_frames_are_not_taken_for_halves() -> None:
    random = np.random.default_rng(5)
    light = random.standard_normal((6, 48, 48))

    def found(seen: Array) -> list[Half]:
        return exchanged_halves(light - seen, -seen, [1.0] * len(seen))

    upper = slice(None, 24), slice(None)
    assert found(exchanged(light, 0, 3, upper)) == [Half(0, "upper"), Half(3, "upper")]
    assert found(light + 0.1 * random.standard_normal(light.shape)) == []
    assert found(exchanged(light, 0, 3, (slice(None), slice(None)))) == []
    assert found(np.where(np.arange(6)[:, None, None] == 2, 0.5 * light, light)) == []
    assert found(np.where(np.arange(6)[:, None, None] == 2, np.roll(light, 3, 1), light)) == []
    assert warnings_of_halves([]) == []
    (text,) = warnings_of_halves([Half(4, "left")])
    assert text.startswith("the left half of frame 5 fits another frame") and "leave it out" in text
