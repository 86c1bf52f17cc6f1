"""Masks, supports and references of the lensless dock come from layers that are painted, drawn, or recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Layer

from napari_diner.widgets.lensless.dock import LenslessDock
from tests.widgets.lensless.test_preparation import COLUMNS, ROWS, corners, dock

__all__ = ["dock"]  # the fixture

INSIDE = np.zeros((64, 80), bool)
INSIDE[ROWS, COLUMNS] = True


def choose(dock: LenslessDock, key: str, layer: Layer) -> Any:
    """Choose a layer for an image beside the frames; return the data of a run."""
    dock.sources[key].set_value(layer.name)
    stack = dock.choice.layer
    assert stack is not None
    return dock.task.assemble(dock.recipe(), dock.frames(stack))


@pytest.mark.parametrize("pages", [(1,), (0, 1, 2)])
def test_labels_are_a_mask(dock: LenslessDock, pages: tuple[int, ...]) -> None:
    painted = np.zeros((3, 64, 80), np.uint8)
    for page in pages:
        painted[page][INSIDE] = page + 1
    mask = choose(dock, "mask", dock.viewer.add_labels(painted, name="painted")).mask
    assert (np.broadcast_to(mask != 0, painted.shape) == INSIDE).all()
    assert dock.recipe().mask == "painted"


def test_shapes_are_a_support_where_they_lie_in_the_world(dock: LenslessDock) -> None:
    outline = corners(ROWS, COLUMNS)
    in_frame = np.column_stack([np.full(4, 1), outline / (4, 0.5)])
    shapes = dock.viewer.add_shapes(in_frame, shape_type="polygon", scale=(1, 4, 0.5))
    support = choose(dock, "prior.support", shapes).support
    off = support ^ INSIDE
    assert off.sum() <= 2 * (ROWS.stop - ROWS.start + COLUMNS.stop - COLUMNS.start)  # the outline itself
    assert not off[15:45, 25:63].any() and not off[:9].any() and not off[:, 70:].any()


def test_a_dark_frame_is_a_layer(dock: LenslessDock) -> None:
    dark = dock.viewer.add_image(np.full((64, 80), 0.01), name="without light")
    assert choose(dock, "preprocess.dark", dark).references.dark.mean() == pytest.approx(0.01)
    # neither the frames themselves nor labels are one
    labels = dock.viewer.add_labels(np.zeros((64, 80), np.uint8))
    offered = [
        source.itemText(place) for source in [dock.sources["preprocess.dark"]] for place in range(source.count())
    ]
    assert offered == ["none", "Layer: without light", "Image file…"], labels
    dock.viewer.layers.remove(dark)
    assert dock.recipe().preprocess.dark is None


def test_files_can_be_named_as_before(dock: LenslessDock) -> None:
    source = dock.sources["mask"]
    source.set_value("mask.tif")
    assert dock.recipe().mask == "mask.tif"
    source.set_value(None)
    assert dock.recipe().mask is None
