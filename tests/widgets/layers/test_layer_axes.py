"""Axes and spacings of layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image

from napari_diner.widgets.layers.layer_axes import axes_of, file_behind, scale_um_of


@pytest.mark.parametrize(
    ("shape", "arguments", "axes"),
    [
        ((8, 9), {}, "YX"),
        ((8, 9, 3), {"rgb": True}, "YXS"),
        ((5, 8, 9), {"axis_labels": ("z", "y", "x")}, "ZYX"),
        ((5, 8, 9), {"axis_labels": ("Time", "Y", "X")}, "TYX"),
        ((5, 8, 9, 3), {"rgb": True, "axis_labels": ("t", "y", "x")}, "TYXS"),
        ((2, 3, 5, 8, 9), {"axis_labels": ("t", "channel", "z", "y", "x")}, "TCZYX"),
        ((5, 8, 9), {"metadata": {"napari-diner": {"axes": "CYX"}}}, "CYX"),
    ],
)
def test_what_a_layer_tells_is_no_guess(shape: tuple[int, ...], arguments: dict[str, Any], axes: str) -> None:
    found = axes_of(Image(np.zeros(shape, np.uint8), **arguments))
    assert found.axes == axes
    assert "guess" not in found.note


@pytest.mark.parametrize(
    ("shape", "arguments", "axes"),
    [
        ((5, 8, 9), {"scale": (2, 1, 1)}, "ZYX"),
        ((5, 8, 9), {"units": "um"}, "ZYX"),
        ((5, 8, 9), {"scale": (1, 0.5, 0.5), "units": ("pixel", "um", "um")}, "TYX"),
        ((5, 8, 9), {}, "TYX"),
        ((5, 8, 9), {"axis_labels": ("a", "b", "c")}, "TYX"),
        ((5, 8, 9), {"axis_labels": ("z", "x", "y")}, "TYX"),
        ((5, 2, 8, 9), {}, "TCYX"),
        ((5, 20, 8, 9), {}, "TZYX"),
        ((5, 2, 8, 9), {"scale": (1, 2, 1, 1)}, "TZYX"),
        ((2, 2, 5, 8, 9), {}, "TCZYX"),
        ((2, 2, 2, 2, 8, 9), {}, ""),
    ],
)
def test_what_it_does_not_tell_is_guessed_and_said(
    shape: tuple[int, ...], arguments: dict[str, Any], axes: str
) -> None:
    found = axes_of(Image(np.zeros(shape, np.uint8), **arguments))
    assert found.axes == axes
    assert found.note


def test_the_file_behind_a_layer_tells_axes_and_spacing(tmp_path: Path) -> None:
    data = np.zeros((5, 8, 9), np.uint16)
    path = tmp_path / "volume.ome.tif"
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(path, data, metadata=metadata)
    layer = Image(data, metadata={"napari-diner": {"source": str(path)}})
    assert axes_of(layer).axes == "ZYX"
    assert axes_of(layer).note == "Axes from the file"
    assert scale_um_of(layer, "ZYX") == (2.0, 0.5, 0.5)
    # the layer's own spacing goes before
    layer.scale, layer.units = (3, 1, 1), "um"
    assert scale_um_of(layer, "ZYX") == (3.0, 1.0, 1.0)
    # a file that holds something else by now says nothing
    cropped = Image(data[1:], metadata={"napari-diner": {"source": str(path)}})
    assert file_behind(cropped) is None
    assert "guess" in axes_of(cropped).note


def test_spacings_are_lengths_in_micrometres() -> None:
    layer = Image(np.zeros((5, 8, 9, 3), np.uint8), rgb=True, scale=(3, 200, 200), units=("s", "nm", "nm"))
    assert scale_um_of(layer, "TYXS") == pytest.approx((1, 0.2, 0.2, 1))
    assert scale_um_of(Image(np.zeros((8, 9)), scale=(4, 4)), "YX") == (1, 1)
