"""Placement of data, and of results on them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Shapes

from napari_diner.errors import InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.registry import samples
from napari_diner.widgets.idt.volume_layers import VolumeLayers
from napari_diner.widgets.layers.appearance import Appearance
from napari_diner.widgets.layers.layer_arguments import shown
from napari_diner.widgets.layers.layer_axes import axes_of
from napari_diner.widgets.layers.layer_metadata import DISPLAY_ONLY
from napari_diner.widgets.layers.layer_part import LayerPart
from napari_diner.widgets.layers.pixel_size import doubts_about, give_pixel_size, lay_over, layer_pixel_size_um
from napari_diner.widgets.layers.preview_layers import PreviewLayers
from napari_diner.widgets.layers.sample_data import sample_layer
from napari_diner.widgets.layers.world import add_layer, in_world, shown_place
from napari_diner.widgets.lensless.layer_placement import placement_on
from napari_diner.widgets.lensless.rectangle import drawn_part

ROWS, COLUMNS = 24, 40
PIXEL_UM = 1.12
UNITS = {"um": 1.0, "nm": 1000.0, "mm": 1e-3}
AFFINE = np.array([[1, 0, 0, 3], [0, 0.8, -0.6, 40], [0, 0.6, 0.8, -7], [0, 0, 0, 1.0]])
MIXING = np.array([[1, 0.2, 0, 3], [0.3, 1, 0.1, 40], [0.1, 0, 1, -7], [0, 0, 0, 1.0]])
TURNS: dict[str, dict[str, Any]] = {
    "straight": {},
    "turned": {"rotate": 30},
    "sheared": {"shear": (0, 0, 0.4)},
    "mapped": {"affine": AFFINE},
    "all": {"rotate": -75, "shear": (0.1, 0, -0.2), "affine": AFFINE},
    "mixed with the frames": {"rotate": (20, 0, 0), "affine": MIXING},
}


def stack(unit: str = "um", signs: tuple[int, int] = (1, 1), **arguments: Any) -> Image:
    """Return a stack of three frames off the origin."""
    size = PIXEL_UM * UNITS[unit]
    scale = (2.5, signs[0] * size, signs[1] * size)
    place = {"scale": scale, "translate": (7, 50 * size, -20 * size), "units": ("pixel", unit, unit)}
    return Image(np.zeros((3, ROWS, COLUMNS)), **place, **arguments)


def corners(shape: tuple[int, ...]) -> np.ndarray:
    """Return the outer corners of an array."""
    return np.array(list(itertools.product(*((-0.5, size - 0.5) for size in shape))))


def assert_coincide(layer: Image, pixels: np.ndarray, source: Image, places: np.ndarray) -> None:
    """Check that points of one layer lie on points of another, along the axes that both have."""
    axes = min(layer.ndim, source.ndim)
    ours = np.array([layer.data_to_world(point) for point in pixels])[:, -axes:]
    theirs = np.array([source.data_to_world(point) for point in places])[:, -axes:]
    assert tuple(layer.units[-axes:]) == tuple(source.units[-axes:])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * np.ptp(theirs))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_results_of_a_recording_lie_on_it(unit: str, signs: tuple[int, int], turn: str) -> None:
    source = stack(unit, signs, **TURNS[turn])
    top, left, height, width = crop = (8, 12, 10, 24)
    recipe = LenslessRecipe.parse({"pixel_size_um": PIXEL_UM, "preprocess": {"crop_px": crop, "upsample": 2}})
    make = placement_on(LayerPart.of(source), recipe)
    fine = (PIXEL_UM / 2,) * 2
    part = corners((height, width)) + np.array([top, left])

    phase = Image(**make(NamedArray("phase", np.zeros((2 * height, 2 * width)), "YX", fine, "rad")))
    first = np.column_stack([np.zeros(4), part])
    assert_coincide(phase, corners(phase.data.shape), source, first)

    residual = Image(**make(NamedArray("residual", np.zeros((3, 2 * height, 2 * width)), "NYX", (1.0, *fine))))
    assert_coincide(
        residual, corners(residual.data.shape), source, corners((3, height, width)) + np.array([0, top, left])
    )

    fit = Image(**Appearance.of(source, "TYX").arguments(NamedArray("fit", source.data, "TYX", (1.0,) * 3)))
    assert_coincide(fit, corners(source.data.shape), source, corners(source.data.shape))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("turn", ["straight", "turned", "mapped", "all"])
def test_a_volume_lies_on_its_recording_and_around_the_plane_of_focus(unit: str, turn: str) -> None:
    viewer = ViewerModel()
    source = viewer.add_layer(stack(unit, (-1, 1), **TURNS[turn]))
    recipe = IdtRecipe.parse({"pixel_size_um": PIXEL_UM, "slice_count": 5, "slice_spacing_um": 2.0})
    layers = VolumeLayers(viewer)
    layers.begin(recipe, LayerPart.of(source).place)
    volume = NamedArray("n_re", np.full((5, ROWS, COLUMNS), 1.33), "ZYX", (2.0, PIXEL_UM, PIXEL_UM))
    layer = Image(**layers.arguments(volume))
    plane = corners((ROWS, COLUMNS))
    middle = np.column_stack([np.full(4, 2.0), plane])
    ours = np.array([layer.data_to_world(point) for point in middle])
    np.testing.assert_allclose(ours[:, 0], 0, atol=1e-9)
    theirs = np.array([source.data_to_world((0, *point)) for point in plane])[:, 1:]
    np.testing.assert_allclose(ours[:, 1:], theirs, rtol=1e-6)
    height = layer.data_to_world((1, 0, 0))[0] - layer.data_to_world((0, 0, 0))[0]
    assert height == pytest.approx(2.0 * UNITS[unit])
    assert {str(one) for one in layer.units} == {str(source.units[-1])}

    layers.show([volume])
    (cut,) = (each for each in viewer.layers if each.name == "n_re xy (preview)")
    assert_coincide(cut, plane, source, np.column_stack([np.zeros(4), plane]))
    assert viewer.layers.extent.units is not None


def test_a_point_source_makes_the_sample_smaller_about_the_centre() -> None:
    source = stack(rotate=20)
    values = {"pixel_size_um": PIXEL_UM, "source_distance_um": 1000.0, "preprocess": {"crop_px": (4, 6, 16, 32)}}
    make = placement_on(LayerPart.of(source), LenslessRecipe.parse(values))
    phase = Image(**make(NamedArray("phase", np.zeros((16, 32)), "YX", (PIXEL_UM / 2,) * 2)))
    centre = source.data_to_world((0, 4 + 7.5, 6 + 15.5))[1:]
    np.testing.assert_allclose(phase.data_to_world((7.5, 15.5)), centre)
    np.testing.assert_allclose(phase.scale, source.scale[1:] / 2)


def test_a_turned_stack_gives_turned_results_in_the_same_terms() -> None:
    source = stack("nm", rotate=30, affine=AFFINE)
    make = placement_on(LayerPart.of(source), LenslessRecipe.parse({"pixel_size_um": PIXEL_UM}))
    phase = Image(**make(NamedArray("phase", np.zeros((ROWS, COLUMNS)), "YX", (PIXEL_UM,) * 2)))
    np.testing.assert_array_equal(phase.rotate, source.rotate[1:, 1:])
    np.testing.assert_array_equal(phase.affine.affine_matrix, source.affine.affine_matrix[1:, 1:])
    np.testing.assert_array_equal(phase.scale, source.scale[1:])
    np.testing.assert_allclose(phase.translate, source.translate[1:], rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "pixel_size_um"),
    [
        ({"scale": (1, -120, 120), "units": ("pixel", "nm", "nm")}, 0.12),
        ({"scale": (1, 0.002, 2.0), "units": ("pixel", "mm", "um")}, 2.0),
        ({"scale": (5, 3, 3), "units": ("pixel", "um", "um"), "rotate": 40}, 3.0),
        ({"units": "um", "affine": np.diag([1, 0.5, 0.5, 1])}, 0.5),
        ({}, None),
        ({"scale": (1, 3, 3)}, None),
        ({"units": ("pixel", "pixel", "um")}, None),
    ],
)
def test_pixel_sizes_are_lengths_in_the_world(arguments: dict[str, Any], pixel_size_um: float | None) -> None:
    layer = Image(np.zeros((3, 8, 8)), **arguments)
    assert layer_pixel_size_um(layer) == (None if pixel_size_um is None else pytest.approx(pixel_size_um))


def test_pixels_that_are_not_square_in_their_units_are_refused() -> None:
    with pytest.raises(InputError, match=r"not square \(2 × 3 µm\)"):
        layer_pixel_size_um(Image(np.zeros((3, 8, 8)), scale=(1, 0.002, 3), units=("pixel", "mm", "um"), name="x"))


def test_what_is_doubtful_about_a_layer_is_said() -> None:
    assert doubts_about(stack(rotate=20), PIXEL_UM) == ()
    (skewed,) = doubts_about(stack(shear=(0, 0, 0.3)), PIXEL_UM)
    assert "skewed" in skewed
    (other,) = doubts_about(stack("nm"), 1.4)
    assert "1.12 µm wide according to the layer, but 1.4 µm is used" in other


def test_a_pixel_size_leaves_everything_on_its_place() -> None:
    viewer = ViewerModel()
    source = viewer.add_image(np.zeros((3, ROWS, COLUMNS)), translate=(0, 5, 6), rotate=10)
    outline = np.array([[20, 16], [20, 63.2], [83.2, 63.2], [83.2, 16.0]]) / 3
    shapes = viewer.add_shapes([outline], shape_type="rectangle", translate=(2, 3), scale=(0.5, 2))
    other = viewer.add_image(np.zeros((3, 8, 8)))
    before = drawn_part(viewer, source)  # type: ignore[arg-type]
    assert give_pixel_size(viewer, source, 1.12)
    assert layer_pixel_size_um(source) == pytest.approx(1.12)
    assert drawn_part(viewer, source) == before  # type: ignore[arg-type]
    assert viewer.layers.extent.units is not None
    np.testing.assert_allclose(shapes.data_to_world((1, 1)), 1.12 * np.array([2.5, 5]))
    # another recording may have any pixel size
    assert layer_pixel_size_um(other) is None
    assert give_pixel_size(viewer, other, 3.36)
    assert layer_pixel_size_um(other) == pytest.approx(3.36)
    assert layer_pixel_size_um(source) == pytest.approx(1.12)


@pytest.mark.parametrize("shape", [(ROWS, COLUMNS), (3, ROWS, COLUMNS)])
def test_a_mask_that_comes_later_lies_over_its_stack(shape: tuple[int, ...]) -> None:
    viewer = ViewerModel()
    source = viewer.add_image(np.zeros((3, ROWS, COLUMNS)), translate=(0, 5, 6), rotate=10)
    give_pixel_size(viewer, source, 1.12)
    mask = viewer.add_labels(np.zeros(shape, int))
    own = viewer.add_labels(np.zeros(shape, int), translate=[1] * len(shape))
    other = viewer.add_labels(np.zeros((ROWS, COLUMNS + 1), int))
    for image in (mask, own, other):
        lay_over(viewer, image, source)
    last = [ROWS - 1, COLUMNS - 1]
    np.testing.assert_allclose(
        mask.data_to_world([0] * (mask.ndim - 2) + last)[-2:], source.data_to_world([0, *last])[-2:]
    )
    assert (own.translate == 1).all() and (other.scale == 1).all()
    for image in (own, other):
        viewer.layers.remove(image)
    assert viewer.layers.extent.units is not None


@pytest.mark.parametrize(("unit", "turn"), [("nm", "turned"), ("mm", "mapped"), ("um", "all")])
def test_a_rectangle_in_other_units_means_the_same_place(unit: str, turn: str) -> None:
    viewer = ViewerModel()
    source = viewer.add_layer(stack(unit, (1, -1), **TURNS[turn]))
    outline = corners((10, 24))[[0, 1, 3, 2]] + np.array([4, 5])
    world = np.array([source.data_to_world((0, *point)) for point in outline])[:, 1:] / UNITS[unit]
    viewer.add_layer(Shapes([world / 4], shape_type="polygon", scale=(4, 4), units="um"))
    drawn = drawn_part(viewer, source)  # type: ignore[arg-type]
    assert drawn.part == (4, 5, 10, 24)
    assert not (drawn.is_box or drawn.is_cut)


def test_of_a_turned_rectangle_the_box_around_it_is_used_and_said() -> None:
    viewer = ViewerModel()
    source = viewer.add_image(np.zeros((3, ROWS, COLUMNS)))
    viewer.add_shapes([[[12, -3], [2, 10], [12, 23], [22, 10]]], shape_type="polygon")
    drawn = drawn_part(viewer, source)  # type: ignore[arg-type]
    assert drawn.part == (2, 0, 20, 24)
    assert "the box around the shape, cut at the edge" in drawn.described


def quick(name: str) -> Any:
    """Return settings of a sample that is made in a moment."""
    settings = samples()[name][1].settings
    small = {"height_px": 32, "width_px": 32, "slices": 4, "frames": 4}
    return settings.model_validate({key: value for key, value in small.items() if key in settings.model_fields})


@pytest.fixture(scope="module")
def sample_layers() -> dict[str, Any]:
    return {name: sample_layer(name, name, quick(name))[0] for name in samples()}


def test_all_samples_combine_without_losing_their_units(sample_layers: dict[str, Any]) -> None:
    viewer = ViewerModel()
    for data, attributes, _ in sample_layers.values():
        viewer.add_image(data, **attributes)
    for pair in [*itertools.combinations(viewer.layers, 2), list(viewer.layers)]:
        units = viewer.layers.get_extent(pair).units
        assert units is not None
        assert {str(unit) for unit in units} == {"micrometer"}


def test_volumes_and_frames_that_only_count_combine() -> None:
    viewer = ViewerModel()
    source = viewer.add_layer(stack("nm"))
    add_layer(viewer, Image(np.zeros((4, 8, 8)), units="nm", scale=(500, 1120, 1120), metadata=DISPLAY_ONLY))
    assert viewer.layers.extent.units is not None
    assert axes_of(source).axes == "NYX"  # still no depth
    assert set(viewer.dims.axis_labels) <= {"frame", "z", "y", "x"}  # of which sliders and arrows show the names
    assert source.scale[0] == 2.5
    # the world is in nanometres now, and the frames in micrometres
    assert in_world(viewer, source) == pytest.approx([1000, 1, 1])
    viewer.dims.set_point(0, 1000 * (7 + 2 * 2.5))
    assert shown_place(viewer, source) == 2
    # while a layer is removed, the others may have fewer axes
    viewer.layers.clear()
    viewer.add_image(np.zeros((8, 8)), scale=(1.12, 1.12), units="um")
    assert in_world(viewer, source) == pytest.approx([1, 1e-3, 1e-3])
    assert 0 <= shown_place(viewer, source) < len(source.data)


def test_half_precision_is_shown_without_a_warning() -> None:
    data = np.linspace(-60000, 60000, 16, dtype=np.float16).reshape(4, 4)
    image = shown(data)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, data)


@pytest.mark.parametrize("values", [1e-60, 1e-40, 1e60, 3e38, 0.0, -1e300])
def test_no_layer_gets_contrast_limits_that_cannot_be_drawn(values: float) -> None:
    viewer = ViewerModel()
    data = values * np.random.default_rng(0).random((16, 16))
    PreviewLayers(viewer).show([NamedArray("amplitude", data, "YX", (1.0, 1.0))])
    source = Image(data, contrast_limits=(min(values, 0), max(values, 1e-80)))
    fit = Image(**Appearance.of(source, "YX").arguments(NamedArray("fit", data, "YX", (1.0, 1.0))))
    for layer in (viewer.layers[0], fit):
        assert isinstance(layer, Image)
        assert np.isfinite(layer.data).all() and layer.data.dtype == np.float32
        low, high = np.float32(layer.contrast_limits)
        assert low < high and np.isfinite(high - low)
