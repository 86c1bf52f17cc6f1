"""Lengths in the wrong unit, and insufficient diffraction."""

from __future__ import annotations

import pytest

from napari_diner.physics.optics import Optics
from napari_diner.physics.plausibility import (
    DISTANCE,
    SENSOR_PIXEL,
    WAVELENGTH,
    diffraction_rad,
    equal_distances,
    odd_distances,
    periods_kept,
)

OPTICS = Optics(1.67, 0.638)


@pytest.mark.parametrize(
    ("quantity", "value_um", "unit", "meant"),
    [
        (WAVELENGTH, 638, "nm", "0.638"),
        (WAVELENGTH, 0.00045, "mm", "0.45"),
        (WAVELENGTH, 6.33e-7, "m", "0.633"),
        (WAVELENGTH, 6328, "Å", "0.6328"),
        (SENSOR_PIXEL, 0.0022, "mm", "2.2"),
        (SENSOR_PIXEL, 1.4e-6, "m", "1.4"),
        (DISTANCE, 0.75, "mm", "750"),
        (DISTANCE, 0.0012, "m", "1200"),
    ],
)
def test_the_likely_unit_is_named(quantity: object, value_um: float, unit: str, meant: str) -> None:
    assert isinstance(quantity, type(WAVELENGTH))
    assert not quantity.is_usual(value_um)
    assert f"if {value_um:g} {unit} was meant, enter {meant}" in quantity.doubt(value_um)


def test_no_unit_is_made_up() -> None:
    assert WAVELENGTH.doubt(50).endswith("check the unit")


@pytest.mark.parametrize("value_um", [0.25, 0.405, 1.55, 10.6])
def test_lasers_are_usual(value_um: float) -> None:
    assert WAVELENGTH.is_usual(value_um)


def test_distances_in_another_unit_are_named() -> None:
    assert odd_distances([642, 685, 732]) == []
    (text,) = odd_distances([0.642, 0.685, 0.732])
    assert "0.642 to 0.732 mm were meant, enter 642 to 732" in text
    (text,) = odd_distances([642, 0.685, 732])
    assert "frame 2" in text and "enter 685" in text
    (text,) = odd_distances([642, 685, 732000, 779])
    assert "frame 3" in text and "check its unit" in text


def test_small_differences_are_named_without_exponents() -> None:
    (text,) = equal_distances(Optics(13.0, 0.5), [400, 500])
    assert "more than 140 µm" in text


def test_equal_distances_are_named() -> None:
    assert equal_distances(OPTICS, [642]) == []
    assert equal_distances(OPTICS, [642, 685, 732]) == []
    least = 0.1 * OPTICS.depth_of_field_um
    (text,) = equal_distances(OPTICS, [642, 642 + 0.9 * least, 642])
    assert "all frames" in text
    (text,) = equal_distances(OPTICS, [700, 642, 700 + 0.9 * least])
    assert "frames 1 and 3" in text
    assert equal_distances(OPTICS, [642, 642 + 1.1 * least]) == []


def test_diffraction_of_the_finest_detail() -> None:
    # paraxially π λ z / 4p²
    assert diffraction_rad(Optics(10, 0.5), 1000) == pytest.approx(3.1416 * 0.5 * 1000 / 400, rel=1e-3)
    # no evanescent waves: 2π z n/λ at most
    assert diffraction_rad(Optics(0.1, 0.5), 1) == pytest.approx(2 * 3.14159 / 0.5, rel=1e-3)


def test_detail_whose_light_leaves_the_field() -> None:
    # half a field of 1 mm at 10 mm: an angle of 0.05, thus λ/0.05 = 10 µm
    assert periods_kept(Optics(1, 0.5), 10_000, 1000) == pytest.approx(1000 / 10, rel=2e-3)
    # close by, the pixels decide
    assert periods_kept(Optics(1, 0.5), 100, 1000) == pytest.approx(500)
