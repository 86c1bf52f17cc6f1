"""Take the screenshots of the documentation by driving napari through the tutorials.

Needs a screen, real or virtual: ``xvfb-run -a -s "-screen 0 1366x768x24" python docs/make_screenshots.py``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QEventLoop, QTimer

from napari_diner.widgets.dock.run_panel import RunPanel
from napari_diner.widgets.dock.task_dock import TaskDock
from napari_diner.widgets.fit.dock import FitDock
from napari_diner.widgets.idt.dock import IdtDock
from napari_diner.widgets.lensless.dock import LenslessDock

IMAGES = Path(__file__).parent / "images"


def wait(milliseconds: int) -> None:
    """Process events for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


class Photographer:
    """Takes screenshots of a viewer and saves them as small files."""

    def __init__(self, viewer: napari.Viewer, folder: Path) -> None:
        self.viewer, self.folder = viewer, folder
        folder.mkdir(parents=True, exist_ok=True)

    def window(self, name: str) -> None:
        """Save a screenshot of the whole window."""
        wait(400)
        self._save(name, self.viewer.window.screenshot(canvas_only=False, flash=False))

    def _save(self, name: str, pixels: object) -> None:
        picture = Image.fromarray(pixels).convert("RGB")  # type: ignore[arg-type]
        # the colours of small marks, such as the dots of the checks, get a tenth of the palette
        values = np.asarray(picture).reshape(-1, 3)
        marks = values[np.ptp(values.astype(int), axis=1) > 80]
        weighed = np.concatenate([values, np.resize(marks, (len(values) // 10, 3))]) if len(marks) else values
        palette = Image.fromarray(weighed[None]).quantize(256)
        reduced = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        reduced.save(self.folder / f"{name}.png", optimize=True)


def finish(panel: RunPanel) -> None:
    """Wait for the end of a run."""
    while panel.running:
        wait(50)


def checked(dock: TaskDock[Any]) -> None:
    """Wait for the checks before a run."""
    while not any(line.aspect == "memory" for line in dock.panel.checks.lines):
        wait(50)


def lensless(viewer: napari.Viewer, camera: Photographer) -> None:
    """Go through the lensless tutorial."""
    viewer.open_sample("napari-diner", "lensless_stack")
    camera.window("lensless-sample")
    _, dock = viewer.window.add_plugin_dock_widget("napari-diner", "Lensless phase retrieval")
    assert isinstance(dock, LenslessDock)
    checked(dock)
    camera.window("lensless-filled-in")

    dock.panel.run_button.click()
    while len(viewer.layers) < 3 and dock.panel.running:
        wait(50)
    wait(700)
    camera.window("lensless-running")
    finish(dock.panel)
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    camera.window("lensless-result")

    viewer.canvas.grid.enabled = True
    viewer.reset_view()
    camera.window("lensless-dock")

    viewer.canvas.grid.enabled = False
    viewer.reset_view()
    dock.advanced_section.toggleButton().click()
    camera.window("lensless-advanced")


def calibration(viewer: napari.Viewer, camera: Photographer) -> None:
    """Calibrate distances that are wrong by up to one per cent."""
    viewer.open_sample("napari-diner", "lensless_stack")
    _, dock = viewer.window.add_plugin_dock_widget("napari-diner", "Lensless phase retrieval")
    assert isinstance(dock, LenslessDock)
    dock.distances.set_value((303.0, 378.0, 462.0, 545.0, 615.0, 703.0))
    dock.advanced.set_values({"calibration": {"z": True, "shift": True, "rounds": 4}})
    dock.advanced.set_values({"gauss_newton": {"iterations": 3}})
    dock.panel.run_button.click()
    finish(dock.panel)
    camera.window("lensless-calibrated")


def fit(viewer: napari.Viewer, camera: Photographer) -> None:
    """Go through the tutorial on fits."""
    viewer.open_sample("napari-diner", "colour_image")
    _, dock = viewer.window.add_plugin_dock_widget("napari-diner", "DINER fit")
    assert isinstance(dock, FitDock)
    dock.panel.run_button.click()
    while len(viewer.layers) < 2 and dock.panel.running:
        wait(50)
    wait(1500)
    camera.window("fit-running")
    finish(dock.panel)
    camera.window("fit-result")

    dock.insight_button.click()
    finish(dock.panel)
    camera.window("fit-insight")

    for layer in list(viewer.layers)[1:]:
        viewer.layers.remove(layer)
    dock.start_comparison(("diner-siren", "pe-mlp", "siren", "hash-grid"), 20.0)
    finish(dock.panel)
    camera.window("fit-compared")


def idt(viewer: napari.Viewer, camera: Photographer) -> None:
    """Go through the refractive index tutorial."""
    viewer.open_sample("napari-diner", "cell_recording")
    _, dock = viewer.window.add_plugin_dock_widget("napari-diner", "IDT refractive index")
    assert isinstance(dock, IdtDock)
    viewer.dims.set_current_step(0, 0)
    checked(dock)
    camera.window("idt-filled-in")

    dock.check_button.click()
    while dock.geometry_check.busy:
        wait(50)
    viewer.dims.set_current_step(0, 3)
    camera.window("idt-geometry")

    dock.panel.run_button.click()
    while not any("preview" in layer.name for layer in viewer.layers) and dock.panel.running:
        wait(50)
    while not dock.panel.stage.text().startswith("voxels") and dock.panel.running:
        wait(50)
    wait(500)
    camera.window("idt-running")
    finish(dock.panel)
    camera.window("idt-space")

    dock.views.buttons["slices"].click()
    camera.window("idt-slices")
    dock.views.buttons["surface"].click()
    camera.window("idt-surface")


TUTORIALS = {"lensless": lensless, "calibration": calibration, "fit": fit, "idt": idt}


def main() -> None:
    """Go through the tutorials and take their screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tutorials", nargs="*", choices=(*TUTORIALS, []), help="default: all")
    parser.add_argument("-o", "--output", type=Path, default=IMAGES, help="folder for the screenshots")
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    parser.add_argument("--isolated", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for name in arguments.tutorials or TUTORIALS:
        if not arguments.isolated:
            take_in_own_folders(name, arguments)
            continue
        viewer = napari.Viewer()
        viewer.theme = arguments.theme
        viewer.window._qt_window.setGeometry(0, 0, 1366, 768)
        TUTORIALS[name](viewer, Photographer(viewer, arguments.output))
        viewer.close()


def take_in_own_folders(name: str, arguments: argparse.Namespace) -> None:
    """Go through a tutorial in a new process, whose settings and cache are in a temporary folder.

    Docks then open with their defaults, continue no earlier run, and leave the settings of the user alone. napari looks
    for its icons in the cache as soon as it is imported.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, __file__, name, "--isolated", "-o", arguments.output, "--theme", arguments.theme],
            env=os.environ | {"XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder},
            check=True,
        )


if __name__ == "__main__":
    main()
