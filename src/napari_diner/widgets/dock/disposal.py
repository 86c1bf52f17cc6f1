"""Disposal of the content of a closed dock."""

from __future__ import annotations

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

_removed: list[QWidget] = []


class RemovalFilter(QObject):
    """Reports that a widget was removed from its dock; napari sends no closeEvent to the content of a dock.

    The widget is then destroyed, unless it gets a new parent at once. napari forgets it; Python would collect it in
    whichever thread allocates next, such as that of a run, and Qt crashes if a widget is destroyed outside its own
    thread.

    Parameters
    ----------
    content
        The widget that napari puts into the dock.
    """

    removed = Signal()

    def __init__(self, content: QWidget) -> None:
        super().__init__(content)
        content.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 (Qt's name)
        """Notice that the content has lost its parent."""
        lost = event is not None and event.type() == QEvent.Type.ParentChange
        if lost and isinstance(watched, QWidget) and watched.parent() is None:
            self.removed.emit()
            _removed.append(watched)
            QTimer.singleShot(0, _destroy)
        return False


def _destroy() -> None:
    while _removed:
        widget = _removed.pop()
        if isalive(widget) and widget.parent() is None:
            widget.deleteLater()
