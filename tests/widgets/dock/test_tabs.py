"""Docks that share the place of one."""

from __future__ import annotations

from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QMainWindow

from napari_diner.widgets.dock.tabs import join_tabs, window_sizes


def test_a_second_dock_does_not_enlarge_the_window(qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(400, 500)
    window.show()
    docks = []
    for name in ("first", "second"):
        sizes = window_sizes()
        dock, content = QDockWidget(name), QLabel(name)
        content.setMinimumHeight(400)
        dock.setWidget(content)
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        docks.append(dock)
    qtbot.waitUntil(lambda: window.height() > 800)
    join_tabs(docks[1].widget(), QLabel, sizes)
    qtbot.waitUntil(lambda: window.height() == 500)
    assert window.tabifiedDockWidgets(docks[0]) == [docks[1]]
