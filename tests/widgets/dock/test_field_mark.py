"""The field that an error is about is unfolded and framed until it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.widgets.conftest import open_dock


@pytest.fixture
def lensless(make_napari_viewer: Callable[..., Any]) -> Any:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    return open_dock(viewer, "lensless")


def test_a_missing_value_is_marked_until_it_is_given(lensless: Any) -> None:
    editor = lensless.editors["wavelength_um"]
    before = editor.styleSheet()
    lensless.panel.run_button.click()
    assert lensless.mark.marked is editor
    assert "border: 1px solid" in editor.styleSheet()
    editor.set_value(0.5)
    assert lensless.mark.marked is None
    assert editor.styleSheet() == before
    assert lensless.panel.status.text() == ""


def test_a_missing_layer_is_not_missed_any_more_once_it_is_there(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    dock = open_dock(viewer, "fit")
    dock.panel.run_button.click()
    assert dock.panel.status.text().startswith("There is no image")
    viewer.add_image(np.zeros((16, 16), np.uint8))
    assert dock.panel.status.text() == ""


def test_the_mark_moves_on_to_the_next_field(lensless: Any) -> None:
    lensless.panel.run_button.click()
    lensless.editors["wavelength_um"].set_value(0.5)
    lensless.panel.run_button.click()
    assert lensless.mark.marked is lensless.editors["pixel_size_um"]


def test_a_folded_section_is_opened(lensless: Any) -> None:
    section = lensless.advanced.sections["preprocess"]
    lensless.advanced.set_values({"preprocess": {"crop_px": (0, 0, 4, 4)}})
    assert not section.isExpanded()
    lensless.panel.run_button.click()
    assert section.isExpanded()
    assert lensless.mark.marked is section.form.editors["crop_px"]


def test_a_distance_that_is_no_number_marks_the_table(lensless: Any) -> None:
    lensless.distances.set_value((300.0, 390.0, 500.0))
    lensless.distances.table.item(1, 0).setText("far")
    lensless.panel.run_button.click()
    assert "frame 2" in lensless.panel.status.text()
    assert lensless.mark.marked is lensless.distances.table


def test_directions_that_are_no_list_mark_their_field(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, "idt")
    dock.illumination.kind.setCurrentIndex(1)
    dock.illumination.listed.setText("[0.3, 0")
    dock.panel.run_button.click()
    assert dock.mark.marked is dock.illumination.listed


def test_settings_in_an_error_have_their_titles(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((16, 16), np.uint8))
    dock = open_dock(viewer, "fit")
    dock.editors["bit_exact"].set_value(True)
    dock.advanced.set_values({"stored_bits": 16})
    dock.panel.run_button.click()
    assert dock.panel.status.text() == '"Bit-exact" needs its keys in full; set "Stored bits" to 32'
