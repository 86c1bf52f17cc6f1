"""Comparing representations in the fit dock, and looking into a DINER."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Points
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QDialog, QDialogButtonBox

from napari_diner.widgets.fit.compare_dialog import CompareDialog
from napari_diner.widgets.fit.dock import FitDock
from tests.kit.docks import Wait, run


def compared(dock: FitDock) -> dict[str, dict[str, str]]:
    """Return the table of scores as it is shown."""
    table = dock.scores
    columns = [table.horizontalHeaderItem(column).text() for column in range(table.columnCount())]
    return {
        table.verticalHeaderItem(row).text(): {
            name: table.item(row, column).text() for column, name in enumerate(columns)
        }
        for row in range(table.rowCount())
    }


def edges(layer: Image) -> np.ndarray:
    """Return the outer edges of a layer along Y and X: the upper left corner, and the lower right."""
    half = layer.scale[-2:] / 2
    return layer.extent.world[:, -2:] + np.array([-half, half])


def test_the_dialog_offers_what_can_be_compared(qtbot: QtBot, fit_dock: FitDock) -> None:
    dialog = CompareDialog(fit_dock, fit_dock.task)
    assert set(dialog.boxes) == set(fit_dock.task.contenders)
    assert set(dialog.names()) == set(fit_dock.task.demo.contenders)
    assert all(box.toolTip() for box in dialog.boxes.values())
    dialog.seconds_editor.set_value(3)
    assert dialog.total.text() == "12 s"
    typed = dialog.seconds_editor.lineEdit()
    typed.setText("a minute")
    typed.setModified(True)
    dialog.accept()
    assert dialog.result() != QDialog.DialogCode.Accepted
    assert dialog.total.text() == "Time for each a minute is not a number; the value stays as it was"
    dialog.seconds_editor.set_value(2)
    assert dialog.total.text() == "8 s"
    for box in dialog.boxes.values():
        box.setChecked(False)
    assert not dialog.answers.button(QDialogButtonBox.StandardButton.Ok).isEnabled()


def test_representations_are_compared_side_by_side(fit_dock: FitDock, wait_for_end: Wait, wave: np.ndarray) -> None:
    viewer = fit_dock.viewer
    source = viewer.add_image(wave, name="image")
    names = ("diner-mlp", "siren")

    def accept() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, CompareDialog)
        for name, box in dialog.boxes.items():
            box.setChecked(name in names)
        dialog.seconds_editor.set_value(0.3)
        dialog.accept()

    QTimer.singleShot(300, accept)
    fit_dock.compare_button.click()
    assert fit_dock.panel.running
    wait_for_end(fit_dock.panel)
    scores = compared(fit_dock)
    assert tuple(scores) == names
    assert fit_dock.scores.isVisibleTo(fit_dock)
    for name in names:
        layer = viewer.layers[f"{name} {scores[name]['dB']} dB"]
        assert layer.data.shape == wave.shape
        assert layer.contrast_limits == source.contrast_limits
        assert layer.metadata["report"]["solver"] == name
    assert viewer.canvas.grid.enabled
    assert len(viewer.layers) == 3
    winner = max(names, key=lambda name: float(scores[name]["dB"]))
    assert fit_dock.panel.status.text().startswith(winner)
    assert set(fit_dock.panel.plot.contenders) == set(names)
    # the layers of the comparison are no images to start from
    assert fit_dock.choice.layer == source


def test_the_diner_of_a_comparison_is_looked_into(fit_dock: FitDock, wait_for_end: Wait, wave: np.ndarray) -> None:
    viewer = fit_dock.viewer
    viewer.add_image(wave, name="image")
    fit_dock.start_comparison(("siren",), 0.2)
    wait_for_end(fit_dock.panel)
    assert not fit_dock.insight_button.isEnabled()
    fit_dock.start_comparison(("siren", "diner-mlp"), 0.2)
    wait_for_end(fit_dock.panel)
    fit_dock.insight_button.click()
    wait_for_end(fit_dock.panel)
    assert "learned INR" in viewer.layers
    # a grid would tear apart what lies side by side
    assert not viewer.canvas.grid.enabled
    fit_dock.start_comparison(("siren",), 0.2)
    wait_for_end(fit_dock.panel)
    assert viewer.canvas.grid.enabled and "learned INR" not in viewer.layers


def test_a_comparison_that_is_cancelled_shows_what_it_has(
    qtbot: QtBot, fit_dock: FitDock, wait_for_end: Wait, wave: np.ndarray
) -> None:
    fit_dock.viewer.add_image(wave, name="image")
    few = fit_dock.editors["epochs"].value()
    fit_dock.editors["epochs"].set_value(1_000_000)  # the first one does not end by itself
    fit_dock.start_comparison(("diner-mlp", "siren"), 60)
    qtbot.waitUntil(lambda: len(fit_dock.panel.plot.seconds) > 3, timeout=30_000)
    fit_dock.panel.cancel_button.click()
    wait_for_end(fit_dock.panel)
    assert tuple(compared(fit_dock)) == ("diner-mlp",)
    assert not [layer for layer in fit_dock.viewer.layers if "preview" in layer.name]
    # the next run puts the table away
    fit_dock.editors["epochs"].set_value(few)
    fit_dock.panel.run_button.click()
    assert not fit_dock.scores.isVisibleTo(fit_dock)
    wait_for_end(fit_dock.panel)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_diner_is_looked_into(fit_dock: FitDock, wait_for_end: Wait, wave: np.ndarray, width: int) -> None:
    viewer = fit_dock.viewer
    source = viewer.add_image(wave, name="image", scale=(0.5, 0.5), units="um")
    assert not fit_dock.insight_button.isEnabled()
    fit_dock.advanced.set_values({"diner": {"table_width": width}})
    run(fit_dock, wait_for_end)
    curve = len(fit_dock.panel.plot.seconds)
    for _ in range(2 if width == 2 else 1):  # the second time replaces the first
        fit_dock.insight_button.click()
        wait_for_end(fit_dock.panel)
    assert "frequency bands" in fit_dock.panel.status.text(), fit_dock.panel.status.text()
    assert len(fit_dock.panel.plot.seconds) == curve
    assert [layer.name for layer in viewer.layers] == [
        "image",
        "reconstruction",
        "learned INR",
        "mapped coordinates",
        "spectrum",
        "spectrum of the learned INR",
    ]
    inr, points = viewer.layers["learned INR"], viewer.layers["mapped coordinates"]
    assert isinstance(inr, Image)
    assert isinstance(points, Points)
    assert points.ndim == inr.ndim == max(width, 2)
    # the points lie on their picture
    low, high = inr.extent.world
    assert (points.data_to_world(points.data.min(0)) >= low - 1e-6).all()
    assert (points.data_to_world(points.data.max(0)) <= high + 1e-6).all()
    # the image, the network's picture beside it, and below each its spectrum, all of one size
    (top, left), (bottom, right) = edges(source)
    for name, is_below, is_beside in (
        ("learned INR", False, True),
        ("spectrum", True, False),
        ("spectrum of the learned INR", True, True),
    ):
        (tile_top, tile_left), (tile_bottom, tile_right) = edges(viewer.layers[name])
        assert (tile_bottom - tile_top, tile_right - tile_left) == pytest.approx((bottom - top, right - left))
        assert (tile_top > bottom) == is_below
        assert (tile_left > right) == is_beside
        assert is_below or tile_top == pytest.approx(top)
        assert is_beside or tile_left == pytest.approx(left)
    assert viewer.dims.ndisplay == max(width, 2)
    assert fit_dock.choice.layer == source


def test_a_value_has_its_colour_where_its_key_lies(fit_dock: FitDock, wait_for_end: Wait, wave: np.ndarray) -> None:
    viewer = fit_dock.viewer
    viewer.add_image(wave, name="image")
    fit_dock.editors["epochs"].set_value(200)
    run(fit_dock, wait_for_end)
    fit_dock.insight_button.click()
    wait_for_end(fit_dock.panel)
    inr, points = viewer.layers["learned INR"], viewer.layers["mapped coordinates"]
    rows, columns = np.rint(points.data).astype(int).T
    assert np.corrcoef(inr.data[rows, columns], points.face_color[:, 0])[0, 1] > 0.95
