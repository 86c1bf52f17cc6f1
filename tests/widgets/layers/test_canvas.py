"""The graphics context of the canvas when layers are removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication, QOpenGLContext
from qtpy.QtOpenGLWidgets import QOpenGLWidget

from tests.widgets.conftest import open_dock


def test_layers_are_removed_from_the_canvas_that_shows_them(make_napari_viewer: Callable[..., Any]) -> None:
    if QGuiApplication.platformName() == "offscreen":
        pytest.skip("this platform of Qt may have no OpenGL")
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.zeros((8, 8)))
    dock = open_dock(viewer, "fit")
    (canvas,) = (each for each in dock.window().findChildren(QOpenGLWidget) if each.isVisible())
    canvas.doneCurrent()
    found: list[object] = []
    viewer.layers.events.removing.connect(lambda: found.append(QOpenGLContext.currentContext()))
    viewer.layers.pop()
    assert found == [canvas.context()]
