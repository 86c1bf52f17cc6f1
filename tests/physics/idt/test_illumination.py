"""Illuminations: formats, and directions outside the range of the models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, Source, ring


def test_ring_lies_on_its_circle_evenly() -> None:
    apertures = ring(0.6, 8, offset_deg=30).apertures
    assert np.allclose(np.hypot(*apertures.T), 0.6)
    angles = np.unwrap(np.arctan2(apertures[:, 0], apertures[:, 1]))
    assert np.allclose(np.rad2deg(angles), 30 + 45 * np.arange(8))


def test_plain_lists() -> None:
    found = Illumination.of([[0.1, 0.2], [[0.3, 0.0], [0.0, 0.3]], [[0.1, 0.0, 3], [0.0, 0.1]]])
    assert len(found) == 3
    assert found.frames[0] == (Source(0.1, 0.2),)
    assert np.allclose(found.weights, [1, 0.5, 0.5, 0.75, 0.25])
    assert found.frame_of_source.tolist() == [0, 1, 1, 2, 2]
    assert np.allclose(found.opposite().apertures, -found.apertures)


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ([], "no illumination"),
        ([[0.1, 0.2], []], "Frame 2 has no light source"),
        ([[0.1]], "frame 1"),
        ([[0.1, 0.2, 0.3]], "frame 1"),
        ([[0.1, 0.2], [[0.1, 0.2, 1, 1]]], "frame 2"),
        ([[0.1, math.nan]], "not finite"),
        ([0.1, 0.2], "frame 1 is 0.1"),
        ([[0.1, "x"]], "frame 1"),
        ([[0.1, None]], "not finite"),
        ([[[0.1, 0.2], 0.3]], "frame 1"),
        ([[[0.1, 0.2, 0.0]]], "weight 0"),
    ],
)
def test_bad_lists_are_named(directions: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Illumination.of(directions)


def test_illumination_outside_the_objective_is_named() -> None:
    with pytest.raises(RecipeError, match=r"frame 2 has an NA of 0\.7, outside the objective's NA of 0\.65"):
        Illumination.of([[0.6, 0.0], [0.0, 0.7]]).check(0.65, 1.33)


def test_illumination_outside_the_medium_is_named() -> None:
    with pytest.raises(RecipeError, match=r"frame 1 has an NA of 1\.4, which is impossible"):
        Illumination.of([[1.4, 0.0]]).check(1.45, 1.33)


@pytest.mark.parametrize("na", [0.4, 0.65, 1.2])
def test_directions_as_angles_are_recognised(na: float) -> None:
    ring_na = min(0.98 * na, 0.9)
    angle = math.asin(ring_na)
    for unit, size in (("degrees", math.degrees(angle)), *([("radians", angle)] if na < 1 and angle > na else [])):
        with pytest.raises(RecipeError, match=rf"is an angle in {unit}, give its sine in air, {ring_na:.3g}, instead"):
            ring(size, 8).check(na, 1.33)
    with pytest.raises(RecipeError) as dark_field:
        ring(1.25 * na, 8).check(na, 1.6)
    assert na == 0.4 or "radians" not in str(dark_field.value)
    with pytest.raises(RecipeError, match="of a unit vector, these are the components along y and x times the medium"):
        Illumination.of([[0.6, 0.0, 0.8]])


def test_illumination_at_the_edge_passes() -> None:
    ring(0.65, 7, offset_deg=11).check(0.65, 1.33)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"na": 1.4}, "not below the medium's index"),
        ({"slice_spacing_um": 0.0}, "slice_spacing_um"),
        ({"wavelength_um": math.nan}, "wavelength_um"),
        ({"first_slice_um": math.inf}, "first_slice_um"),
        ({"shape": (0, 4, 4)}, "shape"),
    ],
)
def test_impossible_geometry_is_named(change: dict[str, float], message: str) -> None:
    plain = {
        "shape": (3, 4, 4),
        "pixel_size_um": 0.2,
        "slice_spacing_um": 0.5,
        "first_slice_um": None,
        "wavelength_um": 0.5,
        "na": 0.65,
        "medium_index": 1.33,
    }
    with pytest.raises(RecipeError, match=message):
        VolumeGeometry(**(plain | change))  # type: ignore[arg-type]


def test_volume_is_centred_on_the_focus_unless_told() -> None:
    assert VolumeGeometry((4, 8, 8), 0.5, 0.5, 1.33, 0.2, 0.65).slice_positions_um.tolist() == [
        -0.75,
        -0.25,
        0.25,
        0.75,
    ]
    assert VolumeGeometry((2, 8, 8), 0.5, 0.5, 1.33, 0.2, 0.65, 3.0).slice_positions_um.tolist() == [3.0, 3.5]
