"""Saved results are self-describing, in files that other programs can read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from napari_diner.errors import InputError, OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks import saving
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.result import Result
from napari_diner.tasks.saving import load, save, to_json

PHASE = NamedArray("phase", np.ones((3, 4), np.float32), "YX", (2.0, 2.0), "rad")


def result(**changes: object) -> Result:
    values = {
        "task": "lensless",
        "arrays": (PHASE,),
        "recipe": LenslessRecipe(seed=9, distances_um=(100.0, 200.0)),
        "report": {"seconds": np.float32(1.5), "partial": False},
        **changes,
    }
    return Result(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("files", ["phase.tif", [["phase.tif"]], [None], {"phase.tif": 1}, 5])
def test_a_report_that_lists_no_files_is_none_of_ours(files: object, tmp_path: Path) -> None:
    save(result(), tmp_path / "out")
    (tmp_path / "out" / "report.json").write_text(json.dumps({"files": files}))
    with pytest.raises(InputError, match="holds no result of napari-diner"):
        load(tmp_path / "out")


def test_a_report_cannot_have_files_elsewhere_read(tmp_path: Path) -> None:
    save(result(), tmp_path / "out")
    (tmp_path / "out" / "report.json").write_text(json.dumps({"files": ["../other/a.ome.zarr", "../phase.tif"]}))
    assert load(tmp_path / "out", chosen=lambda name: name == "phase.tif").report["files"] == [
        "a.ome.zarr",
        "phase.tif",
    ]


def test_a_result_comes_back(tmp_path: Path) -> None:
    save(result(weights={"table": np.zeros(3, np.float32)}), tmp_path / "out")
    back = load(tmp_path / "out")
    assert [array.name for array in back.arrays] == ["phase"]
    np.testing.assert_array_equal(back["phase"].data, PHASE.data)
    assert (back["phase"].axes, back["phase"].scale_um, back["phase"].unit) == ("YX", (2.0, 2.0), "rad")
    assert back.recipe == LenslessRecipe.load(tmp_path / "out" / "recipe.yaml") == result().recipe
    np.testing.assert_array_equal(back.weights["table"], np.zeros(3, np.float32))
    assert (back.task, back.partial, back.report["seconds"]) == ("lensless", False, 1.5)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["files"] == sorted(path.name for path in (tmp_path / "out").iterdir())


def header_of(folder: Path) -> dict[str, str]:
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        return dict(file.metadata())


def test_a_model_says_what_it_is(tmp_path: Path) -> None:
    save(result(weights={"table": np.zeros(3, np.float32)}), tmp_path / "out")
    header = header_of(tmp_path / "out")
    assert (header["format"], header["format_version"], header["task"]) == ("napari-diner", "1", "lensless")
    assert LenslessRecipe.parse(json.loads(header["recipe"])) == result().recipe
    # without a header of its own, that of the first array
    assert (header["axes"], json.loads(header["scale_um"])) == ("YX", [2.0, 2.0])


def test_what_a_result_says_of_its_weights_comes_before_what_its_arrays_say(tmp_path: Path) -> None:
    own = {"axes": "ZYX", "scale_um": "[3.0, 1.0, 1.0]", "low": "0.5"}
    save(result(weights={"table": np.zeros(3, np.float32)}, header=own), tmp_path / "out")
    header = header_of(tmp_path / "out")
    assert {name: header[name] for name in own} == own
    assert header["format"] == "napari-diner"


def test_without_weights_there_is_no_model(tmp_path: Path) -> None:
    save(result(header={"low": "0.5"}), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["phase.tif", "recipe.yaml", "report.json"]


def test_a_partial_result_says_so(tmp_path: Path) -> None:
    save(result(partial=True), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["partial"] is True


def test_what_an_earlier_result_had_more_is_removed(tmp_path: Path) -> None:
    save(result(weights={"table": np.zeros(3, np.float32)}), tmp_path)
    with pytest.raises(OutputError, match="exists"):
        save(result(), tmp_path)
    save(result(), tmp_path, overwrite=True)
    assert not (tmp_path / "model.safetensors").exists()


def test_reports_are_standard_json() -> None:
    values = {
        "db": float("inf"),
        "none": np.float64("nan"),
        "count": np.int64(3),
        "list": np.arange(2),
        "path": Path("a"),
    }
    text = to_json(values)
    assert json.loads(text, parse_constant=pytest.fail) == {
        "db": None,
        "none": None,
        "count": 3,
        "list": [0, 1],
        "path": "a",
    }


def test_a_folder_without_a_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no result"):
        load(tmp_path)


def test_files_that_a_recipe_names_are_not_replaced(tmp_path: Path) -> None:
    save(result(), tmp_path)
    own = LenslessRecipe(stack=str(tmp_path / "phase.tif"))
    with pytest.raises(OutputError, match=r"phase\.tif, an input of this run"):
        save(result(recipe=own), tmp_path, overwrite=True)
    assert load(tmp_path).recipe == result().recipe


def test_a_result_that_is_replaced_while_it_is_read_is_of_one_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, read, replacements = tmp_path / "out", saving.read_image_file, iter([2, 3])
    save(result(report={"version": 1}), out)

    def meanwhile(path: Path) -> NamedArray:
        version = next(replacements, 0)
        if version:
            newer = NamedArray("phase", np.full((3, 4), version, np.float32), "YX", (2.0, 2.0), "rad")
            save(result(arrays=(newer,), report={"version": version}), out, overwrite=True)
        return read(path)

    monkeypatch.setattr(saving, "read_image_file", meanwhile)
    back = load(out)
    assert back.report["version"] == 3 and np.all(back["phase"].data == 3)


def test_images_that_belong_to_a_result_are_replaced_with_it(tmp_path: Path) -> None:
    recipe = LenslessRecipe.parse({"task": "lensless", "preprocess": {"dark": "dark.tif"}})
    for level in (1, 2):
        image = np.full((3, 4), level, np.float32)
        save(result(recipe=recipe, images={"preprocess.dark": image}), tmp_path / "out", overwrite=level > 1)
        np.testing.assert_array_equal(np.load(tmp_path / "out" / "dark.npy"), image)
    (tmp_path / "out" / "mine.npy").write_text("mine")
    save(result(), tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "dark.npy").exists() and (tmp_path / "out" / "mine.npy").exists()


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("save_as", ["ome-zarr", "ome-zarr-0.4"])
def test_images_can_be_ome_zarr(save_as: str, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    recipe, out = result().recipe, tmp_path / "out"
    stack = NamedArray("residual", np.random.default_rng(0).random((3, 8, 9)), "NYX", (1.0, 2.0, 2.0))
    save(result(arrays=(PHASE, stack)), out)
    (out / "notes.txt").write_text("mine")
    save(result(arrays=(PHASE, stack), recipe=recipe.updated({"save_as": save_as})), out, overwrite=True)
    assert files_in(out) == {"phase.ome.zarr", "residual.ome.zarr", "report.json", "recipe.yaml", "notes.txt"}
    back = load(out)
    assert (back["phase"].axes, back["phase"].scale_um, back["phase"].unit) == ("YX", (2.0, 2.0), "rad")
    np.testing.assert_array_equal(back["residual"].data, stack.data)
    # it is replaced as a whole, but for files of the user's in it
    (out / "residual.ome.zarr" / "notes.txt").write_text("mine")
    save(result(), out, overwrite=True)
    assert files_in(out) == {"phase.tif", "residual.ome.zarr", "report.json", "recipe.yaml", "notes.txt"}
    assert [path.name for path in (out / "residual.ome.zarr").rglob("*")] == ["notes.txt"]
