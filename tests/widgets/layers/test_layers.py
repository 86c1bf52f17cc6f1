"""Layers of arrays, in a viewer model without a window."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.colormaps import AVAILABLE_COLORMAPS, ensure_colormap
from pytestqt.qtbot import QtBot

from napari_diner.errors import InputError, OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.ometiff import read_array
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.slice_figure import index_limits
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Result
from napari_diner.widgets.forms.stack_choice import StackChoice
from napari_diner.widgets.idt.slider_range import SliderRange
from napari_diner.widgets.idt.volume_layers import VolumeLayers, index_style
from napari_diner.widgets.layers.layer_arguments import layer_arguments
from napari_diner.widgets.layers.layer_part import LayerPart
from napari_diner.widgets.layers.pixel_size import give_pixel_size, layer_pixel_size_um
from napari_diner.widgets.layers.preview_layers import PreviewLayers
from napari_diner.widgets.layers.result_layers import ResultLayers
from napari_diner.widgets.layers.result_reader import get_reader
from napari_diner.widgets.layers.world import add_layer
from napari_diner.widgets.layers.writer import write_ome_tiff

RANDOM = np.random.default_rng(0)
SPACING = (1.12, 1.12)


def result(phase_rad: float = 1.0) -> Result:
    arrays = (
        NamedArray("amplitude", RANDOM.uniform(0.5, 1, (32, 32)), "YX", SPACING),
        NamedArray("phase", RANDOM.uniform(-phase_rad, phase_rad, (32, 32)), "YX", SPACING, "rad"),
        NamedArray("residual", RANDOM.normal(size=(4, 32, 32)), "NYX", (1.0, *SPACING)),
    )
    return Result("lensless", arrays, LenslessRecipe(seed=3), {"seconds": 1.5})


def test_layers_have_scale_units_contrast_and_provenance() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((4, 32, 32)), scale=(1, *SPACING), units=("pixel", "um", "um"))
    amplitude, phase, residual = ResultLayers(viewer).finish(result())
    assert [layer.name for layer in viewer.layers] == ["Image", "residual", "amplitude", "phase"]
    for layer in (amplitude, phase, residual):
        assert layer.data.dtype == np.float32
        assert tuple(layer.scale[-2:]) == SPACING
        assert [str(unit) for unit in layer.units[-2:]] == ["micrometer", "micrometer"]
        assert layer.metadata["recipe"]["seed"] == 3
        assert layer.metadata["report"]["seconds"] == 1.5
    for layer in (phase, residual):
        low, high = layer.contrast_limits
        assert low == -high
    assert amplitude.colormap.name == "gray"
    assert phase.metadata["unit"] == "rad"
    # the viewer has units only if all layers agree
    assert [str(unit) for unit in viewer.layers.extent.units] == ["pixel", "micrometer", "micrometer"]


def test_a_phase_that_fills_the_circle_is_shown_on_the_circle() -> None:
    _, phase, _ = ResultLayers(ViewerModel()).finish(result(phase_rad=np.pi))
    assert phase.contrast_limits == pytest.approx([-np.pi, np.pi])


def test_previews_are_updated_in_place_and_become_the_result() -> None:
    viewer = ViewerModel()
    layers = ResultLayers(viewer)
    coarse = NamedArray("phase", np.full((16, 16), 0.1), "YX", (2.24, 2.24), "rad")
    layers.show([coarse])
    (preview,) = viewer.layers
    assert preview.name == "phase (preview)"
    layers.show([NamedArray("phase", np.full((16, 16), 2.0), "YX", (2.24, 2.24), "rad")])
    assert list(viewer.layers) == [preview]
    assert preview.contrast_limits == pytest.approx([-2, 2])
    _, phase, _ = layers.finish(result())
    assert phase is preview
    assert phase.name == "phase"
    assert tuple(phase.scale) == SPACING
    assert phase.data.shape == (32, 32)
    assert phase.contrast_limits[1] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("end", ["finished", "failed", "failed, and the stack is selected"])
def test_the_status_bar_names_no_preview_after_the_run(end: str) -> None:
    viewer = ViewerModel()
    stack = viewer.add_image(np.zeros((3, 16, 16)), name="stack")
    layers = ResultLayers(viewer)
    layers.show(result().arrays[1:2])
    viewer.status = viewer.layers[-1].get_status((0, 0, 0))
    if "selected" in end:
        viewer.layers.selection.active = stack
    if end == "finished":
        layers.finish(result())
    else:
        layers.discard()
    active = viewer.layers.selection.active
    assert viewer.status == ("Ready" if active is None else active.name)
    # what napari says about an existing layer stays
    before = viewer.status = stack.get_status((0, 0, 0))
    layers.finish(result())
    assert viewer.status == before


def test_another_run_adds_layers_of_its_own() -> None:
    viewer = ViewerModel()
    layers = ResultLayers(viewer)
    for _ in range(2):
        layers.show(result().arrays[:2])
        layers.finish(result())
    assert sorted(layer.name for layer in viewer.layers) == sorted(
        ["amplitude", "phase", "residual", "amplitude [1]", "phase [1]", "residual [1]"]
    )


def test_a_colour_bar_belongs_to_the_picture_on_top() -> None:
    viewer = ViewerModel()
    _, first, _ = ResultLayers(viewer).finish(result())
    assert first.colorbar.visible
    _, second, _ = ResultLayers(viewer).finish(result())
    assert second.colorbar.visible and not first.colorbar.visible
    getattr(viewer, "canvas", viewer).grid.enabled = True
    _, third, _ = ResultLayers(viewer).finish(result())
    assert third.colorbar.visible and second.colorbar.visible


def test_a_preview_has_a_colour_bar_and_gives_back_that_of_the_result_below() -> None:
    viewer = ViewerModel()
    _, first, _ = ResultLayers(viewer).finish(result())
    layers = ResultLayers(viewer)
    layers.show(result().arrays[:2])
    amplitude, phase = layers.shown.values()
    assert not phase.colorbar.visible  # the first picture comes at once
    layers.show(result().arrays[:2])
    assert phase.colorbar.visible and not amplitude.colorbar.visible and not first.colorbar.visible
    layers.discard()
    assert first.colorbar.visible
    layers.show(result().arrays[:2])
    _, second, _ = layers.finish(result())
    assert second.colorbar.visible and not first.colorbar.visible
    layers.discard()
    assert not first.colorbar.visible


def test_a_preview_that_was_removed_stays_away_until_the_end() -> None:
    viewer = ViewerModel()
    layers = ResultLayers(viewer)
    layers.show(result().arrays[:2])
    viewer.layers.remove("phase (preview)")
    layers.show(result().arrays[:2])
    layers.show(result().arrays[:2])
    assert [layer.name for layer in viewer.layers] == ["amplitude (preview)"]
    layers.finish(result())
    assert len(viewer.layers) == 3


def test_previews_of_a_failed_run_disappear() -> None:
    viewer = ViewerModel()
    layers = ResultLayers(viewer)
    layers.show(result().arrays[:2])
    layers.discard()
    assert len(viewer.layers) == 0


def test_values_that_are_not_finite_do_not_upset_the_contrast() -> None:
    data = np.full((8, 8), np.nan)
    data[0, 0] = 2
    ResultLayers(ViewerModel()).show(
        [NamedArray("amplitude", data, "YX", SPACING), NamedArray("phase", data * np.nan, "YX", SPACING)]
    )


def test_pixel_size_comes_from_the_layer() -> None:
    layer = Image(np.zeros((3, 8, 8)), scale=(1, 120, 120), units=("pixel", "nm", "nm"))
    assert layer_pixel_size_um(layer) == pytest.approx(0.12)
    assert not give_pixel_size(ViewerModel(), layer, 5.0)
    assert layer_pixel_size_um(layer) == pytest.approx(0.12)


def test_a_layer_without_a_physical_size_takes_one_on() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((3, 8, 8)))
    assert layer_pixel_size_um(layer) is None
    give_pixel_size(viewer, layer, 1.5)
    assert tuple(layer.scale) == (1, 1.5, 1.5)
    assert layer_pixel_size_um(layer) == 1.5


def test_a_stack_that_takes_a_size_on_has_the_units_of_the_stacks_beside_it() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((6, 8, 8)), scale=(1, 2, 2), units="um", axis_labels=("frame", "y", "x"))
    layer = viewer.add_image(np.zeros((3, 8, 8)))
    assert give_pixel_size(viewer, layer, 1.5)
    units = viewer.layers.extent.units
    assert units is not None and [str(unit) for unit in units[-2:]] == ["micrometer", "micrometer"]
    assert layer_pixel_size_um(layer) == 1.5


def test_pixels_that_are_not_square_are_refused() -> None:
    with pytest.raises(InputError, match="not square"):
        layer_pixel_size_um(Image(np.zeros((3, 8, 8)), scale=(1, 1, 2), units="um"))


def test_a_saved_layer_keeps_its_physical_size(tmp_path: Path) -> None:
    _, phase, residual = ResultLayers(ViewerModel()).finish(result())
    for layer, axes in ((phase, "YX"), (residual, "NYX")):
        path = str(tmp_path / f"{layer.name}.ome.tif")
        data, attributes, _ = layer.as_layer_data_tuple()
        assert write_ome_tiff(path, data, attributes) == [path]
        saved = read_array(path)
        assert saved.axes == axes
        assert saved.scale_um[-2:] == SPACING
        np.testing.assert_array_equal(saved.data, layer.data)
    assert read_array(tmp_path / "phase.ome.tif").unit == "rad"


def test_show_opens_a_viewer_and_waits_until_it_is_closed() -> None:
    code = """
