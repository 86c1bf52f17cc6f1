"""Dock and command line give the same result for one recipe; see `tests/test_front_doors.py` for the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QFileDialog

import napari_diner as nd
from napari_diner.cli.app import execute
from tests.kit.docks import Wait, run
from tests.test_front_doors import SETTINGS, figures, prepared
from tests.widgets.conftest import open_dock


@pytest.mark.usefixtures("same_threads")
@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_dock_and_the_command_line_agree(
    name: str,
    make_napari_viewer: Callable[..., Any],
    wait_for_end: Wait,
    tmp_path: Path,
) -> None:
    recipe, field = prepared(name, tmp_path)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml(complete=False), encoding="utf-8")
    assert execute(["run", str(tmp_path / "recipe.yaml"), "-o", str(tmp_path / "command"), "-q"]) == 0
    expected = nd.load(tmp_path / "command")

    viewer = make_napari_viewer()
    source = Path(getattr(recipe, field))
    viewer.add_image(tifffile.imread(source), name=source.stem, rgb=name == "fit")
    dock = open_dock(viewer, name)
    dock.open_recipe(tmp_path / "recipe.yaml")
    assert run(dock, wait_for_end).startswith("Done"), dock.panel.status.text()
    dock.result.save(tmp_path / "dock")
    result = nd.load(tmp_path / "dock")

    assert [array.name for array in result.arrays] == [array.name for array in expected.arrays]
    for array in expected.arrays:
        np.testing.assert_array_equal(result[array.name].data, array.data, err_msg=array.name)
    of_dock, of_command = figures(dict(result.report)), figures(dict(expected.report))
    # a layer has no file, whose name is part of a stored model and whose size it is compared with
    for report in (of_dock, of_command):
        for key in ("source", "bits_per_pixel", "model_bytes", "source_bits_per_pixel"):
            report.pop(key, None)
        for frame in report.get("frames", ()):
            frame.pop("file", None)
            frame.pop("page", None)
    assert of_dock == of_command


@pytest.mark.usefixtures("same_threads")
@pytest.mark.parametrize("painted", ["shapes", "image"])
def test_a_recipe_with_painted_layers_runs_on_the_command_line(
    painted: str,
    make_napari_viewer: Callable[..., Any],
    wait_for_end: Wait,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe, _ = prepared("lensless", tmp_path)
    (tmp_path / "given.yaml").write_text(recipe.to_yaml(complete=False), encoding="utf-8")
    viewer = make_napari_viewer()
    dock = open_dock(viewer, "lensless")
    dock.open_recipe(tmp_path / "given.yaml")
    frames = dock.choice.layer
    key = "preprocess.dark" if painted == "image" else "mask"
    if painted == "shapes":
        corners = frames.scale[-2:] * [[5, 5], [44, 39]]
        layer = viewer.add_shapes([corners], shape_type="rectangle", name="painted")
    else:
        layer = viewer.add_image(
            np.full(frames.data.shape[-2:], 700, frames.data.dtype), name="painted", scale=frames.scale[-2:]
        )
    dock.sources[key].set_value(layer.name)
    # a file of the user that has the name which is needed
    (tmp_path / f"painted-{key.rpartition('.')[2]}.npy").write_bytes(b"of the user")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "painted.yaml"), ""))
    dock.save_recipe()
    assert run(dock, wait_for_end).startswith("Done"), dock.panel.status.text()
    dock.result.save(tmp_path / "dock")

    assert (tmp_path / f"painted-{key.rpartition('.')[2]}.npy").read_bytes() == b"of the user"
    for name, source in {"saved": "painted.yaml", "again": "dock/recipe.yaml"}.items():
        assert execute(["run", str(tmp_path / source), "-o", str(tmp_path / name), "-q"]) == 0
        for array in nd.load(tmp_path / "dock").arrays:
            np.testing.assert_array_equal(nd.load(tmp_path / name)[array.name].data, array.data, err_msg=array.name)
