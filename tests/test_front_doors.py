"""All front doors give identical arrays and equal reports for the same recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_diner as nd
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.result import Result
from tests.cli.conftest import run as run

Command = Callable[..., object]

SETTINGS: dict[str, dict[str, object]] = {
    "lensless": {"gauss_newton": {"iterations": 2, "warm_up": 1, "cg_steps": 5}, "device": "cpu"},
    "focus": {"joint": False, "device": "cpu"},
    "idt": {"iterations": 3, "device": "cpu"},
    "fit": {"epochs": 20, "training": {"searches": 1}, "device": "cpu"},
}
SAMPLES: dict[str, dict[str, object]] = {
    "lensless": {"height_px": 48, "width_px": 48},
    "focus": {"height_px": 48, "width_px": 48},
    "idt": {"height_px": 24, "width_px": 24, "slices": 4, "frames": 6, "model": "born"},
    "fit": {"height_px": 24, "width_px": 32},
}


def prepared(name: str, folder: Path) -> tuple[Recipe, str]:
    """Write data, and return the recipe for them and the name of the field that names the data."""
    task = nd.task(name).task
    sample = nd.sample({"fit": "image", "focus": "lensless"}.get(name, name), **SAMPLES[name])
    path = folder / f"{sample.data.name}.tif"
    tifffile.imwrite(path, sample.data.data, photometric="rgb" if name == "fit" else "minisblack")
    values = {**sample.recipe.model_dump(exclude_unset=True), **SETTINGS[name], task.source_field: str(path)}
    if name == "lensless":
        support = np.zeros(sample.data.data.shape[1:], np.uint8)
        support[8:40, 8:40] = 255
        tifffile.imwrite(folder / "support.tif", support)
        values["prior"] = {"support": str(folder / "support.tif")}
    values = {key: value for key, value in values.items() if key in task.recipe_type.model_fields}
    return task.recipe_type.parse({**values, "task": name}), task.source_field


def figures(report: dict[str, object]) -> dict[str, object]:
    """Return what a report says of the result, without what differs from one run to the next."""
    volatile = ("seconds", "stages", "memory", "files")
    return {key: value for key, value in report.items() if not any(word in key for word in volatile)}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_command_run_and_python_agree(name: str, run: Command, tmp_path: Path) -> None:
    recipe, field = prepared(name, tmp_path)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml(complete=False), encoding="utf-8")
    source = getattr(recipe, field)
    results: dict[str, Result] = {}
    for door, command in {
        "command": (name, source, "--recipe", tmp_path / "recipe.yaml"),
        "run": ("run", tmp_path / "recipe.yaml"),
    }.items():
        finished = run(*command, "-o", tmp_path / door, "-q")
        assert finished.code == 0, finished.err  # type: ignore[attr-defined]
        results[door] = nd.load(tmp_path / door)
    nd.task(name)(recipe=recipe).save(tmp_path / "file")
    results["file"] = nd.load(tmp_path / "file")
    # what a dock does: the frames of a layer take the place of the file
    nd.task(name)(nd.read(source), recipe=recipe).save(tmp_path / "frames")
    results["frames"] = nd.load(tmp_path / "frames")
    first = results.pop("command")
    for door, result in results.items():
        assert [array.name for array in result.arrays] == [array.name for array in first.arrays], door
        for array in first.arrays:
            np.testing.assert_array_equal(result[array.name].data, array.data, err_msg=f"{door}, {array.name}")
        assert json.dumps(figures(dict(result.report))) == json.dumps(figures(dict(first.report))), door
        assert result.recipe == first.recipe, door
