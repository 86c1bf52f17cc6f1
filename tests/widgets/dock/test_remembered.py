"""Settings that survive a restart of napari."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from pytestqt.qtbot import QtBot

from napari_diner.tasks.idt.recipe import RingSettings
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.widgets.dock.remembered import entered_settings, last_recipe
from napari_diner.widgets.focus.dock import FocusDock
from napari_diner.widgets.idt.dock import IdtDock
from napari_diner.widgets.lensless.dock import LenslessDock
from tests.widgets.conftest import SMALL, add_recording, open_dock


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


def test_images_of_layers_are_not_kept_and_files_are_wherever_they_are(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, settings_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as on another drive: only a home is common to both
    monkeypatch.setattr("napari_diner.tasks.sharing._home", lambda: tmp_path / "user")
    viewer = make_napari_viewer()
    viewer.add_image(np.ones((3, 16, 16)))
    viewer.add_labels(np.eye(16, dtype=int), name="painted")
    first = LenslessDock(viewer)
    dark = tmp_path / "user" / "dark.tif"
    first.set_recipe(first.recipe_type.parse({"seed": 3, "preprocess": {"crop_px": [1, 2, 8, 9], "dark": str(dark)}}))
    first.editors["mask"].set_value("painted")
    first.entered.keep()
    assert first.recipe().mask == "painted"
    kept = LenslessDock(viewer).recipe()
    assert (kept.seed, kept.mask, kept.preprocess.dark, kept.preprocess.crop_px) == (3, None, str(dark), None)
    # nor for the next run of other data, even if this one is refused in its thread
    first.set_recipe(
        first.recipe().updated({"wavelength_um": 0.5, "pixel_size_um": 1.5, "distances_um": [300, 400, 500]})
    )
    first.run()
    first.panel.abandon()
    assert "painted" not in last_recipe("lensless").read_text() and "wavelength" in last_recipe("lensless").read_text()


def test_settings_that_cannot_be_read_or_written_are_told(
    make_napari_viewer: Callable[..., Any], settings_folder: Path
) -> None:
    viewer = make_napari_viewer()
    settings_folder.mkdir()
    entered_settings("fit").write_bytes(b"\xff\x00 no settings")
    dock = open_dock(viewer, "fit")
    assert "cannot be read" in dock.panel.status.text() and dock.recipe() == dock.recipe_type()
    shutil.rmtree(settings_folder)
    settings_folder.write_text("in the way")
    dock.panel.say("")
    for seed in (5, 6):
        dock.editors["seed"].set_value(seed)
        dock.entered.keep()
        assert ("not kept for the next session" in dock.panel.status.text()) == (seed == 5)
        dock.panel.say("")


def test_the_preference_turns_it_off(
    make_napari_viewer: Callable[..., Any], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = make_napari_viewer()
    enter(LenslessDock(viewer), qtbot, wavelength_um=0.641)
    monkeypatch.setattr(get_plugin_settings("napari-diner").docks, "remember", False)
    assert LenslessDock(viewer).recipe().wavelength_um is None
