"""Keys have as many numbers as the values need: more for colours that fill a volume, fewer for one channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_diner.tasks.fit.data import FitData, layout_of
from napari_diner.tasks.fit.job import FitJob
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.fit.width import filled_boxes, widest, width_for

SIZE = 120


def of_channels(count: int, dimensions: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return an image, (channels, Y, X), whose values are linear in so many independent numbers of each pixel."""
    random = np.random.default_rng(seed)
    numbers = random.random((dimensions, SIZE, SIZE))
    spread = np.eye(count)[:, :dimensions] if dimensions == count else random.random((count, dimensions))
    return np.tensordot(spread, numbers, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "axes", "width"),
    [((50,), "X", 1), ((20, 30), "YX", 2), ((5, 20, 30), "ZYX", 2), ((2, 20, 30), "CYX", 2), ((4, 3, 9, 9), "TCYX", 3)],
)
def test_form_limits_the_width(shape: tuple[int, ...], axes: str, width: int) -> None:
    data = np.random.default_rng(0).random(shape if len(shape) > 1 else (1, *shape)).astype(np.float32)
    layout, _ = layout_of(FitRecipe(), FitData(data, axes if len(axes) > 1 else "YX"))
    assert width_for(layout, data) == width <= widest(layout.sample_shape, layout.outputs)


@pytest.mark.parametrize(("count", "dimensions", "width"), [(3, 3, 3), (3, 1, 2), (3, 2, 2), (8, 3, 3), (8, 1, 2)])
def test_values_that_fill_a_volume_get_three_numbers(count: int, dimensions: int, width: int) -> None:
    data = of_channels(count, dimensions)
    layout, _ = layout_of(FitRecipe(), FitData(data, "CYX"))
    assert width_for(layout, data) == width
    assert FitJob(FitRecipe(), FitData(data, "CYX")).recipe.diner.table_width == width


def test_offset_and_range_do_not_matter() -> None:
    data = of_channels(3, 3)
    layout, _ = layout_of(FitRecipe(), FitData(data, "CYX"))
    moved = 5e4 + 1000 * data.astype(np.float64)
    other, _ = layout_of(FitRecipe(), FitData(moved, "CYX"))
    assert filled_boxes(layout, data) == pytest.approx(filled_boxes(other, moved), rel=0.01)


def test_a_width_that_is_set_is_kept() -> None:
    recipe = FitRecipe(diner={"table_width": 1})  # type: ignore[arg-type]
    assert FitJob(recipe, FitData(of_channels(3, 3), "CYX")).recipe.diner.table_width == 1
