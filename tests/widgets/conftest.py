"""A small recording, and a dock that is filled in for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_diner.widgets.lensless import LenslessWidget


@pytest.fixture
def wait_for_end(qtbot: QtBot) -> Callable[[Any], None]:
    """Wait until a run panel stands still."""

    def wait(panel: Any) -> None:
        # an event loop of its own, as qtbot.waitUntil would keep the lock of the interpreter from the thread
        while panel.running:
            with qtbot.waitSignal(panel.ended, timeout=60_000):
                pass

    return wait


@pytest.fixture
def dock(make_napari_viewer: Callable[..., Any]) -> LenslessWidget:
    """The dock in a viewer, opened from the Plugins menu, with the sample opened from the File menu."""
    viewer = make_napari_viewer()
    viewer.open_sample("napari-diner", "lensless_stack")
    _, widget = viewer.window.add_plugin_dock_widget("napari-diner", "Lensless phase retrieval")
    assert isinstance(widget, LenslessWidget)
    # few and short steps: these tests are about the dock
    widget.advanced.sections["gauss_newton"].form.set_values({"iterations": 2, "cg_steps": 3})
    return widget
