"""Slopes and bends of a phase are named, and samples are not mistaken for them."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

import napari_diner as nd
from napari_diner.physics.optics import Optics
from napari_diner.tasks.lensless.slow_phase import slow_phase
from tests.kit.runs import finished

LIGHT = Optics(1.2, 0.633)
WAVENUMBER = 2 * np.pi / 0.633
Y, X = ((np.arange(size) - size / 2 + 0.5) * 1.2 for size in (120, 150))


def sample(seed: int) -> npt.NDArray[np.float64]:
    made = nd.sample("lensless", height_px=120, width_px=150, distances_um=(300.0,), seed=seed, phase_range_rad=2.5)
    _, phase = made.truth
    return np.asarray(phase.data, np.float64)


def wrapped(phase: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.angle(np.exp(1j * phase)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_angle_of_the_light_is_named(seed: int) -> None:
    tilted = wrapped(sample(seed) + WAVENUMBER * (0.004 * Y[:, None] - 0.003 * X))
    (text,) = slow_phase(tilted, LIGHT, None)
    assert "tilted by 0.29°" in text or "tilted by 0.28°" in text
    assert "phase_output.remove: plane" in text


@pytest.mark.parametrize(("given_um", "true_um"), [(None, 20_000.0), (30_000.0, 15_000.0), (None, -20_000.0)])
def test_the_distance_of_the_source_is_named(given_um: float | None, true_um: float) -> None:
    bend = 1 / true_um - (1 / given_um if given_um else 0)
    phase = wrapped(0.3 * sample(4) + WAVENUMBER * bend / 2 * (Y[:, None] ** 2 + X**2))
    (text,) = slow_phase(phase, LIGHT, given_um)
    if true_um < 0:
        assert "under light that converges" in text
        return
    found = re.search(r"from a source (\S+) mm before the sample( instead of 30 mm)?,", text)
    assert found is not None and float(found[1]) == pytest.approx(true_um / 1000, rel=0.1)
    assert (found[2] is not None) == (given_um is not None)


@pytest.mark.parametrize("seed", range(12))
def test_samples_have_neither(seed: int) -> None:
    assert slow_phase(wrapped(sample(seed)), LIGHT, None) == []
    noise = np.random.default_rng(seed).uniform(-np.pi, np.pi, (120, 150))
    assert slow_phase(noise, LIGHT, None) == []
    assert slow_phase(wrapped(sample(seed) + 0.7 * noise), LIGHT, None) == []


def test_a_run_under_tilted_light_says_so() -> None:
    made = nd.sample("lensless", height_px=96, width_px=96)
    settings = made.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    drifts = 0.005 / made.recipe.pixel_size_um * np.array(made.recipe.distances_um)
    moved = np.stack(
        [
            ndimage.shift(frame.astype(float), (0, drift), mode="reflect")
            for frame, drift in zip(made.data.data, drifts, strict=True)
        ]
    )

    def warnings(**changes: object) -> list[str]:
        run = nd.lensless.start(moved, **settings, gauss_newton={"iterations": 6}, **changes)
        return list(finished(run, compares_settings=False).report["warnings"])

    assert any("as under light that is tilted by 0.2" in text for text in warnings())
    assert not any("tilted" in text for text in warnings(phase_output={"remove": "plane"}))
