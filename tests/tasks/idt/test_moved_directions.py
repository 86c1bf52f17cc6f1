"""Warnings about directions that are slightly wrong."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.physics.idt.illumination import ring
from tests.tasks.idt.small_recordings import Recording, reconstructed, record, started


@pytest.fixture(scope="module")
def many() -> Recording:
    return record(count=16, noise=0.0005)


def said(recording: Recording, apertures: np.ndarray, frames: np.ndarray | None = None) -> list[str]:
    radius = np.hypot(*apertures.T)[:, None]
    inside = apertures * np.minimum(1, 0.65 / radius)
    recipe = recording.recipe.updated({"ring": {"na": None}, "illuminations": inside.tolist()})
    warnings = started(recipe, recording.frames if frames is None else frames).warnings
    return [text for text in warnings if "the given ones" in text or "turned by about" in text]


@pytest.mark.parametrize(("degrees", "seed"), [(1.5, 0)])
def test_directions_that_are_each_slightly_wrong_are_named(many: Recording, degrees: float, seed: int) -> None:
    right = ring(0.637, 16).apertures
    wrong = right + np.deg2rad(degrees / 2**0.5) * np.random.default_rng(seed).standard_normal(right.shape)
    (text,) = said(many, wrong)
    assert "directions that differ from the given ones by about" in text


@pytest.mark.parametrize("angle", [-4])
def test_directions_turned_by_a_few_degrees_are_named(many: Recording, angle: int) -> None:
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    (text,) = said(many, ring(0.637, 16).apertures @ np.array([[c, -s], [s, c]]))
    assert f"all directions turned by about {abs(angle)}° {'anticlockwise' if angle > 0 else 'clockwise'}" in text, text


def test_right_directions_are_not_named(many: Recording) -> None:
    right = ring(0.637, 16).apertures
    noise = np.random.default_rng(1).standard_normal(many.frames.shape).astype(np.float32)
    for sigma in (0, 0.003, 0.01):
        assert said(many, right, many.frames + np.float32(sigma) * noise) == []
    assert said(many, right, np.ascontiguousarray(many.frames[:, 8:40, 4:36])) == []


def test_the_named_calibration_puts_them_right(many: Recording) -> None:
    right = ring(0.637, 16).apertures
    wrong = right + 0.02 * np.random.default_rng(5).standard_normal(right.shape)
    wrong *= np.minimum(1, 0.65 / np.hypot(*wrong.T))[:, None]
    recipe = many.recipe.updated({"ring": {"na": None}, "illuminations": wrong.tolist(), "solver": "tikhonov"})
    recipe = recipe.updated({"calibration": {"illuminations": "refine"}})
    found = np.array(reconstructed(recipe, many.frames).report["calibration"]["illuminations_na"])
    before, after = (np.sqrt(np.square(one - right).sum(1).mean()) for one in (wrong, found))
    assert after < before / 2
