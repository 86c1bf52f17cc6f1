"""Cropping by a drawn rectangle, and display of prepared frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_diner.widgets.lensless.dock import LenslessDock
from tests.kit.docks import Wait, run
from tests.widgets.conftest import open_dock

ROWS, COLUMNS = slice(10, 50), slice(20, 68)


@pytest.fixture
def dock(make_napari_viewer: Callable[..., Any]) -> LenslessDock:
    """The lensless dock, with a stack of pixels of 2 µm that lies off the origin."""
    viewer = make_napari_viewer()
    stack = np.random.default_rng(0).random((3, 64, 80))
    viewer.add_image(stack, scale=(1, 2, 2), translate=(0, 100, -30), name="stack", units=("pixel", "um", "um"))
    dock = open_dock(viewer, "lensless")
    assert isinstance(dock, LenslessDock)
    return dock


def corners(rows: slice, columns: slice) -> np.ndarray:
    """Return the outline of pixels of the stack in the coordinates of the world."""
    y = 100 + 2 * (np.array([rows.start, rows.stop]) - 0.5)
    x = -30 + 2 * (np.array([columns.start, columns.stop]) - 0.5)
    return np.array([[y[0], x[0]], [y[0], x[1]], [y[1], x[1]], [y[1], x[0]]])


def crop(dock: LenslessDock) -> Any:
    """Press the button, and return the part that the recipe uses."""
    dock.preparation.crop_button.click()
    return dock.recipe().preprocess.crop_px


def test_a_rectangle_becomes_pixels_of_the_stack(dock: LenslessDock) -> None:
    dock.viewer.add_shapes(corners(ROWS, COLUMNS), shape_type="rectangle")
    assert crop(dock) == (10, 20, 40, 48)


def test_a_rectangle_in_other_pixels_means_the_same_place(dock: LenslessDock) -> None:
    outline = corners(ROWS, COLUMNS)
    in_frame = np.column_stack([np.full(4, 2), outline / (4, 0.5)])
    dock.viewer.add_shapes(in_frame, shape_type="rectangle", scale=(1, 4, 0.5))
    assert crop(dock) == (10, 20, 40, 48)


def test_a_rectangle_is_cut_at_the_edge(dock: LenslessDock) -> None:
    dock.viewer.add_shapes(corners(slice(-30, 20), slice(60, 200)), shape_type="rectangle")
    assert crop(dock) == (0, 60, 20, 20)


def test_the_selected_rectangle_is_meant(dock: LenslessDock) -> None:
    shapes = dock.viewer.add_shapes([corners(ROWS, COLUMNS), corners(slice(0, 8), slice(0, 9))], shape_type="rectangle")
    assert crop(dock) == (0, 0, 8, 9)
    shapes.selected_data = {0}
    assert crop(dock) == (10, 20, 40, 48)


def test_without_a_rectangle_the_tool_is_handed_over(dock: LenslessDock) -> None:
    assert crop(dock) is None
    assert "draw one" in dock.panel.status.text()
    shapes = dock.viewer.layers.selection.active
    assert shapes.mode == "add_rectangle"
    assert crop(dock) is None
    assert [layer.name for layer in dock.viewer.layers] == ["stack", "part to use"]
    # drawn in pixels of the stack
    shapes.add(np.array([[9.5, 19.5], [9.5, 67.5], [49.5, 67.5], [49.5, 19.5]]), shape_type="rectangle")
    assert crop(dock) == (10, 20, 40, 48)
    assert dock.panel.status.text().startswith("Rows 10 to 49 and columns 20 to 67 are used")


def test_a_rectangle_beside_the_stack_is_refused(dock: LenslessDock) -> None:
    dock.viewer.add_shapes(corners(slice(-20, -4), COLUMNS), shape_type="rectangle")
    assert crop(dock) is None
    assert "covers no pixel of stack" in dock.panel.status.text()
    dock.viewer.add_shapes(corners(slice(10, 40), slice(20, 24)), shape_type="rectangle")
    assert crop(dock) is None
    assert "covers only 30×4 pixels of stack; draw it over at least 8×8" in dock.panel.status.text()


def test_the_prepared_frames_are_shown_where_they_lie(dock: LenslessDock, qtbot: QtBot) -> None:
    dock.viewer.add_shapes(corners(ROWS, COLUMNS), shape_type="rectangle")
    crop(dock)
    dock.editors["wavelength_um"].set_value(0.5)
    dock.distances.set_value([400.0, 500.0, 600.0])
    with qtbot.waitSignal(dock.preparing.idle, timeout=60_000):
        dock.preparation.show_button.click()
    shown = dock.viewer.layers["prepared"]
    np.testing.assert_allclose(shown.data, dock.choice.layer.data[:, ROWS, COLUMNS], rtol=1e-6)
    assert tuple(shown.scale[-2:]) == (2, 2)
    assert tuple(shown.translate[-2:]) == (120, 10)
    assert dock.choice.layer.name == "stack"


def test_results_lie_on_the_part_that_was_used(dock: LenslessDock, wait_for_end: Wait) -> None:
    dock.viewer.add_shapes(corners(ROWS, COLUMNS), shape_type="rectangle")
    crop(dock)
    dock.advanced.set_values({"preprocess": {"upsample": 2}})
    dock.editors["wavelength_um"].set_value(0.5)
    dock.editors["solver"].set_value("alternating")
    dock.advanced.set_values({"alternating": {"iterations": 2}})
    dock.distances.set_value([400.0, 500.0, 600.0])
    run(dock, wait_for_end)
    phase = dock.viewer.layers["phase"]
    assert phase.data.shape == (80, 96)
    assert tuple(phase.scale) == (1, 1)
    # the first of the finer pixels is centred half a fine pixel from the corner
    assert tuple(phase.translate) == (100 + 2 * 9.5 + 0.5, -30 + 2 * 19.5 + 0.5)
