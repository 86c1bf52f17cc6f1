"""The fit dock, driven as a user does: layer, axes, run, layers, save, reopen, run again."""

from __future__ import annotations

import gc
import shlex
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QThreadPool
from qtpy.QtGui import QGuiApplication

from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.saving import load
from napari_diner.widgets.fit.dock import FitDock
from tests.kit.docks import Wait, answer, run, wait_for_preview
from tests.widgets.conftest import open_dock, shown_sections

RANDOM = np.random.default_rng(0)


def smooth(*shape: int, dtype: str = "uint16") -> np.ndarray:
    """Return data with structure, which a small network can learn."""
    grids = np.meshgrid(*[np.linspace(0, 3, size) for size in shape], indexing="ij")
    waves = 0.5 + 0.5 * np.mean([np.sin(grid * (place + 1)) for place, grid in enumerate(grids)], axis=0)
    return (waves * (1 if dtype.startswith("float") else np.iinfo(dtype).max)).astype(dtype)


def endless(dock: FitDock) -> None:
    dock.editors["epochs"].set_value(1_000_000)
    dock.advanced.set_values({"max_seconds": 60.0})


@pytest.mark.parametrize(
    ("data", "arguments", "axes"),
    [
        (smooth(24, 32, dtype="uint8"), {}, "YX"),
        (smooth(24, 32, 3, dtype="uint8"), {"rgb": True}, "YXS"),
        (smooth(6, 24, 32), {"scale": (2, 0.5, 0.5), "units": "um", "axis_labels": ("z", "y", "x")}, "ZYX"),
        (smooth(5, 24, 32, 3, dtype="uint8"), {"rgb": True, "axis_labels": ("t", "y", "x")}, "TYXS"),
        (smooth(3, 24, 32, dtype="float32"), {"axis_labels": ("c", "y", "x")}, "CYX"),
        (smooth(2, 2, 4, 24, 32), {"axis_labels": ("t", "c", "z", "y", "x")}, "TCZYX"),
    ],
)
def test_an_image_of_any_kind_comes_back_as_it_was(
    fit_dock: FitDock, wait_for_end: Wait, data: np.ndarray, arguments: dict[str, Any], axes: str
) -> None:
    viewer = fit_dock.viewer
    source = viewer.add_image(data, name="source", translate=[3] * (data.ndim - axes.endswith("S")), **arguments)
    assert fit_dock.recipe().axes == axes
    run(fit_dock, wait_for_end)
    assert fit_dock.panel.status.text().startswith("Done"), fit_dock.panel.status.text()
    layer = viewer.layers["reconstruction"]
    assert (layer.data.shape, layer.data.dtype, layer.rgb) == (data.shape, data.dtype, source.rgb)
    np.testing.assert_array_equal(layer.extent.world, source.extent.world)
    assert (layer.units, layer.axis_labels) == (source.units, source.axis_labels)
    if not source.rgb:
        assert layer.contrast_limits == source.contrast_limits
    error = layer.data.astype(np.float64) - data
    assert np.mean(error**2) < 0.2 * data.astype(np.float64).var()
    # the result is nothing to fit next
    assert fit_dock.choice.layer == source


def test_time_is_up_if_the_limit_ended_the_run_and_not_only_a_stage(fit_dock: FitDock, wait_for_end: Wait) -> None:
    fit_dock.viewer.add_image(smooth(24, 32, dtype="uint8"), name="source")
    run(fit_dock, wait_for_end)
    result = fit_dock.result
    assert result is not None
    for seconds, words in ((5.0, "Done: "), (19.5, "Time is up: ")):
        figures = {**result.report, "stopped_by_time_limit": True, "seconds": seconds}
        fit_dock.show_outcome(replace(result, recipe=result.recipe.updated({"max_seconds": 20}), report=figures))
        assert fit_dock.panel.status.text().startswith(words)


