"""The focus dock, driven as by a user: sample, slider, search, distances passed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_diner.widgets.focus.dock import FocusDock
from napari_diner.widgets.layers.layer_metadata import layer_notes
from tests.kit.docks import Wait, run
from tests.widgets.conftest import open_dock

PIXELS = slice(0, 96)


@pytest.fixture
def dock(make_napari_viewer: Callable[..., Any]) -> FocusDock:
    """The dock in a viewer, opened from the Plugins menu, with a part of the sample."""
    viewer = make_napari_viewer()
    viewer.open_sample("napari-diner", "lensless_stack")
    stack = viewer.layers[0]
    stack.data = stack.data[:3, PIXELS, PIXELS]
    stack.metadata["napari-diner"]["distances_um"] = stack.metadata["napari-diner"]["distances_um"][:3]
    dock = open_dock(viewer, "focus")
    assert isinstance(dock, FocusDock)
    dock.advanced.set_values({"rounds": 5, "search_range": 0.05})
    return dock


def look_at(qtbot: QtBot, dock: FocusDock, distance_um: float) -> np.ndarray:
    """Move the slider, and return the picture that follows it."""
    dock.slider.setValue(distance_um)
    with qtbot.waitSignal(dock.live.idle, timeout=60_000):
        pass
    return np.array(dock.viewer.layers["refocused (live)"].data)


def test_the_sample_fills_the_dock_in(dock: FocusDock) -> None:
    recipe = dock.recipe()
    assert recipe.wavelength_um == pytest.approx(0.532)
    assert len(recipe.distances_um) == 3
    assert dock.slider.minimum() < min(recipe.distances_um) and max(recipe.distances_um) < dock.slider.maximum()


def test_the_picture_follows_the_slider_and_the_frame(qtbot: QtBot, dock: FocusDock) -> None:
    layer = dock.choice.layer
    recorded = np.sqrt(layer.data[0] / 65535)
    dock.viewer.dims.set_current_step(0, 0)
    near = look_at(qtbot, dock, dock.slider.minimum() + 1)
    at_focus = look_at(qtbot, dock, dock.recipe().distances_um[0])
    assert near.shape == at_focus.shape == (96, 96)
    assert np.abs(near - at_focus).max() > 0.05
    # propagation keeps the light
    assert np.mean(at_focus[16:-16, 16:-16] ** 2) == pytest.approx(np.mean(recorded[16:-16, 16:-16] ** 2), rel=0.1)
    dock.viewer.dims.set_current_step(0, 2)
    assert dock.frame == 2
    assert dock.live.busy
    other = look_at(qtbot, dock, dock.recipe().distances_um[0] + 1)
    assert np.abs(other - at_focus).max() > 0.05
    assert tuple(dock.viewer.layers["refocused (live)"].scale) == tuple(layer.scale[-2:])


def test_the_distance_looked_at_can_be_used(dock: FocusDock) -> None:
    dock.viewer.dims.set_current_step(0, 1)
    dock.slider.setValue(round(dock.slider.minimum() + 20, 1))
    dock.use_button.click()
    assert dock.recipe().distances_um[1] == pytest.approx(dock.slider.value(), abs=0.051)


def test_what_is_prepared_can_be_looked_at(qtbot: QtBot, dock: FocusDock) -> None:
    dock.advanced.set_values({"preprocess": {"crop_px": (10, 20, 40, 48), "saturation": 40_000.0}})
    dock.preparation.show_button.click()
    with qtbot.waitSignal(dock.preparing.idle, timeout=60_000):
        pass
    assert dock.viewer.layers["prepared"].data.shape == (3, 40, 48)
    bright = dock.choice.layer.data[:, 10:50, 20:68] >= 40_000
    np.testing.assert_array_equal(dock.viewer.layers["saturated"].data, bright)
    assert dock.choice.layer.name == "lensless stack"  # the prepared frames are not to be prepared again


def test_a_search_hands_its_distances_on(qtbot: QtBot, dock: FocusDock, wait_for_end: Wait) -> None:
    layer = dock.choice.layer
    assert run(dock, wait_for_end).startswith("Done"), dock.panel.status.text()
    assert {"refocused", "amplitude", "phase"} <= {layer.name for layer in dock.viewer.layers}
    assert dock.choice.layer is layer  # the refocused frames are no stack to start from
    found = dock.viewer.layers["phase"].metadata["report"]["distances_um"]
    assert dock.recipe().distances_um == pytest.approx(found, abs=1e-3)
    assert not dock.curves.isHidden()
    # the dock of the reconstruction starts from them
    lensless = open_dock(dock.viewer, "lensless")
    assert lensless.recipe().distances_um == pytest.approx(found, abs=1e-3)
    # if another stack was chosen meanwhile, they still are those of the one that was searched
    other = dock.viewer.add_image(layer.data, name="other")
    dock.choice.combo.setCurrentIndex(dock.choice.combo.findData(other))
    dock.distances.set_value([100.0, 200.0, 300.0])
    dock.show_outcome(dock.result)
    assert dock.panel.status.text().endswith("They are kept with lensless stack, which was searched")
    assert dock.recipe().distances_um == (100, 200, 300)
    assert "distances_um" not in layer_notes(other)


def test_a_slider_without_a_wavelength_says_so(qtbot: QtBot, dock: FocusDock) -> None:
    dock.editors["wavelength_um"].set_value(None)
    with qtbot.waitSignal(dock.live.failed, timeout=60_000) as failed:
        dock.slider.setValue(dock.slider.minimum() + 5)
    assert "wavelength is missing" in str(failed.args[0])


def test_a_closed_dock_starts_nothing(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.ones((3, 16, 16)))
    dock = open_dock(viewer, "focus")
    dock.editors["wavelength_um"].set_value(0.5)
    dock.editors["pixel_size_um"].set_value(1.0)
    viewer.window.remove_dock_widget(dock)
    dock.slider.setValue(50)
    assert not dock.live.busy