import napari, numpy
from qtpy.QtCore import QTimer
from napari.qt import get_qapp
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Result
from napari_diner.widgets.layers.result_layers import show

def close():
    viewer = napari.current_viewer()
    print(*[layer.name for layer in viewer.layers])
    viewer.close()

get_qapp()
QTimer.singleShot(1000, close)
show(Result("lensless", (NamedArray("phase", numpy.ones((8, 8)), "YX", (1.0, 1.0), "rad"),), LenslessRecipe(), {}))
print("closed")
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == ["phase", "closed"]


@pytest.mark.parametrize(
    ("shape", "arguments", "axes"),
    [
        ((8, 9, 3), {"rgb": True}, "YXS"),
        ((5, 8, 9, 3), {"rgb": True, "axis_labels": ("t", "y", "x")}, "TYXS"),
        ((2, 5, 8, 9), {"axis_labels": ("c", "z", "y", "x"), "scale": (1, 2, 0.5, 0.5), "units": "um"}, "CZYX"),
        ((2, 2, 5, 8, 9), {}, "TCZYX"),
    ],
)
def test_colours_channels_and_time_are_saved(
    tmp_path: Path, shape: tuple[int, ...], arguments: dict[str, Any], axes: str
) -> None:
    layer = Image(RANDOM.integers(0, 255, shape).astype(np.uint8), **arguments)
    data, attributes, _ = layer.as_layer_data_tuple()
    write_ome_tiff(str(tmp_path / "layer.ome.tif"), data, attributes)
    saved = read_array(tmp_path / "layer.ome.tif")
    assert saved.axes == axes
    np.testing.assert_array_equal(saved.data, layer.data)
    expected = [scale if axis in "ZYX" and "units" in arguments else 1 for axis, scale in zip(axes, layer.scale)]  # noqa: B905 (colours have no scale)
    assert saved.scale_um[: len(expected)] == tuple(expected)


