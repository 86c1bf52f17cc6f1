"""Light and pixels: derived quantities."""

from __future__ import annotations

import pytest

from napari_diner.physics.optics import Optics


def test_light_in_a_medium() -> None:
    water = Optics(0.5, 0.532, 1.33)
    assert water.wavelength_in_medium_um == pytest.approx(0.4)
    assert water.medium_frequency == pytest.approx(2.5)


def test_depth_of_field() -> None:
    assert Optics(1.0, 0.5).depth_of_field_um == pytest.approx(4 * 1.0**2 / 0.5)
    # pixels finer than half a wavelength resolve all that the medium transmits
    assert Optics(0.1, 0.5, medium_index=1.5).depth_of_field_um == pytest.approx(0.5 / 1.5)
