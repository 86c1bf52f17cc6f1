"""Common behaviour of the docks of all tasks."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QThreadPool

from napari_diner import device
from napari_diner.errors import RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.preprocess.settings import PreprocessSettings
from napari_diner.tasks.preflight import Finding
from napari_diner.tasks.registry import tasks
from napari_diner.widgets.dock.settings_area import SettingsArea
from napari_diner.widgets.forms.recipe_form import RecipeForm, Section
from tests.widgets.conftest import MENU, open_dock

TASKS = ("lensless", "focus", "idt", "fit")


@pytest.fixture(params=TASKS)
def any_dock(request: pytest.FixtureRequest, make_napari_viewer: Callable[..., Any]) -> Any:
    """The dock of each task, with a stack of random frames."""
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    return open_dock(viewer, request.param)


def test_each_task_has_a_dock() -> None:
    assert tuple(tasks()) == TASKS
    assert {f"napari-diner.{name}": task.title for name, task in tasks().items()}.items() <= MENU.items()


def test_a_dock_fits_a_small_screen(any_dock: Any) -> None:
    # 1366 × 768 at a scaling of 150 % is 910 × 512, and napari's own docks need 271 of the width
    any_dock.panel.plot.show()
    assert any_dock.minimumSizeHint().width() <= 310
    assert any_dock.minimumSizeHint().height() <= 400


def test_the_right_edge_of_the_settings_is_never_cut_off(any_dock: Any) -> None:
    area = any_dock.settings
    any_dock.advanced_section.expand()
    needed = area.widget().minimumSizeHint().width() + area.verticalScrollBar().sizeHint().width()
    assert needed <= area.minimumSizeHint().width() <= any_dock.minimumSizeHint().width()


def test_rows_that_wrap_keep_their_height(qtbot: QtBot) -> None:
    area, section = SettingsArea(), Section("Preprocess", lambda: RecipeForm(PreprocessSettings))
    qtbot.addWidget(area)
    area.add(section)
    area.resize(220, 400)
    area.show()
    section.expand()
    editors = section.form.editors.values()

    def check() -> None:
        assert [each.objectName() for each in editors if each.height() < each.minimumSizeHint().height()] == []
        places = sorted((each.y(), each.y() + each.height()) for each in editors)
        assert all(bottom <= top for (_, bottom), (top, _) in pairwise(places))

    qtbot.waitUntil(check)
    section.collapse()
    qtbot.waitUntil(lambda: section.height() < 60)


def test_a_dock_follows_the_theme(any_dock: Any) -> None:
    any_dock.viewer.theme = "light"
    assert any_dock.panel.plot.plot.backgroundBrush().color().lightness() > 200


def test_what_is_missing_is_named_by_its_title(any_dock: Any) -> None:
    for error in (RecipeError("Give {field}", "max_seconds"), RecipeError("Give {field:max_seconds}")):
        assert any_dock.describe(error) == 'Give "Time limit"'
    any_dock.panel.run_button.click()
    if any_dock.task.name != "fit":
        assert any_dock.panel.status.is_warning
        assert " is missing" in any_dock.panel.status.text()
        assert '"' in any_dock.panel.status.text()
    assert "--" not in any_dock.panel.status.text()


COMPLETE = {
    "lensless": {"wavelength_um": 0.5, "pixel_size_um": 1.5, "distances_um": [300.0, 390.0, 500.0], "max_seconds": 5},
    "fit": {"epochs": 5},
}


@pytest.mark.parametrize("name", COMPLETE)
def test_the_checks_follow_data_and_settings(
    make_napari_viewer: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, name)
    panel = dock.panel.checks

    def levels() -> dict[str, str]:
        return {line.aspect: line.level for line in panel.lines}

    dock.set_recipe(dock.recipe().updated(COMPLETE[name] | ({"axes": "ZYX"} if name == "fit" else {})))
    qtbot.waitUntil(lambda: "memory" in levels(), timeout=30_000)
    assert {"sampling", "plausibility", "time", "memory"} <= levels().keys()
    memory = next(line for line in panel.lines if line.aspect == "memory")
    # the process that runs the tests counts, so there is no certain figure
    assert re.match(r"about \d+(\.\d+)? (MB|GB) of ", memory.sentence) and memory.sentence in panel.text()
    assert not panel.isHidden() and panel.text().count("●") == len(levels())
    # grey from the next change on, until that is checked
    texts: list[str] = []
    panel.reserved.connect(lambda: texts.append(panel.text()))
    good = "#3fa45b"
    assert good in panel.text()
    dock.advanced.set_values({"seed": 4})
    qtbot.waitUntil(lambda: any(good not in text for text in texts) and good in panel.text(), timeout=30_000)
    monkeypatch.setattr(device, "available_memory", lambda of=None: 1000)
    dock.advanced.set_values({"seed": 5})
    qtbot.waitUntil(lambda: levels() == {"memory": "bad"}, timeout=30_000)
    assert "GB of main memory are free" in panel.text()


def test_what_was_missing_is_not_said_to_be_missing_while_checks_run(
    make_napari_viewer: Callable[..., Any], qtbot: QtBot
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, "lensless")
    panel = dock.panel.checks
    panel.refresh()
    qtbot.waitUntil(lambda: "missing" in panel.text(), timeout=30_000)
    dock.set_recipe(dock.recipe().updated(COMPLETE["lensless"]))
    panel.refresh()
    assert "missing" not in panel.text()
    assert "Checking" in panel.text()
    qtbot.waitUntil(lambda: any(line.aspect == "memory" for line in panel.lines), timeout=60_000)
    assert "Checking" not in panel.text()


def test_what_was_found_for_settings_before_is_not_shown(make_napari_viewer: Callable[..., Any], qtbot: QtBot) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, "lensless")
    panel, found = dock.panel.checks, list[Any]()
    dock.checking.done.connect(lambda lines: found.append(([line.level for line in lines], panel.text())))
    panel.refresh()
    assert dock.checking.busy
    # the user goes on while the first checks run, which find that something is missing
    dock.set_recipe(dock.recipe().updated(COMPLETE["lensless"]))
    panel.refresh()
    assert dock.checking.waits
    qtbot.waitUntil(lambda: len(found) == 2, timeout=60_000)
    assert found[0][0] == ["bad"]
    assert "missing" not in found[0][1] + found[1][1]


def test_a_run_ends_the_checks_in_progress(make_napari_viewer: Callable[..., Any], qtbot: QtBot) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((3, 16, 16)))
    dock = open_dock(viewer, "lensless")
    dock.set_recipe(dock.recipe().updated(COMPLETE["lensless"]))
    shown: list[Any] = []
    dock.checking.done.connect(shown.append)
    dock.panel.checks.refresh()
    assert dock.checking.busy
    dock.run()
    assert dock.panel.running
    qtbot.waitUntil(lambda: not dock.panel.running and not dock.checking.busy, timeout=60_000)
    assert not shown
    assert dock.panel.checks.isHidden()
    # after the next change, they are made again
    dock.advanced.set_values({"seed": 5})
    qtbot.waitUntil(lambda: bool(shown) and not dock.panel.checks.isHidden(), timeout=60_000)


def test_what_is_missing_is_red_before_a_run(any_dock: Any, qtbot: QtBot) -> None:
    panel = any_dock.panel.checks
    if any_dock.task.name != "fit":
        qtbot.waitUntil(lambda: bool(panel.lines), timeout=30_000)
        (line,) = panel.lines
        assert line[:2] == ("settings", "bad") and "missing" in line.sentence and '"' in line.sentence


def test_a_recipe_remembers_its_data(any_dock: Any) -> None:
    any_dock.set_recipe(any_dock.recipe().updated({"input_sha256": "0" * 64}))
    assert any_dock.recipe().input_sha256 == "0" * 64
    if any_dock.task.name == "fit":
        run = any_dock.task.start(any_dock.recipe(), any_dock.frames(any_dock.choice.layer))
        assert "checksums differ" in run.warnings[0]
    any_dock.set_recipe(any_dock.recipe_type())
    assert any_dock.recipe().input_sha256 == ""


def test_pixels_that_are_not_square_are_named_with_both_sides(any_dock: Any) -> None:
    if any_dock.task.name != "fit":  # which takes pixels of any shape
        any_dock.choice.layer.scale = (1, 0.4, 0.5)
        any_dock.choice.layer.units = ("pixel", "um", "um")
        any_dock.panel.run_button.click()
        assert "not square (0.4 × 0.5 µm)" in any_dock.panel.status.text()


@pytest.mark.parametrize("layer", [np.ones((8, 8)), np.ones((8, 8, 3), np.uint8)])
def test_why_a_layer_is_not_offered_is_said(make_napari_viewer: Callable[..., Any], layer: np.ndarray) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(layer, rgb=layer.dtype == np.uint8)
    for name in ("lensless", "focus", "idt"):
        dock = open_dock(viewer, name)
        dock.panel.run_button.click()
        assert "an image layer with three axes (frame, y, x) or more" in dock.panel.status.text()


def test_without_a_layer_nothing_runs(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    for name in TASKS:
        dock = open_dock(viewer, name)
        dock.panel.run_button.click()
        assert dock.panel.status.text().startswith(f"There is no {dock.choice.noun}")
        assert not dock.panel.running


@pytest.mark.parametrize("task", TASKS)
def test_a_closed_dock_is_forgotten(qtbot: QtBot, make_napari_viewer: Callable[..., Any], task: str) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.ones((3, 16, 16)))
    dock = open_dock(viewer, task)
    parts = ("panel", "choice", "advanced", "layers", "distances", "illumination", "background", "live", "scores")
    remains = [weakref.ref(getattr(dock, part)) for part in parts if hasattr(dock, part)]
    remains.append(weakref.ref(dock))
    viewer.window.remove_dock_widget(dock)
    del dock

    def is_forgotten() -> None:
        # threads that were at work when the dock was closed may hold it a little longer
        gc.collect()
        assert [remain() for remain in remains] == [None] * len(remains)

    qtbot.waitUntil(is_forgotten, timeout=10_000)
    assert QThreadPool.globalInstance().waitForDone(3000)
    viewer.add_image(np.ones((3, 16, 16)))  # nobody is left to listen
    viewer.theme = "light"


def test_opening_a_dock_loads_no_torch() -> None:
    code = """
