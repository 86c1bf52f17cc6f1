"""Series in the docks: all recordings of a layer with a time axis, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import napari_diner as nd
from napari_diner.widgets.forms.part_choice import SERIES
from tests.kit.docks import Wait, run
from tests.widgets.conftest import SMALL, add_recording, open_dock


def choose_series(dock: Any, axis: int) -> None:
    """Set an axis of the layer to a series, as by hand."""
    combo = dock.choice._parts.combos[axis]
    combo.setCurrentIndex(combo.findText(SERIES))
    combo.activated.emit(combo.currentIndex())


def test_a_lensless_series(make_napari_viewer: Callable[..., Any], wait_for_end: Wait) -> None:
    viewer = make_napari_viewer()
    data = nd.sample("lensless", height_px=32, width_px=32, distances_um=[300, 400, 500]).data.data
    frames, pixel = np.stack([np.roll(data, 2 * number, 1) for number in range(2)]), 1.12
    units = ("pixel", "pixel", "um", "um")
    # the heights come first
    viewer.add_image(frames.transpose(1, 0, 2, 3), scale=(1, 1, pixel, pixel), translate=(0, 0, 30, 40), units=units)
    dock = open_dock(viewer, "lensless")
    height, time = 0, 1
    combo = dock.choice._parts.combos[height]
    combo.setCurrentIndex(0)
    combo.activated.emit(0)
    choose_series(dock, time)
    dock.editors["wavelength_um"].set_value(0.532)
    dock.distances.set_value([300.0, 400.0, 500.0])
    dock.advanced.set_values({"padding": {"mode": "none"}, "gauss_newton": {"iterations": 4, "warm_up": 4}})
    stages: list[str] = []
    dock.panel.previewed.connect(lambda _: stages.append(dock.panel.stage.text()))
    status = run(dock, wait_for_end)
    phase = next(layer for layer in viewer.layers if layer.name == "phase")
    assert phase.data.shape == (3, 2, 32, 32), status
    # images lie above stacks, and nothing of the run remains beside its results
    assert [layer.name for layer in viewer.layers][1:] == ["residual", "amplitude", "phase"]
    np.testing.assert_allclose(phase.scale, (1, 1, pixel, pixel), rtol=1e-6)
    np.testing.assert_allclose(phase.translate, (0, 0, 30, 40))
    # what is seen follows the slider of time, and not that of the heights
    seen = {}
    for t in range(2):
        for n in range(3):
            viewer.dims.set_point((time, height), (t, n))
            seen[t, n] = np.array(phase._slice.image.raw)
    np.testing.assert_array_equal(seen[0, 0], seen[0, 2])
    assert np.abs(seen[0, 0] - seen[1, 0]).max() > 0.05
    assert any(text.startswith("recording ") and " of 2" in text for text in stages), stages


def test_a_series_of_volumes(make_napari_viewer: Callable[..., Any], wait_for_end: Wait) -> None:
    viewer = make_napari_viewer()
    layer = add_recording(viewer, SMALL.model_copy(update={"height_px": 32, "width_px": 32, "slices": 6}))
    frames, notes, scale = np.stack([layer.data, layer.data[:, ::-1]]), layer.metadata, layer.scale
    viewer.layers.clear()
    viewer.add_image(frames, metadata=notes, scale=(1, *scale), units=("um",) * 4)
    dock = open_dock(viewer, "idt")
    dock.advanced.set_values({"iterations": 4, "regularization": {"tikhonov": 10.0, "tv": 0.02}})
    choose_series(dock, 0)
    status = run(dock, wait_for_end)
    assert dock.result is not None, status
    volume = next(each for each in viewer.layers if each.name == "n_re")
    assert volume.data.shape == (2, *dock.result["n_re"].data.shape[1:])
    np.testing.assert_allclose(volume.scale[1:], dock.result["n_re"].scale_um[1:], rtol=1e-6)
    dock.views.show_slices()
    dock.views.show_surface()
    assert "single volume" in dock.panel.status.text()


def test_a_series_of_fits(make_napari_viewer: Callable[..., Any], wait_for_end: Wait) -> None:
    viewer = make_napari_viewer()
    data = nd.sample("video", height_px=16, width_px=20, frames=2).data.data
    viewer.add_image(data, rgb=True, axis_labels=("t", "y", "x"))
    dock = open_dock(viewer, "fit")
    dock.series.setCurrentIndex(dock.series.findData("T"))
    dock.editors["epochs"].set_value(6)
    dock.advanced.set_values({"training": {"searches": 1}})
    run(dock, wait_for_end)
    assert dock.result.report["series"]["done"] == 2 and dock.recipe().select == "T=all"
    fitted = next(layer for layer in viewer.layers if layer.name == "reconstruction")
    assert fitted.data.shape == (2, 16, 20, 3) and fitted.rgb
    dock.set_recipe(dock.recipe().updated({"select": ""}))
    assert dock.recipe().select == ""
