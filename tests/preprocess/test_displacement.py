"""Displaced frames are detected, and noise is not mistaken for a displacement."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.physics.optics import Optics
from napari_diner.preprocess.displacement import displacements, moves, warnings_of_displacements

DISTANCES = (260.0, 310.0, 350.0, 420.0)
LIGHT = Optics(1.4, 0.633)


def amplitudes(size: int = 128, **settings: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return amplitudes, (N, Y, X), and true displacements in pixels, (N, 2)."""
    data = nd.sample(
        "lensless", height_px=size, width_px=size - 12, wavelength_um=LIGHT.wavelength_um,
        pixel_size_um=LIGHT.pixel_size_um, **{"distances_um": DISTANCES, **settings},
    )  # fmt: skip
    shifts = np.array(data.recipe.shifts_um or [(0.0, 0.0)] * len(data.recipe.distances_um))
    return np.sqrt(data.data.data.astype(np.float32)), shifts / LIGHT.pixel_size_um


def displaced(*recorded: Any) -> list[str]:
    return warnings_of_displacements(displacements(*recorded))


@pytest.mark.parametrize("settings", [{}, {"amplitude_min": 1.0}, {"bits": 8, "noise_sigma": 0.02}])
@pytest.mark.parametrize("drift_px", [2.0, 6.0])
def test_displacements_are_those_of_the_simulation(drift_px: float, settings: dict[str, Any]) -> None:
    stack, shifts = amplitudes(drift_px=drift_px, **settings)
    pairs = displacements(stack, LIGHT, DISTANCES)
    assert len(pairs) == 3
    for pair in pairs:
        expected = shifts[pair.second] - shifts[pair.first]
        assert np.hypot(pair.dy - expected[0], pair.dx - expected[1]) < 0.15 * drift_px + 0.2
    (text,) = displaced(stack, LIGHT, DISTANCES)
    jumps = np.hypot(*np.diff(shifts, axis=0).T)
    first = int(jumps.argmax()) + 1
    assert f"between frames {first} and {first + 1}" in text


def test_the_order_of_heights_counts_and_not_that_of_frames() -> None:
    stack, _ = amplitudes()
    stack[1] = np.roll(stack[1], (4, -3), (0, 1))
    order = [2, 0, 3, 1]
    (text,) = displaced(stack[order], LIGHT, [DISTANCES[k] for k in order])
    # 310 µm is the last frame; its neighbours are 260 µm, the second, and 350 µm, the first
    reported = re.search(r"about ([\d.]+) pixels between frames (?:1|2) and 4;", text)
    assert reported is not None and float(reported[1]) == pytest.approx(5, abs=0.6)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"photons": 30.0},
        {"noise_sigma": 0.1, "photons": 100.0, "phase_range_rad": 0.3, "amplitude_min": 1.0},
        {"phase_range_rad": 10.0},
        {"distances_um": (3000.0, 3400.0)},
        {"phase_range_rad": 0.0, "amplitude_min": 1.0, "noise_sigma": 0.02},
    ],
)
@pytest.mark.parametrize("seed", [4, 5])
def test_frames_at_rest_are_not_reported(settings: dict[str, Any], seed: int) -> None:
    stack, _ = amplitudes(96, seed=seed, **settings)
    assert displaced(stack, LIGHT, settings.get("distances_um", DISTANCES)) == []


def test_a_run_warns_unless_the_displacement_is_provided_for() -> None:
    data = nd.sample("lensless", height_px=72, width_px=76, distances_um=DISTANCES, drift_px=4.0)
    recipe = data.recipe.model_dump(exclude_unset=True)
    shifts = recipe.pop("shifts_um")

    def warns(**settings: Any) -> bool:
        with nd.lensless.start(data.data.data, **{**recipe, **settings}) as run:
            return any("displaced against each other" in warning for warning in run.warnings)

    assert warns()
    for provided in (
        {"shifts_um": shifts},
        {"registration": "shift"},
        {"calibration": {"shift": True}},
        {"calibration": {"tilt": True}},
    ):
        assert not warns(**provided)


def test_positions_of_frames_are_those_of_their_pairs() -> None:
    stack, shifts = amplitudes(160, drift_px=3.0, amplitude_min=1.0)
    order = [2, 0, 3, 1]
    found = moves(displacements(stack[order], LIGHT, [DISTANCES[k] for k in order]), 4)
    np.testing.assert_allclose(found, (shifts - shifts.mean(0))[order], atol=0.5)


def test_frames_of_another_sample_are_not_displaced() -> None:
    stack, _ = amplitudes()
    for seed in range(5):
        other, _ = amplitudes(seed=seed + 20)
        assert displaced(np.stack([*stack[:2], other[2], stack[3]]), LIGHT, DISTANCES) == []