import sys
import numpy
from napari import Viewer
viewer = Viewer(show=False)
for title in sys.argv[1:]:
    viewer.layers.clear()
    viewer.window.add_plugin_dock_widget("napari-diner", title)
    viewer.add_image(numpy.ones((3, 16, 16)))
    print(title, "torch" in sys.modules)
viewer.close()
"""
    titles = [MENU[f"napari-diner.{task}"] for task in TASKS]
    finished = subprocess.run([sys.executable, "-c", code, *titles], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip().splitlines()[-len(titles) :] == [f"{title} False" for title in titles]


def test_a_second_dock_is_a_tab_and_a_closed_one_leaves_no_previews(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any]
) -> None:
    viewer = make_napari_viewer()
    viewer.window.show()
    viewer.add_image(np.ones((3, 16, 16)))
    lensless, focus = open_dock(viewer, "lensless"), open_dock(viewer, "focus")
    window, (around, other) = viewer.window._qt_window, (dock.parentWidget() for dock in (lensless, focus))
    qtbot.waitUntil(lambda: other in window.tabifiedDockWidgets(around))
    lensless.panel.previewed.emit((NamedArray("phase", np.zeros((16, 16)), "YX", (1.0, 1.0), "rad"),))
    assert "phase (preview)" in viewer.layers
    viewer.window.remove_dock_widget(lensless)
    assert "phase (preview)" not in viewer.layers


def test_checks_name_settings_as_the_dock_does(make_napari_viewer: Callable[..., Any]) -> None:
    panel = open_dock(make_napari_viewer(), "lensless").panel.checks
    panel.show_lines([Finding("plausibility", "doubtful", "uneven light; equalise_gains removes it")])
    assert "equalise_gains" not in panel.text() + panel.toolTip()
    assert "&quot;Equalise brightness&quot; removes it" in panel.text()
