"""Widgets that were taken out of the window are destroyed in the thread of the screen."""

from __future__ import annotations

from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

_taken_out: list[QWidget] = []


def dispose(widget: QWidget) -> None:
    """Destroy a widget soon, unless it gets a new place at once.

    napari takes the content out of a dock that is closed, and forgets it. Python would collect it in whatever thread
    happens to allocate next, that of a run for instance, and Qt crashes where a widget is destroyed outside its own.

    Parameters
    ----------
    widget
        A widget without a parent.
    """
    _taken_out.append(widget)
    QTimer.singleShot(0, _destroy)


def _destroy() -> None:
    while _taken_out:
        widget = _taken_out.pop()
        if isalive(widget) and widget.parent() is None:
            widget.deleteLater()