@pytest.mark.parametrize(
    "layer",
    [Image(np.zeros((2, 2, 2, 2, 8, 8))), Image([np.zeros((8, 8)), np.zeros((4, 4))], multiscale=True)],
)
def test_what_has_no_place_in_the_file_is_refused(tmp_path: Path, layer: Image) -> None:
    data, attributes, _ = layer.as_layer_data_tuple()
    with pytest.raises(OutputError):
        write_ome_tiff(str(tmp_path / "layer.tif"), data, attributes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("reach", "cyclic"), [(0.4, False), (np.pi, True)])
def test_only_phase_that_wraps_is_shown_on_a_circle(reach: float, cyclic: bool) -> None:
    values = np.linspace(-reach, reach, 32 * 32).reshape(32, 32)
    colours = layer_arguments(NamedArray("phase", values, "YX", SPACING, "rad"))["colormap"]
    low, high = (ensure_colormap(colours).map(np.array([end]))[0] for end in (0.0, 1.0))
    assert np.allclose(low, high, atol=0.05) == cyclic


def test_the_colours_of_phase_follow_a_preview_but_not_against_the_user() -> None:
    viewer = ViewerModel()
    layers = ResultLayers(viewer)
    layers.show(result(0.5).arrays[1:2])
    (layer,) = viewer.layers
    first = layer.colormap.name
    layers.show(result(np.pi).arrays[1:2])
    assert layer.colormap.name != first
    layer.colormap = "viridis"
    layers.show(result(0.5).arrays[1:2])
    assert layer.colormap.name == "viridis"


