"""The IDT dock, driven as a user does: sample, geometry, run, layers, space, surface, film, save."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Shapes, Surface
from PIL import Image as Picture
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QThreadPool
from qtpy.QtGui import QGuiApplication

from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.saving import load
from napari_diner.widgets.idt import volume_view
from napari_diner.widgets.idt.dock import IdtDock
from napari_diner.widgets.idt.volume_view import camera_of
from napari_diner.widgets.layers.result_reader import read_results
from tests.kit.docks import Wait, answer, run, wait_for_preview
from tests.widgets.conftest import SMALL, add_recording, open_dock, open_idt, shown_sections


def endless(dock: IdtDock) -> None:
    dock.editors["solver"].set_value("diner")
    dock.advanced.set_values({"max_seconds": 60.0, "gradient": {"iterations": 1_000_000, "patience": 1_000_000}})


def check_geometry(qtbot: QtBot, dock: IdtDock) -> None:
    dock.check_button.click()
    qtbot.waitUntil(lambda: not dock.geometry_check.busy, timeout=60_000)


@pytest.mark.parametrize("spread", [0.0, 3e-6, 0.01])
def test_the_level_of_a_surface_is_within_a_volume_even_if_that_is_almost_empty(spread: float) -> None:
    data = (1.33 + spread * np.random.default_rng(0).random((4, 20, 20))).astype(np.float32)
    assert data.min() <= volume_view.surface_level(data) <= data.max()


def test_the_sample_fills_the_dock_in(make_napari_viewer: Callable[..., Any]) -> None:
    viewer = make_napari_viewer()
    viewer.open_sample("napari-diner", "cell_recording")
    dock = open_dock(viewer, "idt")
    recipe = dock.recipe()
    assert (recipe.wavelength_um, recipe.pixel_size_um, recipe.na) == (0.515, 0.1625, 0.65)
    assert (recipe.ring.na, recipe.background, recipe.slice_count) == (0.637, "ratio", 24)
    recipe.check_complete(len(dock.choice.layer.data))
    assert dock.illumination.words.text() == "24 directions, NA 0.637, within the objective's NA of 0.65."


def test_a_run_gives_volumes_with_scale_that_can_be_saved_and_repeated(
    idt_dock: IdtDock, wait_for_end: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = idt_dock.viewer
    words = run(idt_dock, wait_for_end)
    assert words.startswith("Done: ") and "index from 1.33" in words, words
    for name in ("n_re", "n_im"):
        layer = viewer.layers[name]
        assert layer.data.shape == (10, 48, 56)
        np.testing.assert_allclose(layer.scale, (0.5, 0.1625, 0.1625))
        # centred on the plane in focus
        np.testing.assert_allclose(layer.translate, (-2.25, 0, 0))
    assert [str(unit) for unit in viewer.layers.extent.units] == ["micrometer"] * 3
    assert viewer.layers["residual"].data.shape == idt_dock.choice.layer.data.shape
    low, high = viewer.layers["n_re"].contrast_limits
    assert low == pytest.approx(1.33, abs=1e-6)
    assert 1.33 < high <= viewer.layers["n_re"].data.max()
    assert not [layer for layer in viewer.layers if "preview" in layer.name]
    assert idt_dock.choice.layer.name == "cells"

    answer(monkeypatch, "getExistingDirectory", str(tmp_path))
    idt_dock.save_button.click()
    saved = load(tmp_path / "cells-idt")
    np.testing.assert_array_equal(saved["n_re"].data, viewer.layers["n_re"].data)
    before = [(layer.name, layer.visible) for layer in viewer.layers if layer.name != "cells"]
    reopened = read_results(str(tmp_path / "cells-idt"))
    # the volume is on top again, and not covered by the residual
    assert (reopened[-1][1]["name"], reopened[-1][1]["visible"]) == ("n_re", True) == before[-1]
    assert {(layer[1]["name"], layer[1]["visible"]) for layer in reopened} == set(before)

    recipe = idt_dock.recipe()
    answer(monkeypatch, "getSaveFileName", (str(tmp_path / "recipe.yaml"), ""))
    idt_dock.save_recipe()
    idt_dock.set_recipe(IdtRecipe())
    answer(monkeypatch, "getOpenFileName", (str(tmp_path / "recipe.yaml"), ""))
    idt_dock.recipe_menu.load()
    assert idt_dock.recipe() == recipe


def test_the_volume_is_seen_in_space_at_once(idt_dock: IdtDock, wait_for_end: Wait) -> None:
    viewer = idt_dock.viewer
    run(idt_dock, wait_for_end)
    volume = viewer.layers["n_re"]
    assert viewer.dims.ndisplay == 3
    assert [layer.name for layer in viewer.layers if layer.visible] == ["n_re"]
    assert viewer.canvas.overlays.scale_bar.visible
    assert viewer.canvas.overlays.axes.visible
    # the medium is clear, the object is not
    assert volume.colormap.map(np.array([0.0]))[0, 3] == 0
    assert volume.colormap.map(np.array([1.0]))[0, 3] == 1
    # the corners of the volume are inside the canvas, and as far out as they can be
    camera = camera_of(viewer)
    forward, up = np.array(camera.view_direction), np.array(camera.up_direction)
    size = np.array([10, 48, 56]) * volume.scale
    corners = np.stack(np.meshgrid(*[(-s / 2, s / 2) for s in size], indexing="ij"), -1).reshape(-1, 3)
    corners += np.array([0, 23.5 * 0.1625, 27.5 * 0.1625]) - np.array(camera.center)
    reach = [np.abs(corners @ way).max() * camera.zoom * 2 for way in (up, np.cross(forward, up))]
    part = max(reach[0] / viewer.canvas.size[0], reach[1] / viewer.canvas.size[1])
    assert 0.85 < part < 1

    idt_dock.views.show_slices()
    assert viewer.dims.ndisplay == 2
    z = viewer.dims.point[0]
    profile = (volume.data - 1.33).sum((1, 2))
    assert profile[round((z + 2.25) / 0.5)] == profile.max()


def test_three_cuts_follow_the_run(qtbot: QtBot, idt_dock: IdtDock, wait_for_end: Wait) -> None:
    endless(idt_dock)
    idt_dock.panel.run_button.click()
    wait_for_preview(qtbot, idt_dock)
    viewer = idt_dock.viewer
    cuts = {name: viewer.layers[f"n_re {name} (preview)"] for name in ("xy", "xz", "yz")}
    assert [layer.data.shape for layer in cuts.values()] == [(48, 56), (10, 56), (48, 10)]
    np.testing.assert_allclose(cuts["xz"].scale, (0.5, 0.1625))
    np.testing.assert_allclose(cuts["yz"].scale, (0.1625, 0.5))
    # side by side, with a common range
    assert cuts["xz"].extent.world[0, 0] > cuts["xy"].extent.world[1, 0]
    assert cuts["yz"].extent.world[0, 1] > cuts["xy"].extent.world[1, 1]
    assert len({tuple(layer.contrast_limits) for layer in cuts.values()}) == 1
    assert not viewer.layers["cells"].visible
    qtbot.waitUntil(lambda: cuts["xy"].colorbar.visible, timeout=60_000)
    assert not cuts["xz"].colorbar.visible and not cuts["yz"].colorbar.visible

    idt_dock.panel.pause_button.click()
    qtbot.waitUntil(lambda: idt_dock.panel.status.text() == "Paused", timeout=60_000)
    idt_dock.panel.pause_button.click()
    idt_dock.panel.cancel_button.click()
    wait_for_end(idt_dock.panel)
    assert idt_dock.panel.status.text().startswith("Stopped early")
    assert viewer.layers["n_re (partial)"].metadata["report"]["partial"]
    assert not [layer for layer in viewer.layers if "preview" in layer.name]
    # at once, slice by slice
    assert viewer.dims.ndisplay == 2
    assert [layer.name for layer in viewer.layers if layer.visible] == ["n_re (partial)"]


def test_directions_are_drawn_as_they_are_typed(idt_dock: IdtDock) -> None:
    editor = idt_dock.illumination
    assert len(editor.plot.dots.points()) == 8
    editor.ring["na"].set_value(0.7)
    assert editor.plot.outside.all()
    assert "8 of 8 directions are outside the objective's NA of 0.65 (up to 0.7)" in editor.words.text()
    idt_dock.editors["na"].set_value(0.75)
    assert not editor.plot.outside.any()
    editor.ring["na"].set_value(0.2)
    assert "slow changes of the index are hardly visible" in editor.words.text()
    editor.set_values([[0.3, 0.0], [0.0, 0.8]], {})
    assert editor.plot.outside.tolist() == [False, True]
    assert editor.words.text() == "2 directions are listed, but the stack has 8 frames."
    editor.listed.setText("[0.3, 0], [0, nonsense]")
    editor.listed.changed.emit()
    assert "frame 2" in editor.words.text()


def test_dark_field_is_left_out_at_a_click(idt_dock: IdtDock) -> None:
    editor, count = idt_dock.illumination, idt_dock.choice.part.shape[0]
    assert not editor.leave_out_button.isVisibleTo(editor)
    directions = [(0.6, 0.0)] * count
    directions[1], directions[4] = (0.0, 0.66), (-0.5, 0.5)
    editor.set_values(tuple(directions), {})
    assert editor.words.is_warning and f"2 of {count} directions" in editor.words.text()
    assert editor.leave_out_button.isVisibleTo(editor)
    refused = editor.plot.dots.points()[1].brush().color()
    editor.leave_out_button.click()
    assert idt_dock.recipe().leave_out == (2, 5)
    colours = [point.brush().color() for point in editor.plot.dots.points()]
    assert refused not in colours and colours[1] == colours[4] != colours[0]
    assert not editor.leave_out_button.isVisibleTo(editor)
    assert not editor.words.is_warning
    # with a smaller aperture, the others are dark field as well
    idt_dock.editors["na"].set_value(0.5)
    editor.leave_out_button.click()
    assert "All frames are left out" in editor.words.text()


def test_dark_field_is_used_at_a_click(idt_dock: IdtDock) -> None:
    editor, count = idt_dock.illumination, idt_dock.choice.part.shape[0]
    assert not editor.use_button.isVisibleTo(editor)
    directions = [(0.6, 0.0)] * count
    directions[1] = (0.0, 0.9)
    editor.set_values(tuple(directions), {})
    assert editor.use_button.isVisibleTo(editor)
    refused = editor.plot.dots.points()[1].brush().color()
    assert refused != editor.plot.dots.points()[0].brush().color()
    editor.use_button.click()
    assert idt_dock.recipe().dark_field == "use"
    assert "dark field, which the multi-slice model uses" in editor.words.text()
    assert not editor.words.is_warning
    assert not editor.use_button.isVisibleTo(editor)
    assert editor.plot.dots.points()[1].brush().color() not in (refused, editor.plot.dots.points()[0].brush().color())
    idt_dock.editors["dark_field"].set_value("leave_out")
    idt_dock._update_illumination()
    assert editor.use_button.isVisibleTo(editor)
    assert not editor.leave_out_button.isVisibleTo(editor)


def test_directions_come_from_a_file(idt_dock: IdtDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    angles = 2 * np.pi * np.arange(8) / 8
    lines = [f"{0.6 * np.sin(a):.6f},{0.6 * np.cos(a):.6f}" for a in angles]
    path = tmp_path / "leds.csv"
    path.write_text("\n".join(["NA_y,NA_x", *lines]))
    idt_dock.illumination.kind.setCurrentIndex(0)
    answer(monkeypatch, "getOpenFileName", (str(path), ""))
    idt_dock.illumination.load_button.click()
    recipe = idt_dock.recipe()
    assert recipe.ring.na is None
    np.testing.assert_allclose(recipe.illuminations[2], (0.6, 0), atol=1e-6)
    assert idt_dock.illumination.words.text().startswith("8 directions, NA 0.6")
    path.write_text("a,b\n1,2")
    idt_dock.illumination.load_button.click()
    assert "NA_y and NA_x" in idt_dock.panel.status.text()
    assert idt_dock.recipe() == recipe


def test_the_circles_bound_what_is_bright(qtbot: QtBot, idt_dock: IdtDock) -> None:
    check_geometry(qtbot, idt_dock)
    viewer = idt_dock.viewer
    spectra, circles = viewer.layers["spectra"], viewer.layers["circles"]
    assert isinstance(spectra, Image)
    assert isinstance(circles, Shapes)
    assert spectra.data.shape == idt_dock.choice.layer.data.shape
    np.testing.assert_allclose(spectra.translate, circles.translate)
    y, x = np.mgrid[:48, :56]
    for frame in (0, 3):
        inside = np.zeros((48, 56), bool)
        for corners in circles.data:
            if corners[0, 0] == frame:
                (cy, cx), (ry, rx) = corners[:, 1:].mean(0), np.ptp(corners[:, 1:], axis=0) / 2
                inside |= ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        power = 10.0 ** spectra.data[frame]
        assert 0.1 < inside.mean() < 0.6
        assert power[inside].mean() > 20 * power[~inside].mean()

    assert idt_dock.choice.layer.name == "cells"


def test_the_right_way_round_is_picked_from_a_table(qtbot: QtBot, idt_dock: IdtDock) -> None:
    idt_dock.illumination.ring["first_angle_deg"].set_value(180.0)
    idt_dock.ranking_buttons["directions"].click()
    qtbot.waitUntil(lambda: not idt_dock.ranking.busy, timeout=60_000)
    table = idt_dock.dialog.table
    assert table.rowCount() > 5
    assert [table.item(row, 1).text() for row in (0, 1)] == ["+", "−"]
    header = table.verticalHeaderItem(0)
    assert header is not None and header.text().startswith("turned by 180°")
    idt_dock.dialog.answers.accepted.emit()
    assert idt_dock.recipe().ring.first_angle_deg == 0
    assert idt_dock.panel.status.text().startswith("Which way round? Turned by 180°")
    assert idt_dock.ranking_buttons["directions"].isEnabled()


def test_slices_are_recommended_with_a_picture_of_the_missing_cone(qtbot: QtBot, idt_dock: IdtDock) -> None:
    idt_dock.ranking_buttons["slices"].click()
    qtbot.waitUntil(lambda: not idt_dock.ranking.busy, timeout=60_000)
    assert idt_dock.dialog.picture.pixmap().width() > 300
    idt_dock.dialog.answers.accepted.emit()
    recipe, best = idt_dock.recipe(), idt_dock.dialog.table.item(0, 0)
    assert best is not None and recipe.slice_count == int(best.text()) and recipe.first_slice_um is not None


def test_a_check_that_fails_is_told_and_the_next_one_works(qtbot: QtBot, idt_dock: IdtDock) -> None:
    idt_dock.background.set_value("nowhere.tif")
    check_geometry(qtbot, idt_dock)
    assert "nowhere.tif" in idt_dock.panel.status.text()
    idt_dock.background.set_value("ratio")
    check_geometry(qtbot, idt_dock)
    assert "spectra" in idt_dock.viewer.layers


def test_what_the_optics_cannot_do_is_said(qtbot: QtBot, idt_dock: IdtDock, wait_for_end: Wait) -> None:
    idt_dock.editors["slice_spacing_um"].set_value(4.0)
    idt_dock.editors["slice_count"].set_value(2)
    check_geometry(qtbot, idt_dock)
    assert "axial Nyquist limit" in idt_dock.panel.status.text()
    assert "\nWarning: the slice spacing of 4 µm is above the axial Nyquist limit" in run(idt_dock, wait_for_end)
    assert idt_dock.panel.status.is_warning


def test_too_much_phase_for_the_linear_model_is_said(
    make_napari_viewer: Callable[..., Any], idt_dock: IdtDock, wait_for_end: Wait
) -> None:
    strong = SMALL.model_copy(update={"peak_phase_rad": 1.5, "model": "multislice"})
    add_recording(idt_dock.viewer, strong, name="strong")
    idt_dock.choice.combo.setCurrentText("strong")
    idt_dock.editors["model"].set_value("born")
    status = run(idt_dock, wait_for_end)
    assert "rad" in status
    assert "0.5 rad" in status, status


def test_calibrated_directions_are_drawn_beside_the_given(qtbot: QtBot, idt_dock: IdtDock, wait_for_end: Wait) -> None:
    idt_dock.advanced.set_values({"calibration": {"illuminations": "circles"}})
    assert run(idt_dock, wait_for_end).startswith("Done")
    check_geometry(qtbot, idt_dock)
    assert len(idt_dock.viewer.layers["circles (calibrated)"].data) == len(idt_dock.viewer.layers["circles"].data) == 16


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"wavelength_um": None}, 'The wavelength is missing; give "Wavelength"'),
    ({"pixel_size_um": None}, 'give "Pixel size"'),
    ({"na": None}, "aperture of the objective is missing"),
    ({"ring": {"na": None}}, "The illuminations are missing"),
    ({"ring": {"na": 0.7}}, "outside the objective's NA of 0.65"),
    ({"ring": {"na": None}, "illuminations": [[0.1, 0.2]]}, "1 illuminations but the stack has 8 frames"),
    ({"background": "nowhere.tif"}, "nowhere.tif"),
]


def test_what_is_wrong_is_one_sentence(idt_dock: IdtDock, wait_for_end: Wait) -> None:
    recipe = idt_dock.recipe()
    # in one dock, as opening it takes longer than all else
    for change, sentence in WRONG:
        idt_dock.set_recipe(recipe.updated(change))
        status = run(idt_dock, wait_for_end)
        assert sentence in status
        assert "Traceback" not in status
        assert len(idt_dock.viewer.layers) == 1
    idt_dock.set_recipe(recipe)
    assert run(idt_dock, wait_for_end).startswith("Done")


def test_a_layer_is_the_background(idt_dock: IdtDock, wait_for_end: Wait) -> None:
    viewer = idt_dock.viewer
    run(idt_dock, wait_for_end)
    known = viewer.layers["n_re"].data
    empty = np.fromfunction(lambda y, x: 900 + 3 * x + y, (48, 56)).astype(np.float32)
    raw = viewer.add_image(idt_dock.choice.layer.data * empty, name="raw")
    field = viewer.add_image(empty, name="empty field")
    recipe = idt_dock.recipe()
    idt_dock.choice.combo.setCurrentText("raw")
    assert idt_dock.choice.layer == raw
    idt_dock.set_recipe(recipe)
    index = idt_dock.background.findText("Layer: empty field")
    idt_dock.background.setCurrentIndex(index)
    assert idt_dock.background.layer == field
    assert idt_dock.background.findText("Layer: raw") < 0
    assert idt_dock.recipe().background == "empty field"
    assert run(idt_dock, wait_for_end).startswith("Done")
    np.testing.assert_allclose(viewer.layers["n_re (voxels)"].data, known, atol=1e-5)
    viewer.layers.remove(field)
    assert idt_dock.recipe().background == "mean"


def test_a_surface_lies_where_the_index_is(idt_dock: IdtDock, wait_for_end: Wait) -> None:
    viewer = idt_dock.viewer
    run(idt_dock, wait_for_end)
    volume = viewer.layers["n_re"]
    assert 1.33 < idt_dock.views.level.value() < volume.data.max()
    idt_dock.views.buttons["surface"].click()
    layer = viewer.layers.selection.active
    assert isinstance(layer, Surface)
    assert viewer.dims.ndisplay == 3
    low, high = layer.data[0].min(0), layer.data[0].max(0)
    dense = np.argwhere(volume.data > idt_dock.views.level.value())
    np.testing.assert_allclose(low, dense.min(0), atol=1)
    np.testing.assert_allclose(high, dense.max(0), atol=1)
    idt_dock.views.level.set_value(1.6)
    idt_dock.views.buttons["surface"].click()
    assert "No surface has the index 1.6000" in idt_dock.panel.status.text()
    viewer.layers.remove(volume)
    assert not idt_dock.views.buttons["3D"].isEnabled()


def test_a_film_turns_once_around(
    make_napari_viewer: Callable[..., Any], wait_for_end: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if QGuiApplication.platformName() == "offscreen":
        pytest.skip("on this platform of Qt, only the first picture of a canvas shows anything")
    monkeypatch.setattr(volume_view, "MOVIE_FRAMES", 4)
    # only what is on the screen is drawn
    idt_dock = open_idt(make_napari_viewer(show=True))
    run(idt_dock, wait_for_end)
    before = camera_of(idt_dock.viewer).angles
    answer(monkeypatch, "getSaveFileName", (str(tmp_path / "film.gif"), ""))
    idt_dock.views.buttons["movie"].click()
    with Picture.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 4
        pictures = []
        for number in range(4):
            film.seek(number)
            pictures.append(np.asarray(film.convert("L"), dtype=float))
    assert all(np.abs(picture - pictures[0]).max() > 50 for picture in pictures[1:])
    np.testing.assert_allclose(camera_of(idt_dock.viewer).angles, before)
    answer(monkeypatch, "getSaveFileName", (str(tmp_path / "nowhere" / "film.gif"), ""))
    idt_dock.views.buttons["movie"].click()
    assert "cannot be written" in idt_dock.panel.status.text()


def test_matlab_files_are_opened(idt_dock: IdtDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "recording.mat"
    frames = np.arange(3 * 12 * 10, dtype=np.float64).reshape(3, 12, 10)
    with h5py.File(path, "w") as file:
        # MATLAB's order of axes is the reverse
        file["I"] = frames.transpose(0, 2, 1)
        file["I"].attrs["MATLAB_class"] = np.bytes_("double")
    answer(monkeypatch, "getOpenFileNames", ([str(path)], ""))
    idt_dock.choice.choose_files()
    np.testing.assert_array_equal(idt_dock.choice.layer.data, frames)
    assert idt_dock.recipe().stack == str(path)


def test_what_a_layer_told_is_not_taken_for_the_next(idt_dock: IdtDock) -> None:
    idt_dock.editors["na"].set_value(0.9)  # typed by the user, so it stays
    idt_dock.viewer.add_image(np.ones((5, 16, 16)), name="other")
    idt_dock.choice.combo.setCurrentText("other")
    recipe = idt_dock.recipe()
    assert (recipe.na, recipe.wavelength_um, recipe.pixel_size_um) == (0.9, None, None)


def test_only_the_settings_that_matter_are_shown(idt_dock: IdtDock) -> None:
    always = {"calibration", "padding", "pupil", "regularization", "tiles", "uncertainty"}
    assert shown_sections(idt_dock) == always | {"multislice"}
    idt_dock.editors["model"].set_value("born")
    assert shown_sections(idt_dock) == always
    idt_dock.editors["solver"].set_value("diner")
    assert shown_sections(idt_dock) == always | {"diner", "gradient"}


def test_the_dock_follows_the_theme(idt_dock: IdtDock) -> None:
    idt_dock.viewer.theme = "light"
    assert idt_dock.illumination.plot.backgroundBrush().color().lightness() > 200


def test_closing_the_dock_in_mid_run_ends_the_thread(qtbot: QtBot, idt_dock: IdtDock) -> None:
    endless(idt_dock)
    idt_dock.panel.run_button.click()
    wait_for_preview(qtbot, idt_dock)
    viewer = idt_dock.viewer
    pool = QThreadPool.globalInstance()
    assert pool.activeThreadCount() > 0
    viewer.window.remove_dock_widget(idt_dock)
    qtbot.waitUntil(lambda: pool.activeThreadCount() == 0, timeout=10_000)


def test_aberrations_are_given_and_calibrated(make_napari_viewer: Callable[..., Any], wait_for_end: Wait) -> None:
    viewer = make_napari_viewer()
    settings = SMALL.model_copy(update={"zernike_rad": (0.0, 0.4, -0.3)})
    add_recording(viewer, settings)
    dock = open_dock(viewer, "idt")
    dock.editors["solver"].set_value("tikhonov")
    dock.advanced.set_values({"pupil": {"zernike_rad": [0, 0.3]}, "calibration": {"pupil": True}})
    assert dock.recipe().pupil.zernike_rad == (0.0, 0.3) and dock.recipe().calibration.pupil
    words = run(dock, wait_for_end)
    assert "Aberrations: Z5 +0.4" in words or "Aberrations: Z5 +0.39" in words, words
