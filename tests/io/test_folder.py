"""A result folder is written whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from napari_diner.errors import OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.contents import write_contents
from napari_diner.io.folder import REPORT, check_output, is_demo, staged, with_manifest
from napari_diner.io.ometiff import read_array

PHASE = NamedArray("phase", np.random.default_rng(3).random((4, 5)).astype(np.float32), "YX", (2.0, 2.0), "rad")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_folder(folder: Path, arrays: Iterable[NamedArray], files: dict[str, str], **options: Any) -> None:
    overwrite = options.pop("overwrite", False)
    with staged(folder, overwrite) as stage:
        write_contents(stage, arrays, files, **options)


def report(*names: str) -> dict[str, str]:
    return {REPORT: json.dumps({"files": [*names, REPORT]})}


def test_all_files_are_there(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    weights = {"table": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    write_folder(out, [PHASE], {"recipe.yaml": "task: lensless\n"}, weights=weights, metadata={"axes": "YX"})
    assert sorted(content(tmp_path)) == ["a/b/model.safetensors", "a/b/phase.tif", "a/b/recipe.yaml"]
    np.testing.assert_array_equal(read_array(out / "phase.tif").data, PHASE.data)
    with safe_open(out / "model.safetensors", framework="numpy") as file:
        assert file.metadata() == {"axes": "YX"}
        np.testing.assert_array_equal(file.get_tensor("table"), weights["table"])


def test_without_weights_there_is_no_model(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", [PHASE], {})
    assert list(content(tmp_path)) == ["out/phase.tif"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def arrays() -> Iterator[NamedArray]:
        yield PHASE
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_folder(tmp_path / "x" / "out", arrays(), {})
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, [PHASE], report("phase.tif"))
    before = content(tmp_path)
    with pytest.raises(ZeroDivisionError), staged(out, overwrite=True) as stage:
        (stage / "phase.tif").write_text("half")
        raise ZeroDivisionError
    assert content(tmp_path) == before


def test_a_folder_that_holds_something_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, [PHASE], {})
    before = content(tmp_path)
    with pytest.raises(OutputError, match="exists; choose another one or add overwrite"):
        write_folder(out, [], {"recipe.yaml": "new"})
    assert content(tmp_path) == before


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write_folder(tmp_path, [PHASE], {})
    assert list(content(tmp_path)) == ["phase.tif"]


def test_overwriting_replaces_results_and_keeps_what_is_not_ours(tmp_path: Path) -> None:
    weights = {"table": np.zeros(3, np.float32)}
    old = {**report("phase.tif", "model.safetensors", "recipe.yaml"), "recipe.yaml": "old"}
    write_folder(tmp_path, [PHASE], old, weights=weights)
    (tmp_path / "stack.tif").write_text("the only copy of the data")
    new = NamedArray("phase", PHASE.data + 1, "YX", (2.0, 2.0), "rad")
    write_folder(tmp_path, [new], {**report("phase.tif", "recipe.yaml"), "recipe.yaml": "new"}, overwrite=True)
    assert sorted(content(tmp_path)) == ["phase.tif", "recipe.yaml", "report.json", "stack.tif"]
    assert (tmp_path / "recipe.yaml").read_text() == "new"
    np.testing.assert_array_equal(read_array(tmp_path / "phase.tif").data, new.data)


def test_overwriting_replaces_folders(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with staged(tmp_path / "out", overwrite=True) as stage:
            (stage / "sample").mkdir()
            (stage / "sample" / f"{text}.txt").write_text(text)
            (stage / "sample" / "recipe.yaml").write_text(with_manifest("seed: 1", [f"{text}.txt"]))
            (stage / REPORT).write_text(json.dumps({"files": ["sample", REPORT]}))
    assert sorted(content(tmp_path / "out")) == [REPORT, "sample/new.txt", "sample/recipe.yaml"]


def test_a_report_cannot_have_other_folders_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    out = tmp_path / "out"
    write_folder(out, [], report("../precious", "..", ".", str(tmp_path / "precious"), "", "out", "a.exe"))
    (out / "a.exe").write_text("none of the kinds that are written here")
    write_folder(out, [PHASE], {}, overwrite=True)
    (out / "a.exe").unlink()
    assert (tmp_path / "precious").read_text() == "keep"
    assert list(content(out)) == ["phase.tif"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        check_output(tmp_path / "file", overwrite=True)
    with pytest.raises(OutputError, match="which is a file"):
        check_output(tmp_path / "file" / "out", overwrite=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(locked / "out", overwrite=False)


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_others_may_read_the_results(tmp_path: Path) -> None:
    out = tmp_path / "out"
    mask = os.umask(0o022)
    try:
        write_folder(out, [PHASE], report(), weights={"a": np.zeros(2, np.float32)})
    finally:
        os.umask(mask)
    assert stat.S_IMODE(out.stat().st_mode) == 0o755
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o644}


def test_a_demonstration_is_recognised_by_its_report(tmp_path: Path) -> None:
    assert not is_demo(tmp_path)
    for text in ("no JSON", "[]", "{}", json.dumps({"files": ["sample"]}), json.dumps({"comparison": {}, "files": []})):
        (tmp_path / REPORT).write_text(text)
        assert not is_demo(tmp_path)
    (tmp_path / REPORT).write_text(json.dumps({"comparison": {}, "files": ["sample", REPORT]}))
    assert is_demo(tmp_path)