@pytest.mark.parametrize(
    ("opened", "partial"),
    [("", False), ("report.json", False), ("phase.tif", False), ("model.safetensors", False), ("", True)],
)
def test_a_saved_result_opens_as_it_was(tmp_path: Path, opened: str, *, partial: bool) -> None:
    made = result()
    report = {**made.report, "partial": partial}
    made = replace(made, weights={"field": np.ones(3)}, partial=partial, report=report)
    made.save(tmp_path / "stack-lensless")
    path = str(tmp_path / "stack-lensless" / opened)
    reader = get_reader(path)
    assert reader is not None
    shown = {layer.name: layer for layer in ResultLayers(ViewerModel()).finish(made)}
    layers = {str(attributes["name"]): Image(data, **attributes) for data, attributes, _ in reader(path)}
    assert set(layers) == ({"phase"} if opened == "phase.tif" else set(shown))
    for name, layer in layers.items():
        assert layer.colormap.name == shown[name].colormap.name
        assert np.allclose(layer.contrast_limits, shown[name].contrast_limits)
        assert np.allclose(layer.scale, shown[name].scale) and layer.units == shown[name].units
        assert layer.metadata["report"]["seconds"] == 1.5
        assert np.allclose(layer.data, shown[name].data)


def test_other_files_are_left_to_other_readers(tmp_path: Path) -> None:
    (tmp_path / "phase.tif").touch()
    (tmp_path / "report.json").write_text("{}")
    assert get_reader(str(tmp_path / "phase.tif")) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader([]) is None


def test_the_selected_layer_is_offered_first(qtbot: QtBot) -> None:
    viewer = ViewerModel()
    first, second = (viewer.add_image(np.zeros((3, 8, 8)), name=name) for name in ("first", "second"))
    viewer.layers.selection.active = first
    choice = StackChoice(viewer)
    qtbot.addWidget(choice)
    assert choice.layer is first
    # the choice stays where it is, and passes to the layer that is left
    viewer.layers.selection.active = second
    viewer.add_image(np.zeros((3, 8, 8)))
    assert choice.layer is first
    viewer.layers.remove(first)
    assert choice.layer is not first


def test_results_of_several_runs_are_told_apart_by_their_names() -> None:
    viewer = ViewerModel()
    first, second = result(), replace(result(), report={"solver": "gauss-newton"}, partial=True)
    for made in (first, second, replace(second, partial=False), second):
        ResultLayers(viewer).finish(made)
    names = [layer.name for layer in viewer.layers if layer.name.startswith("phase")]
    assert names == ["phase", "phase (partial)", "phase (gauss-newton)", "phase (gauss-newton, partial)"]


