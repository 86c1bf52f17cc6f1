"""Docks as tabs, since two docks on top of each other do not fit many screens."""

from __future__ import annotations

from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget


def join_tabs(content: QWidget, kind: type[QWidget]) -> None:
    """Make the dock of a widget a tab of the first other dock in the same area with content of a given kind.

    Parameters
    ----------
    content
        A widget inside a dock; nothing is done if it is not in a dock.
    kind
        Type of the content of other docks.
    """
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
            return


def _around(widget: QWidget, kind: type[QWidget]) -> QWidget | None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, kind):
        parent = parent.parentWidget()
    return parent
