"""Docks as tabs: two of them, one above the other, would need more height than many screens have."""

from __future__ import annotations

from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget


def join_tabs(content: QWidget, kind: type[QWidget]) -> None:
    """Put the dock around a widget behind the first other dock with a widget of a kind, in the same area, as a tab.

    Parameters
    ----------
    content
        A widget inside a dock; nothing is done if it is in none.
    kind
        What the other docks contain.
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
