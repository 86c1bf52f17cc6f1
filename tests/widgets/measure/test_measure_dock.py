"""The dock that measures regions, driven as a user does: a result, painted labels, the table, the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog, QTableWidget

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Result
from napari_diner.widgets.layers.result_layers import ResultLayers
from tests.widgets.conftest import open_dock

BANDS = [{"low_per_um": 0.0, "high_per_um": 0.1, "phase_sigma_rad": 0.02}]


def result(task_result: float) -> Result:
    """Return a result with a square of a phase on an even background."""
    phase = np.zeros((40, 50), np.float32)
    phase[10:20, 10:30] = task_result
    scale = (0.5, 0.5)
    arrays = (
        NamedArray("uncertainty", np.full((40, 50), 0.02, np.float32), "YX", scale, "rad"),
        NamedArray("phase", phase, "YX", scale, "rad"),
    )
    recipe = LenslessRecipe(wavelength_um=0.5, pixel_size_um=0.5)
    return Result("lensless", arrays, recipe, {"uncertainty": {"bands": BANDS}, "checksum": str(task_result)})


def test_regions_of_the_chosen_result(
    make_napari_viewer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    viewer = make_napari_viewer()
    dock = open_dock(viewer, "measure")
    assert not dock.measure_button.isEnabled()
    for phase in (1.0, 2.0):  # two results, so that the uncertainty of the right one is taken
        ResultLayers(viewer).finish(result(phase))
    image = np.zeros((40, 50), np.uint8)
    image[10:20, 10:30] = 4
    labels = viewer.add_labels(image, scale=viewer.layers[0].scale, units=viewer.layers[0].units)
    assert dock.image.count() == 2
    dock.image.setCurrentIndex(1)
    # nothing is measured with the value that a rejected one leaves
    typed = dock.increment.lineEdit()
    typed.setText("0.19 g/mL")
    typed.setModified(True)
    dock.measure_button.click()
    assert dock.message.text().startswith("Refraction increment 0.19 g/mL is not a number") and not dock.measured
    dock.measure_button.click()
    mass = 0.5 / (2 * np.pi * 0.19) * 2.0 * 50
    assert labels.features["dry_mass_pg"].tolist() == pytest.approx([mass], rel=1e-4)
    assert labels.features["index"].tolist() == [4]
    table = dock.findChild(QTableWidget)
    assert table.item(0, 0).text() == "50" and "±" in table.item(0, 3).text()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "cells"), ""))
    dock.save_button.click()
    assert (tmp_path / "cells.csv").read_text("utf-8").startswith("label,y_um,x_um")
    # the dialog has asked whether another file may be replaced
    (tmp_path / "cells.csv").write_text("mine")
    dock.save_button.click()
    assert (tmp_path / "cells.csv").read_text() == "mine" and "File exists" in dock.message.text()
    # labels that were drawn elsewhere
    assert "Warning" not in dock.message.text()
    labels.translate = (0, 3)
    dock.measure_button.click()
    assert "lie in different places" in dock.message.text()
    # labels of another size are told, and nothing is lost
    labels.data = image[:, 1:]
    dock.measure_button.click()
    assert "40×49 pixels" in dock.message.text() and dock.measured
