"""The lensless dock, driven as a user does: sample, run, layers, save, reload, run again."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt, QThreadPool
from qtpy.QtGui import QGuiApplication

from napari_diner.io.arrays import NamedArray
from napari_diner.io.ometiff import write_array
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.registry import task
from napari_diner.tasks.saving import load
from napari_diner.widgets.lensless.dock import LenslessDock
from tests.kit.docks import Wait, answer, run, wait_for_preview
from tests.kit.runs import finished
from tests.widgets.conftest import open_dock, shown_sections


def endless(dock: LenslessDock) -> None:
    dock.set_recipe(dock.recipe().updated({"solver": "alternating", "start": "flat", "max_seconds": 60}))
    dock.advanced.set_values({"alternating": {"iterations": 100_000, "tolerance": 0}})


def test_the_sample_fills_the_dock_in(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    viewer.open_sample("napari-diner", "lensless_stack")
    dock = open_dock(viewer, "lensless")
    recipe = dock.recipe()
    layer = dock.choice.layer
    assert layer.ndim == 3
    assert recipe.wavelength_um == pytest.approx(0.532)
    assert recipe.pixel_size_um == pytest.approx(layer.scale[-1])
    assert len(recipe.distances_um) == len(layer.data) == 6
    assert recipe.intensity_scale == layer.metadata["napari-diner"]["intensity_scale"]


def test_a_run_gives_layers_that_can_be_saved_and_repeated(
    dock: LenslessDock, wait_for_end: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = dock.viewer
    run(dock, wait_for_end)
    assert dock.panel.status.text().startswith("Done"), dock.panel.status.text()
    first = {name: viewer.layers[name] for name in ("amplitude", "phase", "residual")}
    for layer in first.values():
        assert layer.data.dtype == np.float32
        assert tuple(layer.scale[-2:]) == tuple(dock.choice.layer.scale[-2:])
        assert [str(unit) for unit in layer.units[-2:]] == ["micrometer", "micrometer"]
        assert layer.metadata["report"]["measurement_psnr_db"] > 20
    assert viewer.layers.extent.units is not None
    assert dock.choice.layer.name == "lensless stack"  # the residual is no stack to start from

    answer(monkeypatch, "getExistingDirectory", str(tmp_path))
    dock.save_button.click()
    dock.save_button.click()
    saved = load(tmp_path / "lensless-stack-lensless")
    np.testing.assert_array_equal(saved["phase"].data, first["phase"].data)
    assert (tmp_path / "lensless-stack-lensless-2").is_dir()

    recipe = dock.recipe()
    answer(monkeypatch, "getSaveFileName", (str(tmp_path / "recipe.yaml"), ""))
    dock.save_recipe()
    dock.set_recipe(type(recipe)())
    answer(monkeypatch, "getOpenFileName", (str(tmp_path / "recipe.yaml"), ""))
    dock.recipe_menu.load()
    assert dock.recipe() == recipe

    run(dock, wait_for_end)
    for name, layer in first.items():
        np.testing.assert_array_equal(viewer.layers[f"{name} (gauss-newton)"].data, layer.data)


def test_cancelling_keeps_the_best_so_far(qtbot: QtBot, dock: LenslessDock, wait_for_end: Wait) -> None:
    endless(dock)
    dock.panel.run_button.click()
    wait_for_preview(qtbot, dock)
    assert "phase (preview)" in dock.viewer.layers
    dock.panel.pause_button.click()
    qtbot.waitUntil(lambda: dock.panel.status.text() == "Paused", timeout=5000)
    dock.panel.pause_button.click()
    dock.panel.cancel_button.click()
    wait_for_end(dock.panel)
    assert dock.panel.status.text().startswith("Stopped early")
    phase = dock.viewer.layers["phase (partial)"]
    assert phase.metadata["report"]["partial"]
    assert phase.data.shape == dock.choice.layer.data.shape[1:]
    assert not [layer for layer in dock.viewer.layers if "preview" in layer.name]


def test_what_was_wrong_is_no_longer_said_once_it_is_right(dock: LenslessDock, wait_for_end: Wait) -> None:
    dock.set_recipe(dock.recipe().updated({"wavelength_um": None}))
    run(dock, wait_for_end)
    assert "wavelength is missing" in dock.panel.status.text()
    dock.editors["wavelength_um"].set_value(0.5)
    dock.editors["wavelength_um"].changed.emit()
    assert dock.panel.status.text() == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"wavelength_um": None}, 'The wavelength is missing; give "Wavelength"'),
        ({"pixel_size_um": None}, 'give "Pixel size"'),
        ({"distances_um": []}, 'give "Distances (µm)"'),
        ({"distances_um": [100, 200]}, "2 entries but the stack has 6 frames"),
        ({"mask": "nowhere.tif"}, "nowhere.tif"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    dock: LenslessDock, wait_for_end: Wait, change: dict[str, Any], sentence: str
) -> None:
    dock.set_recipe(dock.recipe().updated(change))
    run(dock, wait_for_end)
    assert sentence in dock.panel.status.text()
    assert "Traceback" not in dock.panel.status.text()
    assert len(dock.viewer.layers) == 1


def test_frames_that_cannot_be_used_are_told_and_the_next_run_works(dock: LenslessDock, wait_for_end: Wait) -> None:
    recipe = dock.recipe()
    bad = dock.viewer.add_image(np.full((6, 32, 32), np.nan, np.float32), name="bad")
    dock.choice.combo.setCurrentText("bad")
    assert dock.choice.layer == bad
    dock.set_recipe(recipe)
    run(dock, wait_for_end)
    assert dock.panel.status.is_warning
    dock.choice.combo.setCurrentText("lensless stack")
    run(dock, wait_for_end)
    assert dock.panel.status.text().startswith("Done")


def test_a_stack_that_is_too_large_is_refused_and_the_next_run_works(dock: LenslessDock, wait_for_end: Wait) -> None:
    recipe = dock.recipe()
    # takes no memory by itself; nothing of it may be allocated
    huge = np.broadcast_to(np.ones((1, 1, 1), np.uint8), (6, 200_000, 200_000))
    dock.viewer.add_image(huge, name="huge", contrast_limits=(0, 1), visible=False)
    dock.choice.combo.setCurrentText("huge")
    dock.set_recipe(recipe)
    run(dock, wait_for_end)
    assert "200000×200000" in dock.panel.status.text()
    dock.viewer.layers.remove("huge")
    dock.set_recipe(recipe)
    run(dock, wait_for_end)
    assert dock.panel.status.text().startswith("Done")


def test_the_list_follows_the_viewer(dock: LenslessDock) -> None:
    viewer = dock.viewer
    viewer.add_image(np.zeros((8, 8)), name="flat")
    viewer.add_image(np.zeros((8, 8, 3), np.uint8), rgb=True, name="colour")
    other = viewer.add_image(np.ones((4, 8, 8)), name="other")
    names = [dock.choice.combo.itemText(index) for index in range(dock.choice.combo.count())]
    assert names == ["lensless stack", "other"]
    other.name = "renamed"
    assert dock.choice.combo.itemText(1) == "renamed"
    assert dock.choice.layer.name == "lensless stack"
    dock.editors["wavelength_um"].set_value(0.6)  # typed by the user, so it stays
    viewer.layers.remove("lensless stack")
    assert dock.choice.layer == other
    # what the sample told about itself must not be taken for this layer's
    recipe = dock.recipe()
    assert (recipe.wavelength_um, recipe.pixel_size_um, recipe.distances_um) == (0.6, None, ())
    assert recipe.intensity_scale == 1
    viewer.layers.clear()
    assert dock.choice.layer is None


def test_no_result_takes_the_place_of_a_stack_deleted_in_mid_run(
    dock: LenslessDock, qtbot: QtBot, wait_for_end: Wait
) -> None:
    chosen: list[object] = []
    dock.choice.chosen.connect(chosen.append)
    dock.panel.run_button.click()
    wait_for_preview(qtbot, dock)
    before = dock.recipe()
    dock.viewer.layers.remove("lensless stack")
    wait_for_end(dock.panel)
    assert "residual" in dock.viewer.layers and chosen == [None]
    after = dock.recipe()
    assert (after.wavelength_um, after.pixel_size_um, after.distances_um) == (
        before.wavelength_um, before.pixel_size_um, before.distances_um
    )  # fmt: skip


def test_the_settings_of_the_last_run_survive_a_restart(
    dock: LenslessDock, make_napari_viewer: Callable[..., Any], wait_for_end: Wait
) -> None:
    dock.recipe_menu.load_last()
    assert dock.panel.status.text() == "There was no run yet"
    dock.distances.set_value((301, 381, 461, 541, 621, 701))
    dock.set_recipe(dock.recipe().updated({"wavelength_um": 0.65, "medium_index": 1.33}))
    dock.panel.run_button.click()
    dock.panel.cancel()
    wait_for_end(dock.panel)
    used = dock.recipe()
    later = LenslessDock(make_napari_viewer())
    later.recipe_menu.load_last()
    assert later.recipe() == used.updated({"stack": None})
    # the defaults, and what the layer of the sample specifies
    dock.recipe_menu.reset()
    assert dock.recipe().medium_index == LenslessRecipe().medium_index
    assert dock.recipe().wavelength_um == pytest.approx(0.532) and dock.recipe().distances_um[0] == 300


def test_a_rejected_number_is_named_until_it_is_corrected(dock: LenslessDock, qtbot: QtBot) -> None:
    line = dock.editors["wavelength_um"].lineEdit()
    for typed, said in (("5000000", "Wavelength 5000000 is not between"), ("530 nm", "")):
        line.selectAll()
        qtbot.keyClicks(line, typed)
        qtbot.keyClick(line, Qt.Key.Key_Return)
        assert dock.panel.status.text().startswith(said) and dock.panel.status.is_warning == bool(said)
    assert dock.panel.status.text() == "" and dock.recipe().wavelength_um == pytest.approx(0.53)


def test_files_are_opened(dock: LenslessDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = np.arange(2 * 16 * 16, dtype=np.uint16).reshape(2, 16, 16)
    path = tmp_path / "stack.tif"
    write_array(path, NamedArray("stack", stack, "NYX", (1.0, 0.5, 0.5)))
    answer(monkeypatch, "getOpenFileNames", ([str(path)], ""))
    dock.choice.choose_files()
    np.testing.assert_array_equal(dock.choice.layer.data, stack)
    assert dock.recipe().stack == str(path)
    assert dock.recipe().pixel_size_um == 0.5

    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (1, 2, 10):
        tifffile.imwrite(folder / f"z{number}.tif", np.full((16, 16), number, np.uint8))
    answer(monkeypatch, "getExistingDirectory", str(folder))
    dock.choice.choose_folder()
    assert dock.choice.layer.data[:, 0, 0].tolist() == [1, 2, 10]
    answer(monkeypatch, "getOpenFileNames", ([str(folder / "z10.tif"), str(folder / "z2.tif")], ""))
    dock.choice.choose_files()
    assert dock.choice.layer.data[:, 0, 0].tolist() == [2, 10]
    assert dock.recipe().stack is None

    (tmp_path / "text.tif").write_text("no image")
    answer(monkeypatch, "getOpenFileNames", ([str(tmp_path / "text.tif")], ""))
    dock.choice.choose_files()
    assert "text.tif is not a file of a format" in dock.panel.status.text()


def test_the_pixel_size_is_read_from_the_file_behind_a_layer(dock: LenslessDock, tmp_path: Path) -> None:
    path = tmp_path / "stack.ome.tif"
    write_array(path, NamedArray("stack", np.ones((2, 16, 16), np.uint8), "NYX", (1.0, 0.25, 0.25)))
    (layer,) = dock.viewer.open(path, plugin="napari")
    dock.choice.combo.setCurrentText(layer.name)
    assert tuple(layer.scale) == (1, 1, 1)
    assert dock.recipe().pixel_size_um == 0.25


def test_the_command_is_on_the_clipboard(dock: LenslessDock) -> None:
    dock.copy_command()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[:3] == ["napari-diner", "lensless", "STACK.tif"]
    assert "gauss_newton.iterations=2" in words
    assert "on the clipboard" in dock.panel.status.text()


def test_a_recipe_that_cannot_be_read_is_told(
    dock: LenslessDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dock.recipe()
    (tmp_path / "recipe.yaml").write_text("wavelenght_um: 1")
    answer(monkeypatch, "getOpenFileName", (str(tmp_path / "recipe.yaml"), ""))
    dock.recipe_menu.load()
    assert "did you mean 'wavelength_um'" in dock.panel.status.text()
    assert dock.recipe() == before


def test_only_the_settings_that_matter_are_shown(dock: LenslessDock) -> None:
    always = {"preprocess", "padding", "tiles", "phase_output", "calibration", "uncertainty", "unknown_illumination"}
    known = {"prior", "noise"}
    assert shown_sections(dock) == always | known | {"gauss_newton"}
    dock.editors["solver"].set_value("diner")
    assert shown_sections(dock) == always | known | {"gauss_newton", "gradient", "diner"}
    dock.editors["start"].set_value("flat")
    assert shown_sections(dock) == always | known | {"gradient", "diner"}
    dock.editors["solver"].set_value("alternating")
    assert shown_sections(dock) == always | {"alternating"}


def test_closing_the_viewer_in_mid_run_ends_the_thread(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], dock: LenslessDock
) -> None:
    endless(dock)
    dock.panel.run_button.click()
    wait_for_preview(qtbot, dock)
    pool = QThreadPool.globalInstance()
    assert pool.activeThreadCount() > 0
    dock.viewer.close()
    qtbot.waitUntil(lambda: pool.activeThreadCount() == 0, timeout=3000)


@pytest.mark.usefixtures("same_threads")
def test_the_files_of_a_recipe_count_as_on_the_command_line(
    dock: LenslessDock, wait_for_end: Wait, tmp_path: Path
) -> None:
    support = np.zeros(dock.choice.layer.data.shape[1:], np.uint8)
    support[20:-20, 20:-20] = 1
    tifffile.imwrite(tmp_path / "support.tif", support)
    tifffile.imwrite(tmp_path / "stack.tif", dock.choice.layer.data)
    phases = {}
    for files in ({}, {"prior": {"support": str(tmp_path / "support.tif")}}):
        recipe = dock.recipe().updated(files)
        dock.set_recipe(recipe)
        assert run(dock, wait_for_end).startswith("Done"), dock.panel.status.text()
        assert dock.result is not None
        from_files = finished(task("lensless").start(recipe.updated({"stack": str(tmp_path / "stack.tif")})))
        for name in ("amplitude", "phase", "residual"):
            np.testing.assert_array_equal(dock.result[name].data, from_files[name].data)
        assert dock.result.report["loss"] == from_files.report["loss"]
        phases[len(files)] = dock.result["phase"].data
    assert np.abs(phases[0] - phases[1]).max() > 1e-3


def test_a_calibration_says_what_moved(dock: LenslessDock, wait_for_end: Wait) -> None:
    folded = (
        dock.advanced.sections["preprocess"],
        dock.advanced.groups["Geometry"],
        dock.advanced.sections["calibration"],
    )
    assert not any(section.isExpanded() for section in folded)
    dock.advanced.sections["calibration"].form.set_values({"z": True, "rounds": 2, "cg_steps": 5})
    dock.advanced.set_values({"gauss_newton": {"iterations": 2, "cg_steps": 5}})
    run(dock, wait_for_end)
    assert "\nCalibrated: distances" in dock.panel.status.text()
    assert dock.calibrated.isVisibleTo(dock) and dock.calibrated.rowCount() == 6
    found = dock.viewer.layers["phase"].metadata["report"]["calibration"]
    first = dock.calibrated.item(0, 0)
    assert first is not None and float(first.text()) == pytest.approx(found["distances_um"][0], abs=0.01)
    assert len(dock.viewer.layers["phase"].metadata["report"]["calibration"]["distances_um"]) == 6


def test_distances_in_the_names_of_files_fill_the_table(dock: LenslessDock, tmp_path: Path) -> None:
    names = ["h_0.95mm.tif", "h_1.0mm.tif", "h_1.05mm.tif"]
    for name in names:
        tifffile.imwrite(tmp_path / name, np.ones((16, 12), np.uint16))
    dock.choice.open_source(str(tmp_path))
    assert dock.distances.value() == (950, 1000, 1050)
    assert "names of the files" in dock.panel.status.text()
    headers = [dock.distances.table.verticalHeaderItem(row) for row in range(3)]
    assert [header.text() for header in headers] == [f"{row}  {name}" for row, name in enumerate(names, 1)]
    dock.choice._open(lambda: dock.choice.load_many([tmp_path / name for name in names[:2]]))
    assert dock.distances.value() == (950, 1000)
    assert dock.frames(dock.choice.layer).files == tuple(str(tmp_path / name) for name in names[:2])
