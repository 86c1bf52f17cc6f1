"""Docks as tabs, since two docks on top of each other do not fit many screens."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from qtpy.compat import isalive
from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget


def window_sizes() -> Mapping[QWidget, QSize]:
    """Return the sizes of the main windows, without keeping them alive."""
    sizes: WeakKeyDictionary[QWidget, QSize] = WeakKeyDictionary()
    for window in QApplication.topLevelWidgets():
        if isinstance(window, QMainWindow):
            sizes[window] = window.size()
    return sizes


def join_tabs(content: QWidget, kind: type[QWidget], sizes: Mapping[QWidget, QSize]) -> None:
    """Make the dock of a widget a tab of the first other dock in the same area with content of a given kind.

    Parameters
    ----------
    content
        A widget inside a dock; nothing is done if it is not in a dock.
    kind
        Type of the content of other docks.
    sizes
        Those of the windows before the dock was added; that of the main window is restored: napari places the dock
        below the other, and the window grows if both do not fit.
    """
    if not isalive(content):
        return
    dock, window = _around(content, QDockWidget), _around(content, QMainWindow)
    if not isinstance(dock, QDockWidget) or not isinstance(window, QMainWindow):
        return
    area = window.dockWidgetArea(dock)
    for other in window.findChildren(QDockWidget):
        beside = other is not dock and other.isVisible() and not other.isFloating()
        if beside and window.dockWidgetArea(other) == area and other.findChildren(kind):
            window.tabifyDockWidget(other, dock)
            dock.show()
            dock.raise_()
            # once the layout needs the height of only one of them
            QTimer.singleShot(0, functools.partial(_shrink, window, sizes.get(window, window.size())))
            return


def _shrink(window: QMainWindow, size: QSize) -> None:
    if isalive(window) and window.height() > size.height():
        window.resize(size)


def _around(widget: QWidget, kind: type[QWidget]) -> QWidget | None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, kind):
        parent = parent.parentWidget()
    return parent
