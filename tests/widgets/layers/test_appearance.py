"""Results have the placement and look of their layer."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from vispy.visuals.axis import _get_ticks_talbot

from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.result import Result
from napari_diner.widgets.layers.appearance import Appearance
from napari_diner.widgets.layers.layer_arguments import STYLES, contrast_limits
from napari_diner.widgets.layers.result_layers import ResultLayers

RANDOM = np.random.default_rng(0)


def volume() -> Image:
    data = RANDOM.integers(0, 60_000, (6, 32, 48)).astype(np.uint16)
    return Image(
        data,
        scale=(2, 0.5, 0.5),
        units="um",
        translate=(10, 20, 30),
        axis_labels=("z", "y", "x"),
        contrast_limits=(100, 9000),
        gamma=0.7,
        colormap="viridis",
    )


def test_a_result_lies_on_its_source_and_looks_like_it() -> None:
    source = volume()
    layer = Image(**Appearance.of(source, "ZYX").arguments(NamedArray("fit", source.data, "ZYX", (1.0, 1.0, 1.0))))
    assert layer.data.dtype == np.uint16
    np.testing.assert_array_equal(layer.scale, source.scale)
    np.testing.assert_array_equal(layer.translate, source.translate)
    assert (layer.units, layer.axis_labels) == (source.units, source.axis_labels)
    assert layer.contrast_limits == source.contrast_limits
    assert (layer.gamma, layer.colormap.name) == (0.7, "viridis")
    np.testing.assert_array_equal(layer.extent.world, source.extent.world)


def test_a_preview_of_a_plane_covers_the_whole_volume() -> None:
    source = volume()
    plane = NamedArray("fit", source.data[3, ::2, ::2], "YX", (1.0, 1.0))
    layer = Image(**Appearance.of(source, "ZYX").arguments(plane))
    assert layer.data.shape == (1, 16, 24)
    for slice_ in range(6):
        place = source.data_to_world((slice_, 0, 0))
        assert round(layer.world_to_data(place)[0]) == 0
    # the pixels that were left out are covered by their neighbours
    np.testing.assert_allclose(
        layer.data_to_world((-0.5, -0.5, -0.5)), source.data_to_world((-0.5, -0.5, -0.5)), atol=1e-12
    )
    np.testing.assert_allclose(layer.data_to_world((0.5, 15.5, 23.5)), source.data_to_world((5.5, 31.5, 47.5)))


def test_a_preview_lies_on_a_turned_source() -> None:
    source = Image(np.zeros((30, 40)), scale=(2, 3), rotate=30, translate=(5, 6))
    layer = Image(**Appearance.of(source, "YX").arguments(NamedArray("fit", np.zeros((15, 20)), "YX", (1.0, 1.0))))
    for corner in ((0, 0), (15, 20), (15, 0)):
        small = np.array(corner) - 0.5
        np.testing.assert_allclose(layer.data_to_world(small), source.data_to_world(2 * np.array(corner) - 0.5))


@pytest.mark.parametrize(("axes", "shape"), [("TYXS", (4, 8, 8, 3)), ("TCZYX", (2, 3, 4, 8, 8))])
def test_previews_become_results_of_more_axes(axes: str, shape: tuple[int, ...]) -> None:
    viewer = ViewerModel()
    data = RANDOM.integers(0, 255, shape).astype(np.uint8)
    source = viewer.add_image(data, rgb=axes.endswith("S"))
    layers = ResultLayers(viewer)
    layers.arguments = Appearance.of(source, axes).arguments
    shown = "YXS" if axes.endswith("S") else "CYX"
    index = tuple(slice(None) if axis in shown else 0 for axis in axes)
    layers.show([NamedArray("fit", data[index], shown, (1.0, 1.0, 1.0))])
    preview = viewer.layers["fit (preview)"]
    assert preview.ndim == source.ndim

    (layer,) = layers.finish(Result("fit", (NamedArray("fit", data, axes, (1.0,) * len(axes)),), FitRecipe(), {}))
    assert layer is preview
    np.testing.assert_array_equal(layer.data, data)
    assert not layer.metadata.get("napari-diner")


def test_a_grey_preview_makes_room_for_a_result_in_colours() -> None:
    viewer = ViewerModel()
    data = RANDOM.integers(0, 255, (8, 8, 3)).astype(np.uint8)
    layers = ResultLayers(viewer)
    layers.arguments = Appearance.of(viewer.add_image(data, rgb=True, name="source"), "YXS").arguments
    layers.show([NamedArray("fit", data[..., 1], "YX", (1.0, 1.0))])

    (layer,) = layers.finish(Result("fit", (NamedArray("fit", data, "YXS", (1.0, 1.0, 1.0)),), FitRecipe(), {}))
    assert layer.rgb
    assert [layer.name for layer in viewer.layers] == ["source", "fit"]


def test_the_colour_bar_of_a_phase_has_numbers_beside_its_zero() -> None:
    for reach in np.geomspace(1e-4, 3.0, 200):
        low, high = contrast_limits(np.linspace(-reach, reach, 64).reshape(8, 8), STYLES["phase"])
        assert low == -high and 0.99 * reach <= high <= 1.34 * reach
        # those that napari draws
        ticks = _get_ticks_talbot(low, high, 1 / 96, 2)
        assert sum(low * 1.0001 <= tick <= high * 1.0001 for tick in ticks) >= 3
