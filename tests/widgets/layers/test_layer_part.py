"""Kinds of layers with a stack, and the part for a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import tifffile
from napari.layers import Image
from napari.layers._source import layer_source

from napari_diner.errors import InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.fit.data import assemble as assemble_fit
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.lensless.data import assemble
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.task import Frames
from napari_diner.widgets.layers.layer_part import LayerPart
from napari_diner.widgets.layers.layer_source import comes_from_file

STACK = np.random.default_rng(0).integers(1, 250, (5, 16, 18)).astype(np.uint8)
OTHER = STACK[::-1].copy()
COLOURS = np.stack([STACK, OTHER, STACK], -1)


def assembled(part: LayerPart) -> Any:
    return assemble(LenslessRecipe.parse({"select": part.select}), part.frames())


@pytest.mark.parametrize(
    ("data", "arguments", "axes"),
    [
        (STACK, {}, "NYX"),
        (STACK[None], {}, "CNYX"),
        ([STACK, STACK[:, ::2, ::2]], {"multiscale": True}, "NYX"),
        (dask.array.from_array(STACK, (1, 16, 18)), {}, "NYX"),
        (np.stack([STACK, OTHER]), {}, "CNYX"),
        (
            dask.array.from_array(np.stack([STACK, OTHER]), (1, 1, 16, 18)),
            {"axis_labels": ("t", "z", "y", "x")},
            "TNYX",
        ),
        (np.stack([STACK, OTHER], 1), {"axis_labels": ("z", "c", "y", "x")}, "NCYX"),
        (np.stack([[STACK, OTHER], [OTHER, OTHER]]), {}, "CTNYX"),
        (np.stack([STACK] * 3, -1), {"rgb": True}, "NYXS"),
    ],
)
def test_the_first_stack_of_every_kind_of_layer_is_taken(data: Any, arguments: dict[str, Any], axes: str) -> None:
    part = LayerPart.of(Image(data, **arguments))
    assert part.axes == axes
    assert part.shape == STACK.shape
    np.testing.assert_array_equal(assembled(part).frames, STACK)
    for number in (0, 4):
        frame = np.asarray(part.frame(number))
        np.testing.assert_array_equal(frame[..., 0] if frame.ndim > 2 else frame, STACK[number])


def test_another_part_is_taken_where_it_is_chosen() -> None:
    layer = Image(np.stack([STACK, OTHER]), axis_labels=("c", "frame", "y", "x"))
    part = LayerPart(layer, 1, {0: 1})
    assert part.select == "C=1"
    np.testing.assert_array_equal(assembled(part).frames, OTHER)
    green = LayerPart(Image(COLOURS, rgb=True), 0, {3: 1})
    np.testing.assert_array_equal(assembled(green).frames, OTHER)


def test_colours_that_differ_are_no_grey() -> None:
    with pytest.raises(InputError, match="choose a colour"):
        assembled(LayerPart.of(Image(COLOURS, rgb=True)))


def test_lazy_frames_are_computed_only_with_the_data() -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("computed")

    lazy = dask.array.from_array(np.stack([STACK, OTHER]), (1, 1, 16, 18)).map_blocks(fail, dtype=np.uint8)
    layer = Image(lazy, contrast_limits=(0, 255), cache=False, visible=False)
    part = LayerPart.of(layer)
    frames = part.frames()
    part.frame(1)
    with pytest.raises(InputError, match="computed"):
        assemble(LenslessRecipe.parse({"select": part.select}), frames)


def test_a_residual_lies_on_the_part_that_it_comes_from() -> None:
    layer = Image(np.stack([STACK, OTHER], 1), axis_labels=("z", "c", "y", "x"), scale=(3, 2, 1, 1), rotate=20)
    place = LayerPart(layer, 0, {1: 1}).place
    arguments = place.arguments(NamedArray("residual", STACK.astype(float), "NYX", (1.0,) * 3), (2, 3), (0.5, 0.5))
    residual = Image(**arguments)
    assert residual.data.shape == (5, 1, 16, 18)
    corner = residual.data_to_world((4, 0, -0.5, -0.5))
    np.testing.assert_allclose(corner, layer.data_to_world((4, 1, 1.5, 2.5)))


def test_only_unchanged_data_have_the_name_of_their_file(tmp_path: Path) -> None:
    path = str(tmp_path / "stack.tif")
    tifffile.imwrite(path, STACK, photometric="minisblack")
    known = {"metadata": {"napari-diner": {"source": path}}}
    edited = STACK.copy()
    edited[2, 3, 4] += 1
    for data, is_file in ((STACK, True), (edited, False), (STACK[:4], False), (STACK.astype(float), False)):
        layer = Image(data, **known)
        assert comes_from_file(layer) == is_file
        assert assembled(LayerPart.of(layer)).source == (path if is_file else None)
        fit = assemble_fit(FitRecipe(), Frames(data, "TYX", source=path))
        assert (fit.source, fit.source_bytes is not None) == (path if is_file else None, is_file)


def test_a_part_of_a_file_is_named_with_its_axes(tmp_path: Path) -> None:
    path = str(tmp_path / "two.tif")
    tifffile.imwrite(path, np.stack([STACK, OTHER]), photometric="minisblack")
    layer = Image(np.stack([STACK, OTHER]), metadata={"napari-diner": {"source": path}})
    part = LayerPart(layer, 1, {0: 1})
    data = assembled(part)
    assert (data.source, data.read_as) == (path, {"axes": "CNYX", "select": "C=1"})
    again = assemble(LenslessRecipe.parse({"stack": path, **data.read_as}))
    np.testing.assert_array_equal(again.frames, OTHER)


@pytest.mark.parametrize(
    ("names", "others", "pattern"),
    [
        (["z1_532nm.tif", "z2_532nm.tif", "z10_532nm.tif"], ["dark.tif", "z1_633nm.png"], "z*_532nm.tif"),
        (["f[0].tif", "f[1].tif"], ["g[0].tif"], "f[[]*].tif"),
        # napari has opened only some of them
        (["z1.tif", "z2.tif"], ["z3.tif"], None),
    ],
)
def test_files_that_napari_stacks_are_named_by_a_pattern(
    tmp_path: Path, names: list[str], others: list[str], pattern: str | None
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (len(names), 8, 9)).astype(np.uint8)
    for name, frame in zip([*names, *others], [*frames, *[frames[0]] * len(others)], strict=True):
        tifffile.imwrite(tmp_path / name, frame)
    # napari notes the first of them
    with layer_source(path=str(tmp_path / names[0])):
        layer = Image(frames)
    source = assembled(LayerPart.of(layer)).source
    assert source == (None if pattern is None else str(tmp_path / pattern))
    assert pattern is None or np.array_equal(assemble(LenslessRecipe(stack=source)).frames, frames)
