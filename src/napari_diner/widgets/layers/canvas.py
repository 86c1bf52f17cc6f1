"""The graphics context of napari's canvas."""

from __future__ import annotations

from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget


def make_canvas_current(part: QWidget) -> None:
    """Let the next commands for the graphics card reach the canvas of the window that a widget is in.

    napari deletes what it holds of a removed layer there at once, even if another canvas or none is the current one.
    With Mesa, which draws where there is no graphics card, the process then ends with the next layer that is added.
    """
    top = part
    # a floating dock is a window whose parent is the main window
    while (parent := top.parentWidget()) is not None:
        top = parent
    for canvas in top.findChildren(QOpenGLWidget):
        if canvas.isVisible():
            canvas.makeCurrent()