@pytest.mark.parametrize(("key", "axes"), [("colour_image", "YXS"), ("volume_16_bit", "ZYX"), ("short_video", "TYXS")])
def test_the_samples_say_what_they_are(fit_dock: FitDock, wait_for_end: Wait, key: str, axes: str) -> None:
    (layer,) = fit_dock.viewer.open_sample("napari-diner", key)
    assert fit_dock.choice.layer == layer
    assert fit_dock.recipe().axes == axes
    assert not fit_dock.axes_note.isVisibleTo(fit_dock)
    assert layer.data.dtype == (np.uint16 if axes == "ZYX" else np.uint8)
    # something to see and something to find for a representation
    assert len(np.unique(layer.data)) > 100


def test_a_run_tells_its_quality_and_its_size(fit_dock: FitDock, wait_for_end: Wait, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    # three colours for two numbers a key: not to be had exactly
    data = RANDOM.integers(0, 256, (24, 32, 3)).astype(np.uint8)
    tifffile.imwrite(path, data)
    fit_dock.choice.open_source(str(path))
    run(fit_dock, wait_for_end)
    report = fit_dock.viewer.layers["reconstruction"].metadata["report"]
    status = fit_dock.panel.status.text()
    assert f"{report['psnr_db']:.1f} dB" in status
    assert f"{report['bits_per_pixel']:.1f} bits per pixel" in status
    assert f"({8 * path.stat().st_size / (24 * 32):.1f} in its file)" in status
    fit_dock.copy_command()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[:3] == ["napari-diner", "fit", str(path)]
    assert "--image" not in words
    assert fit_dock.panel.plot.quantity.currentData() == "psnr_db"


def test_exact_reproduction(fit_dock: FitDock, wait_for_end: Wait) -> None:
    data = RANDOM.integers(0, 256, (24, 32, 3)).astype(np.uint8)
    fit_dock.viewer.add_image(data, rgb=True, name="noise")
    fit_dock.editors["bit_exact"].set_value(True)
    run(fit_dock, wait_for_end)
    np.testing.assert_array_equal(fit_dock.viewer.layers["reconstruction"].data, data)
    assert "every value reproduced exactly" in fit_dock.panel.status.text()


def test_a_volume_is_saved_and_repeated(
    fit_dock: FitDock, wait_for_end: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = fit_dock.viewer
    viewer.add_image(smooth(6, 24, 32), name="a volume", scale=(2, 0.5, 0.5), units="um", axis_labels=("z", "y", "x"))
    run(fit_dock, wait_for_end)
    first = viewer.layers["reconstruction"]

    answer(monkeypatch, "getExistingDirectory", str(tmp_path))
    fit_dock.save_button.click()
    saved = load(tmp_path / "a-volume-fit")["reconstruction"]
    np.testing.assert_array_equal(saved.data, first.data)
    assert (saved.axes, saved.scale_um) == ("ZYX", (2, 0.5, 0.5))
    # the format is that of the dock as it is now, not as it was at the start of the run
    fit_dock.editors["save_as"].set_value("ome-zarr")
    fit_dock.save_button.click()
    assert (tmp_path / "a-volume-fit-2" / "reconstruction.ome.zarr").is_dir()
    np.testing.assert_array_equal(load(tmp_path / "a-volume-fit-2")["reconstruction"].data, first.data)

    recipe = fit_dock.recipe()
    answer(monkeypatch, "getSaveFileName", (str(tmp_path / "recipe.yaml"), ""))
    fit_dock.save_recipe()
    fit_dock.set_recipe(type(recipe)(axes="TYX", representation="siren"))
    answer(monkeypatch, "getOpenFileName", (str(tmp_path / "recipe.yaml"), ""))
    fit_dock.recipe_menu.load()
    assert fit_dock.recipe() == recipe

    run(fit_dock, wait_for_end)
    np.testing.assert_array_equal(viewer.layers["reconstruction (diner-siren)"].data, first.data)


def test_a_slice_of_a_saved_model_is_evaluated_on_demand(
    fit_dock: FitDock, wait_for_end: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = fit_dock.viewer
    viewer.add_image(smooth(6, 24, 32), name="volume", scale=(2, 0.5, 0.5), units="um", axis_labels=("z", "y", "x"))
    run(fit_dock, wait_for_end)
    answer(monkeypatch, "getExistingDirectory", str(tmp_path))
    fit_dock.save_button.click()
    (layer,) = viewer.open(tmp_path / "volume-fit" / "model.safetensors", plugin="napari-diner")
    assert not isinstance(layer.data, np.ndarray)
    assert layer.data.shape == (6, 24, 32)
    np.testing.assert_array_equal(layer.scale, (2, 0.5, 0.5))
    np.testing.assert_array_equal(np.asarray(layer.data[3]), viewer.layers["reconstruction"].data[3])


def test_a_run_is_watched_paused_and_cancelled(qtbot: QtBot, fit_dock: FitDock, wait_for_end: Wait) -> None:
    source = fit_dock.viewer.add_image(smooth(6, 24, 32), axis_labels=("z", "y", "x"), name="source")
    endless(fit_dock)
    fit_dock.panel.run_button.click()
    wait_for_preview(qtbot, fit_dock)
    preview = fit_dock.viewer.layers["reconstruction (preview)"]
    assert preview.contrast_limits == source.contrast_limits
    assert fit_dock.choice.layer == source
    fit_dock.panel.pause_button.click()
    qtbot.waitUntil(lambda: fit_dock.panel.status.text() == "Paused", timeout=5000)
    assert not fit_dock.compare_button.isEnabled()
    fit_dock.panel.pause_button.click()
    fit_dock.panel.cancel_button.click()
    wait_for_end(fit_dock.panel)
    assert fit_dock.panel.status.text().startswith("Stopped early")
    layer = fit_dock.viewer.layers["reconstruction (partial)"]
    assert layer.metadata["report"]["partial"]
    assert layer.data.shape == source.data.shape
    assert not [layer for layer in fit_dock.viewer.layers if "preview" in layer.name]
    assert fit_dock.compare_button.isEnabled()


def test_axes_that_do_not_match_are_red_before_a_run(fit_dock: FitDock, qtbot: QtBot) -> None:
    fit_dock.viewer.add_image(smooth(24, 32), name="it")
    fit_dock.editors["axes"].set_value("ZYX")
    fit_dock.panel.checks.refresh()
    (line,) = fit_dock.panel.checks.lines
    assert (line.level, "axes ZYX do not match it" in line.sentence) == ("bad", True)
    fit_dock.panel.checks.suspend()  # nothing more is checked
    # checks of the layer as it was added may have begun, and their thread must not outlive the viewer
    qtbot.waitUntil(lambda: not fit_dock.checking.busy)


@pytest.mark.parametrize(
    ("data", "change", "sentence"),
    [
        (smooth(24, 32), {"axes": "ZYX"}, "The axes ZYX do not match it, which is 24×32; type 2 letters"),
        (smooth(24, 32) > 9, {}, "type bool"),
        (np.full((24, 32), np.nan, np.float32), {}, "not finite"),
        (smooth(24, 32, dtype="float32"), {"bit_exact": True}, "bit for bit"),
        (smooth(24, 32), {"bit_exact": True, "stored_bits": 8}, "Stored bits"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_the_next_run_works(
    fit_dock: FitDock, wait_for_end: Wait, data: np.ndarray, change: dict[str, Any], sentence: str
) -> None:
    viewer = fit_dock.viewer
    viewer.add_image(data, name="it", contrast_limits=(0, 1))
    recipe = fit_dock.recipe()
    for name, value in change.items():
        if name in fit_dock.editors:
            fit_dock.editors[name].set_value(value)
        else:
            fit_dock.advanced.set_values({name: value})
    run(fit_dock, wait_for_end)
    assert sentence in fit_dock.panel.status.text()
    assert "Traceback" not in fit_dock.panel.status.text()
    assert len(viewer.layers) == 1
    fit_dock.set_recipe(recipe)
    viewer.add_image(smooth(24, 32), name="good")
    fit_dock.choice.combo.setCurrentText("good")
    run(fit_dock, wait_for_end)
    assert fit_dock.panel.status.text().startswith("Done")


def test_axes_that_cannot_be_are_told(fit_dock: FitDock) -> None:
    fit_dock.viewer.add_image(smooth(24, 32))
    fit_dock.editors["axes"].set_value("QX")
    fit_dock.panel.run_button.click()
    assert "there is no axis Q" in fit_dock.panel.status.text()
    fit_dock.editors["axes"].set_value("")
    fit_dock.panel.run_button.click()
    assert "The axes are missing; type 2 letters" in fit_dock.panel.status.text()


def test_a_signal_that_is_too_large_is_refused(fit_dock: FitDock, wait_for_end: Wait) -> None:
    # takes no memory by itself; nothing of it may be allocated
    huge = np.broadcast_to(np.ones((1, 1, 1), np.uint8), (600, 200_000, 200_000))
    fit_dock.viewer.add_image(huge, name="huge", contrast_limits=(0, 1), visible=False)
    run(fit_dock, wait_for_end)
    assert "600×200000×200000" in fit_dock.panel.status.text()
    assert "memory" in fit_dock.panel.status.text()


def test_a_guess_is_said_and_can_be_changed(fit_dock: FitDock, wait_for_end: Wait) -> None:
    fit_dock.viewer.add_image(smooth(5, 24, 32), name="stack")
    assert fit_dock.recipe().axes == "TYX"
    assert "guess" in fit_dock.axes_note.text()
    assert fit_dock.axes_note.isVisibleTo(fit_dock)
    fit_dock.editors["axes"].set_value("zyx")
    run(fit_dock, wait_for_end)
    assert fit_dock.viewer.layers["reconstruction"].metadata["recipe"]["axes"] == "ZYX"
    fit_dock.viewer.add_image(smooth(24, 32), name="image")
    fit_dock.choice.combo.setCurrentText("image")
    assert fit_dock.recipe().axes == "YX"
    assert not fit_dock.axes_note.isVisibleTo(fit_dock)


def test_files_are_opened(fit_dock: FitDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2, 10):
        tifffile.imwrite(tmp_path / f"t{number}.tif", np.full((16, 24), number, np.uint8))
    names = [str(tmp_path / f"t{number}.tif") for number in (10, 1, 2)]
    answer(monkeypatch, "getOpenFileNames", (names, ""))
    fit_dock.choice.choose_files()
    assert fit_dock.choice.layer.data[:, 0, 0].tolist() == [1, 2, 10]
    assert fit_dock.recipe().axes == "TYX"
    assert fit_dock.recipe().image is None

    volume = smooth(6, 24, 32)
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(tmp_path / "volume.ome.tif", volume, metadata=metadata)
    answer(monkeypatch, "getOpenFileNames", ([str(tmp_path / "volume.ome.tif")], ""))
    fit_dock.choice.choose_files()
    layer = fit_dock.choice.layer
    np.testing.assert_array_equal(layer.data, volume)
    np.testing.assert_array_equal(layer.scale, (2, 0.5, 0.5))
    assert (fit_dock.recipe().axes, fit_dock.recipe().image) == ("ZYX", str(tmp_path / "volume.ome.tif"))

    (tmp_path / "text.tif").write_text("no image")
    answer(monkeypatch, "getOpenFileNames", ([str(tmp_path / "text.tif")], ""))
    fit_dock.choice.choose_files()
    assert "text.tif" in fit_dock.panel.status.text()


def test_the_command_is_on_the_clipboard(fit_dock: FitDock) -> None:
    fit_dock.viewer.add_image(smooth(24, 32), name="cells")
    fit_dock.copy_command()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[:5] == ["napari-diner", "fit", "IMAGE.tif", "-o", "cells-fit"]
    assert words[words.index("--epochs") + 1] == "60"
    assert "on the clipboard" in fit_dock.panel.status.text()


def test_the_copied_command_does_what_the_dock_did(fit_dock: FitDock, wait_for_end: Wait, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "image.tif", smooth(24, 32))
    fit_dock.choice.open_source(str(tmp_path / "image.tif"))
    run(fit_dock, wait_for_end)
    fit_dock.copy_command()
    words = shlex.split(QGuiApplication.clipboard().text())
    code = "from napari_diner.cli import main; main()"
    finished = subprocess.run(
        [sys.executable, "-c", code, *words[1:], "--quiet"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    layer = fit_dock.viewer.layers["reconstruction"]
    recipe = FitRecipe.load(tmp_path / "image-fit" / "recipe.yaml")
    assert recipe.model_dump(mode="json") == layer.metadata["recipe"]
    # the dock leaves a processor to the screen, and sums in another order round differently
    saved = load(tmp_path / "image-fit")["reconstruction"]
    assert np.abs(saved.data.astype(float) - layer.data).mean() < 0.01 * np.iinfo(np.uint16).max


@pytest.mark.parametrize(
    ("representation", "sections"),
    [
        ("diner", {"diner", "training"}),
        ("siren", {"network", "training"}),
        ("pe-mlp", {"network", "encoding", "training"}),
        ("hash-grid", {"network", "hash_grid", "training"}),
        ("pixels", set()),
    ],
)
def test_only_the_settings_that_matter_are_shown(fit_dock: FitDock, representation: str, sections: set[str]) -> None:
    fit_dock.editors["bit_exact"].set_value(True)
    fit_dock.editors["bit_exact"].set_value(representation == "diner")
    fit_dock.editors["representation"].set_value(representation)
    fit_dock.editors["bit_exact"].set_value(False)
    assert shown_sections(fit_dock) == sections
    assert fit_dock.editors["bit_exact"].isEnabled() == (representation == "diner")
    assert fit_dock.editors["epochs"].isEnabled() == (representation != "pixels")


@pytest.mark.parametrize("representation", ["siren", "pe-mlp", "hash-grid", "pixels"])
def test_every_representation_runs(fit_dock: FitDock, wait_for_end: Wait, representation: str) -> None:
    fit_dock.viewer.add_image(smooth(24, 32))
    fit_dock.editors["representation"].set_value(representation)
    run(fit_dock, wait_for_end)
    assert fit_dock.panel.status.text().startswith("Done"), fit_dock.panel.status.text()
    assert not fit_dock.insight_button.isEnabled()


def test_closing_the_viewer_in_mid_run_ends_the_thread(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], fit_dock: FitDock
) -> None:
    fit_dock.viewer.add_image(smooth(24, 32))
    endless(fit_dock)
    fit_dock.panel.run_button.click()
    wait_for_preview(qtbot, fit_dock)
    pool = QThreadPool.globalInstance()
    assert pool.activeThreadCount() > 0
    fit_dock.viewer.close()
    qtbot.waitUntil(lambda: pool.activeThreadCount() == 0, timeout=3000)


@pytest.mark.parametrize("work", ["done", "fitting", "comparing", "looking"])
def test_a_closed_dock_is_forgotten(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], wait_for_end: Wait, work: str
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(smooth(24, 32))
    dock = open_dock(viewer, "fit")
    if work in ("done", "looking"):
        dock.editors["epochs"].set_value(2)
        run(dock, wait_for_end)
    if work == "looking":
        dock.insight_button.click()
    elif work == "comparing":
        dock.start_comparison(("diner-mlp", "siren"), 60)
        wait_for_preview(qtbot, dock)
    elif work == "fitting":
        endless(dock)
        dock.panel.run_button.click()
        wait_for_preview(qtbot, dock)
    remains = [weakref.ref(part) for part in (dock, dock.panel, dock.choice, dock.advanced, dock.scores)]
    viewer.window.remove_dock_widget(dock)
    del dock
    pool = QThreadPool.globalInstance()
    qtbot.waitUntil(lambda: pool.activeThreadCount() == 0, timeout=10_000)
    qtbot.wait(50)
    gc.collect()
    assert [remain() for remain in remains] == [None] * len(remains)
    viewer.add_image(smooth(24, 32))  # nobody is left to listen
    viewer.theme = "light"
