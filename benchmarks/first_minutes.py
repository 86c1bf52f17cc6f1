"""Clicks and seconds from starting napari to the first picture and to the result of one's own file, as a new user.

The mouse and the keyboard are those of the test library of Qt: every click and every key goes to the widget below it.
A stack of the chosen task is written to a folder first; only that file is used, and what a user knows of the recording.

    xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/first_minutes.py [lensless idt fit]

Needs a screen, real or virtual. The file is passed to napari when it starts, as by dropping it on its icon; the dock is
opened from the menu Plugins. Typing into a field is one click and some keys.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

TITLES = {"lensless": "Lensless phase retrieval", "idt": "IDT refractive index", "fit": "DINER fit"}
SAMPLES = {"lensless": "lensless", "idt": "idt", "fit": "image"}


class User:
    """A user with a mouse and a keyboard, whose clicks and keys are counted."""

    def __init__(self) -> None:
        self.clicks = self.keys = 0

    def click(self, widget: object, where: object = None) -> None:
        """Click on a widget that can be seen."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        wait(lambda: widget.isVisible())
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=where or widget.rect().center())
        self.clicks += 1
        wait(lambda: True)

    def type(self, editor: object, text: str) -> None:
        """Click into a field, and type in place of what it shows."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        line = editor.lineEdit() if hasattr(editor, "lineEdit") else editor
        self.click(line)
        QTest.keyClick(line, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(line, text)
        QTest.keyClick(line, Qt.Key.Key_Tab)
        self.keys += len(text) + 2
        wait(lambda: True)

    def open_dock(self, window: object, title: str) -> None:
        """Choose a dock in the menu Plugins."""
        menu = next(action for action in window.menuBar().actions() if action.text().strip("&") == "Plugins")
        bar = window.menuBar()
        self.click(bar, bar.actionGeometry(menu).center())
        for text in ("napari-diner", title):
            menu = next(
                action for action in menu.menu().actions() if action.text().replace("&", "").split(" (")[0] == text
            )
            parent = next(each for each in menu.associatedObjects() if hasattr(each, "actionGeometry"))
            self.click(parent, parent.actionGeometry(menu).center())


def wait(condition: Callable[[], bool], at_least_ms: int = 50) -> None:
    """Process events until a condition holds."""
    from qtpy.QtTest import QTest

    QTest.qWait(at_least_ms)
    while not condition():
        QTest.qWait(20)


def write(task: str, folder: Path) -> tuple[Path, dict[str, object]]:
    """Write a recording without any description, and return its file and what its user knows."""
    from napari_diner.tasks.registry import samples

    _, sample = samples()[SAMPLES[task]]
    data = sample.make(sample.settings())
    path = folder / f"{task}.tif"
    array = data.data.data
    tifffile.imwrite(path, array.astype(np.float32) if array.dtype.kind == "f" else array)
    return path, data.recipe.model_dump(exclude_unset=True)


def measure(task: str, folder: Path) -> None:
    """Go from the start of napari to the first result."""
    path, facts = write(task, folder)
    began = time.perf_counter()
    import napari
    from qtpy.QtWidgets import QPushButton

    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.setGeometry(0, 0, 1366, 768)
    viewer.open(path, plugin="napari")
    wait(lambda: True, 500)
    started = time.perf_counter() - began
    user = User()
    user.open_dock(window, TITLES[task])
    wait(lambda: any(TITLES[task] in name for name in viewer.window.dock_widgets))
    dock = next(widget for name, widget in viewer.window.dock_widgets.items() if TITLES[task] in name)
    if task != "fit":
        for name in ("wavelength_um", "pixel_size_um", *(("na", "medium_index") if task == "idt" else ())):
            user.type(dock.editors[name], f"{facts[name]:g}")
    if task == "lensless":
        distances = facts["distances_um"]
        user.type(dock.distances.first, f"{distances[0]:g}")
        user.type(dock.distances.step, f"{distances[1] - distances[0]:g}")
        user.click(next(each for each in dock.distances.findChildren(QPushButton) if each.text() == "Fill"))
    if task == "idt":
        user.type(dock.illumination.ring["na"], f"{facts['ring']['na']:g}")
    checked = time.perf_counter()
    wait(lambda: any(line.aspect == "memory" for line in dock.panel.checks.lines), 800)
    lines = {line.aspect: line.level for line in dock.panel.checks.lines}
    print(f"{task}: checks after {time.perf_counter() - checked:.1f} s: {lines}", flush=True)
    before = len(viewer.layers)
    user.click(dock.panel.run_button)
    wait(lambda: len(viewer.layers) > before or not dock.panel.running)
    pictured = time.perf_counter() - began
    pictures = [layer.name for layer in viewer.layers[before:]]
    wait(lambda: dock.result is not None or not dock.panel.running)
    seconds = time.perf_counter() - began
    print(
        f"{task:10} {user.clicks:3} clicks {user.keys:4} keys, {started:.1f} s until napari shows the file, "
        f"{pictured:.1f} s until the first of {pictures or 'no layers'}, {seconds:.1f} s until the end: "
        f"{dock.panel.status.text().splitlines()[0]}",
        flush=True,
    )


def main() -> None:
    """Measure the tasks, each in a process and with settings of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=list(TITLES), help="default: all")
    parser.add_argument("--here", action="store_true", help="measure one task in this process")
    arguments = parser.parse_args()
    for task in arguments.tasks:
        with tempfile.TemporaryDirectory() as folder:
            if arguments.here:
                measure(task, Path(folder))
                sys.stdout.flush()
                # napari waits for nothing more
                os._exit(0)
            environment = {**os.environ, "XDG_CONFIG_HOME": folder, "NAPARI_CONFIG": f"{folder}/napari.yaml"}
            subprocess.run([sys.executable, __file__, task, "--here"], check=True, env=environment)


if __name__ == "__main__":
    main()
