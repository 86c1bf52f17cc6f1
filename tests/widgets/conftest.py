"""Docks in a viewer, small data for them, and common actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pytestqt.qtbot import QtBot

from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.widgets.dock.run_panel import RunPanel
from napari_diner.widgets.dock.task_dock import TaskDock
from napari_diner.widgets.fit.dock import FitDock
from napari_diner.widgets.idt.dock import IdtDock
from napari_diner.widgets.layers.sample_data import sample_layer
from napari_diner.widgets.lensless.dock import LenslessDock
from tests.kit.docks import Wait

SMALL = IdtSimulation(height_px=48, width_px=56, slices=10, frames=8, noise_sigma=0.001, model="born")
"""A recording that is simulated and reconstructed in a moment."""
SMALL_STACK = LenslessSimulation(height_px=96, width_px=112)
"""A lensless recording that is reconstructed in a moment."""
MANIFEST = yaml.safe_load(resources.files("napari_diner").joinpath("napari.yaml").read_text(encoding="utf-8"))
MENU = {item["command"]: item["display_name"] for item in MANIFEST["contributions"]["widgets"]}


def open_dock(viewer: Any, task: str) -> Any:
    """Open the dock of a task as the Plugins menu does."""
    return viewer.window.add_plugin_dock_widget("napari-diner", MENU[f"napari-diner.{task}"])[1]


def shown_sections(dock: TaskDock[Any]) -> set[str]:
    """Return the sections of the recipe that are not hidden."""
    return {name for name, section in dock.advanced.sections.items() if not section.isHidden()}


def add_recording(viewer: Any, settings: IdtSimulation, **attributes: Any) -> Any:
    """Add a simulated IDT recording to a viewer."""
    ((data, known, _),) = sample_layer("idt", "cells", settings)
    return viewer.add_image(data, **(known | attributes))


def open_idt(viewer: Any) -> IdtDock:
    """Open a small recording and the dock in a viewer."""
    add_recording(viewer, SMALL)
    dock = open_dock(viewer, "idt")
    assert isinstance(dock, IdtDock)
    # the choice of weights takes longer than all else
    dock.advanced.set_values({"iterations": 6, "regularization": {"tikhonov": 10.0, "tv": 0.02}})
    return dock


@pytest.fixture
def same_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread for all, as sums in another order round differently.

    Docks leave a processor to the window, and compiled loops for labels give the main thread as many as there are.
    """
    give, before = torch.set_num_threads, torch.get_num_threads()
    give(1)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    yield
    give(before)


@pytest.fixture(autouse=True)
def settings_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the settings of docks in a folder of the test."""
    folder = tmp_path / "settings"
    monkeypatch.setattr("napari_diner.widgets.dock.remembered.user_config_path", lambda *_, **__: folder)
    return folder


@pytest.fixture
def wait_for_end(qtbot: QtBot) -> Wait:
    """Wait until a run panel stands still."""

    def wait(panel: RunPanel) -> None:
        # an event loop of its own, as qtbot.waitUntil would keep the lock of the interpreter from the thread
        while panel.running:
            with qtbot.waitSignal(panel.ended, timeout=60_000):
                pass

    return wait


@pytest.fixture
def dock(make_napari_viewer: Callable[..., Any]) -> LenslessDock:
    """The lensless dock, opened from the Plugins menu, with a small stack and set to a run of a moment."""
    viewer = make_napari_viewer()
    ((data, known, _),) = sample_layer("lensless", "lensless stack", SMALL_STACK)
    viewer.add_image(data, **known)
    dock = open_dock(viewer, "lensless")
    assert isinstance(dock, LenslessDock)
    # few and short steps: these tests are about the dock
    dock.advanced.set_values({"gauss_newton": {"iterations": 2, "cg_steps": 3}})
    return dock


@pytest.fixture
def fit_dock(make_napari_viewer: Callable[..., Any]) -> FitDock:
    """The fit dock, opened from the Plugins menu, set to a run of a moment."""
    dock = open_dock(make_napari_viewer(), "fit")
    assert isinstance(dock, FitDock)
    # a small network on a coarse lattice: these tests are about the dock
    dock.editors["epochs"].set_value(60)
    small = {"hidden_features": 24}
    dock.advanced.set_values({"network": small, "diner": {**small, "lattice_size": 16}, "learning_rate": 5e-3})
    return dock


@pytest.fixture
def idt_dock(make_napari_viewer: Callable[..., Any]) -> IdtDock:
    """The IDT dock, opened from the Plugins menu, with a small recording and set to a run of a moment."""
    return open_idt(make_napari_viewer())


@pytest.fixture
def wave() -> np.ndarray:
    """A smooth image of 16 bits that a small network can learn."""
    y, x = np.mgrid[0:1:24j, 0:1:32j]
    return (30_000 + 25_000 * np.sin(5 * x) * np.sin(7 * y)).astype(np.uint16)
