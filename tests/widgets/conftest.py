"""Docks in a viewer, and small data for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.widgets.fit.dock import FitDock
from napari_diner.widgets.idt.dock import IdtDock
from napari_diner.widgets.layers.sample_data import sample_layer
from napari_diner.widgets.lensless.dock import LenslessDock

SMALL = IdtSimulation(height_px=48, width_px=56, slices=10, frames=8, noise_sigma=0.001, model="born")
"""A recording that is simulated and reconstructed in a moment."""


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
def dock(make_napari_viewer: Callable[..., Any]) -> LenslessDock:
    """The dock in a viewer, opened from the Plugins menu, with the sample opened from the File menu."""
    viewer = make_napari_viewer()
    viewer.open_sample("napari-diner", "lensless_stack")
    _, widget = viewer.window.add_plugin_dock_widget("napari-diner", "Lensless phase retrieval")
    assert isinstance(widget, LenslessDock)
    # few and short steps: these tests are about the dock
    widget.advanced.sections["gauss_newton"].form.set_values({"iterations": 2, "cg_steps": 3})
    return widget


@pytest.fixture
def fit_dock(make_napari_viewer: Callable[..., Any]) -> FitDock:
    """The dock in a viewer, opened from the Plugins menu, set to a run of a moment."""
    viewer = make_napari_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("napari-diner", "DINER fit")
    assert isinstance(widget, FitDock)
    # a small network on a coarse lattice: these tests are about the dock
    widget.editors["epochs"].set_value(60)
    widget.advanced.set_values({"diner": {"hidden_features": 24, "lattice_size": 16}, "learning_rate": 5e-3})
    return widget


@pytest.fixture
def idt_dock(make_napari_viewer: Callable[..., Any]) -> IdtDock:
    """The dock in a viewer, opened from the Plugins menu, with a small recording and set to a run of a moment."""
    return open_idt(make_napari_viewer())


def open_idt(viewer: Any) -> IdtDock:
    """Open a small recording and the dock in a viewer."""
    data, attributes, _ = sample_layer("idt", "cells", SMALL)
    viewer.add_image(data, **attributes)
    _, widget = viewer.window.add_plugin_dock_widget("napari-diner", "IDT refractive index")
    assert isinstance(widget, IdtDock)
    # the choice of weights takes longer than all else
    widget.advanced.set_values({"iterations": 6, "regularization": {"tikhonov": 10.0, "tv": 0.02}})
    return widget


@pytest.fixture
def wave() -> np.ndarray:
    """A smooth image of 16 bits that a small network can learn."""
    y, x = np.mgrid[0:1:24j, 0:1:32j]
    return (30_000 + 25_000 * np.sin(5 * x) * np.sin(7 * y)).astype(np.uint16)