def test_a_slider_has_the_positions_of_the_layers_that_are_shown() -> None:
    viewer = ViewerModel()
    frames = viewer.add_image(np.zeros((8, 6, 6)), units="um")
    slider = SliderRange(viewer)
    volume = viewer.add_image(np.zeros((10, 6, 6)), scale=(0.5, 1, 1), translate=(-2.25, 0, 0), units="um")
    for seen, hidden, count in ((volume, frames, 10), (frames, volume, 8)):
        seen.visible, hidden.visible = True, False
        assert viewer.dims.nsteps[0] == count
        # napari would count those of both again
        viewer.add_image(np.zeros((6, 6)), units="um")
        assert viewer.dims.nsteps[0] == count
    low, high = viewer.dims.range[0][:2]
    assert (low, high) == (0, 7)
    del slider  # the viewer does not keep it alive


@pytest.mark.parametrize("adding", ["a layer", "a preview"])
def test_units_are_combined_before_a_layer_is_added(adding: str) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((3, 8, 8)), scale=(1, 2, 2), units=("pixel", "um", "um"))
    units = []
    viewer.layers.events.inserted.connect(lambda: units.append(viewer.layers.extent.units))
    if adding == "a layer":
        add_layer(viewer, Image(np.zeros((4, 8, 8)), scale=(0.5, 2, 2), units="um"))
    else:
        PreviewLayers(viewer).show([NamedArray("n_re", np.zeros((4, 8, 8), np.float32), "ZYX", (0.5, 2.0, 2.0))])
    assert units and None not in units


@pytest.mark.parametrize(("size", "tolerance_px"), [(32, 0.0), (160, 6.0)])
def test_cuts_go_through_the_densest_part_of_volumes_of_any_size(size: int, tolerance_px: float) -> None:
    viewer, middle = ViewerModel(), (size // 2, size // 3, size // 4)
    grid = np.mgrid[:size, :size, :size] - np.reshape(middle, (3, 1, 1, 1))
    volume = (1.33 + 0.02 * np.exp(-(grid**2).sum(0) / (2 * (size / 8) ** 2))).astype(np.float32)
    layers = VolumeLayers(viewer)
    layers.begin(IdtRecipe(medium_index=1.33, pixel_size_um=1.0), LayerPart.of(Image(np.zeros((1, size, size)))).place)
    assert layers.show([NamedArray("n_re", volume, "ZYX", (1.0, 1.0, 1.0))])
    cut = next(layer for layer in viewer.layers if layer.name.startswith("n_re xy"))
    assert float(cut.data.max()) == pytest.approx(float(volume.max()), abs=0.002)
    peak = np.unravel_index(int(cut.data.argmax()), cut.data.shape)
    assert np.abs(np.subtract(peak, middle[1:])).max() <= tolerance_px


def test_limits_of_a_large_volume_are_those_of_all_its_voxels() -> None:
    z, y, x = np.mgrid[-1:1:40j, -1:1:200j, -1:1:200j]
    volume = (1.33 + 0.02 * ((z**2 + y**2 + x**2) < 0.3) + 0.001 * np.sin(90 * x)).astype(np.float32)
    style = index_style(NamedArray("n_re", volume, "ZYX", (1.0, 1.0, 1.0)), IdtRecipe(medium_index=1.33))
    assert style["contrast_limits"] == pytest.approx(index_limits(volume, 1.33), abs=2e-4)
    # napari's list of colour maps grows with the longest name, and the window with it
    assert len(style["colormap"].name) < max(len(name) for name in AVAILABLE_COLORMAPS)


@pytest.mark.parametrize("part", [0.01, 1.0])
def test_limits_of_a_volume_with_values_that_are_not_finite_are_finite(part: float) -> None:
    volume = np.linspace(1.33, 1.36, 1000, dtype=np.float32).reshape(10, 10, 10)
    volume.ravel()[: round(part * volume.size)] = np.nan
    low, high = index_limits(volume, 1.33)
    assert np.isfinite([low, high]).all()
    assert low < high < 1.37
