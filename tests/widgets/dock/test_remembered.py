"""Settings that survive a restart of napari."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from pytestqt.qtbot import QtBot

from napari_diner.tasks.idt.recipe import RingSettings
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.widgets.dock.remembered import entered_settings
from napari_diner.widgets.focus.dock import FocusDock
from napari_diner.widgets.idt.dock import IdtDock
from napari_diner.widgets.lensless.dock import LenslessDock
from tests.widgets.conftest import SMALL, add_recording


def enter(dock: Any, qtbot: QtBot, **values: Any) -> None:
    """Enter settings, and wait until they are kept."""
    for name, value in values.items():
        dock.editors[name].set_value(value)
    qtbot.waitUntil(lambda: all(getattr(dock.entered.recipe, name) == value for name, value in values.items()))


def test_what_came_with_the_data_is_not_kept(make_napari_viewer: Callable[..., Any], qtbot: QtBot) -> None:
    viewer = make_napari_viewer()
    sample = add_recording(viewer, SMALL)
    dock = IdtDock(viewer)
    assert dock.recipe().na is not None and dock.recipe().wavelength_um is not None
    lit = dock.illumination.values()
    enter(dock, qtbot, slice_count=7)
    kept = dock.entered.recipe
    assert (kept.na, kept.wavelength_um, kept.illuminations, kept.ring) == (None, None, (), RingSettings())
    # nor for the next recording
    viewer.add_image(np.ones((SMALL.frames, 16, 16)), name="own")
    dock.choice.combo.setCurrentText("own")
    own = dock.recipe()
    assert (own.na, own.illuminations, own.ring, own.slice_count) == (None, (), RingSettings(), 7)
    # what is entered is, and returns after another sample
    dock.illumination.set_values((), {"na": 0.3})
    qtbot.waitUntil(lambda: dock.entered.recipe.ring.na == 0.3)
    dock.choice.combo.setCurrentText(sample.name)
    assert dock.illumination.values() == lit
    dock.choice.combo.setCurrentText("own")
    assert dock.recipe().ring.na == 0.3


def test_what_was_entered_is_shown_again(make_napari_viewer: Callable[..., Any], qtbot: QtBot) -> None:
    viewer = make_napari_viewer()
    first = LenslessDock(viewer)
    assert first.recipe() == LenslessRecipe() and first.panel.status.text() == ""
    first.advanced.set_values({"gauss_newton": {"iterations": 17}})
    enter(first, qtbot, wavelength_um=0.641, medium_index=1.33)
    second = LenslessDock(viewer)
    recipe = second.recipe()
    assert (recipe.wavelength_um, recipe.medium_index, recipe.gauss_newton.iterations) == (0.641, 1.33, 17)
    assert recipe.pixel_size_um is None
    assert "last session" in second.panel.status.text()
    second.recipe_menu.reset()
    qtbot.waitUntil(lambda: "wavelength_um" not in entered_settings("lensless").read_text())
    assert LenslessDock(viewer).recipe() == LenslessRecipe()


@pytest.mark.parametrize("kind", [LenslessDock, FocusDock, IdtDock])
def test_a_part_of_one_recording_is_not_used_of_the_next(
    make_napari_viewer: Callable[..., Any], qtbot: QtBot, kind: type[Any]
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.ones((3, 16, 16)))
    first = kind(viewer)
    recipe = first.recipe().updated({"leave_out": [2], "wavelength_um": 0.641})
    has_crop = "preprocess" in type(recipe).model_fields
    first.set_recipe(recipe.updated({"preprocess": {"crop_px": [1, 2, 8, 9]}}) if has_crop else recipe)
    first.entered.keep()
    second = kind(viewer).recipe()
    assert (second.wavelength_um, second.leave_out) == (0.641, ())
    assert not has_crop or second.preprocess.crop_px is None


def test_the_preference_turns_it_off(
    make_napari_viewer: Callable[..., Any], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = make_napari_viewer()
    enter(LenslessDock(viewer), qtbot, wavelength_um=0.641)
    monkeypatch.setattr(get_plugin_settings("napari-diner").docks, "remember", False)
    assert LenslessDock(viewer).recipe().wavelength_um is None
