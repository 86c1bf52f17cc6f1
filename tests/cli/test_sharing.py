"""Shared results: without folders of the user's machine, and still repeatable in place."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_diner as nd
from napari_diner.errors import DinerError
from napari_diner.io.folder import destination, staged
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.recipe import input_files
from napari_diner.tasks.sharing import seen, shared, without_folders
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/home/ada/scans/x.tif", "../../scans/x.tif"),
        ("/home/ada/results/run/x.tif", "x.tif"),
        ("/home/ada/x.h5::raw/frames", "../../x.h5::raw/frames"),
        ("/home/ada/results/../x.tif", "../../x.tif"),
        ("/home/ada/scans/*.tif", "../../scans/*.tif"),
    ],
)
def test_files_within_the_home_are_named_from_the_folder(file: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert seen(file, Path("/home/ada/results/run")) == name


@pytest.mark.parametrize(
    ("file", "folder", "name"),
    [
        ("/home/ada/scans/x.tif", "/data/run", "x.tif"),
        ("/home/ben/scans/x.tif", "/home/ada/run", "x.tif"),
        ("/mnt/lab/ada/x.h5::raw", "/home/ada/run", "x.h5::raw"),
        ("/mnt/lab/scans/x.tif", "/home/ada/run", "../../../mnt/lab/scans/x.tif"),
        ("/data/scans/x.tif", "/data/run", "../scans/x.tif"),
    ],
)
def test_a_way_that_tells_who_the_user_is_is_left_out(
    file: str, folder: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert seen(file, Path(folder)) == name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
@pytest.mark.parametrize("name", ["a::b.tif", "::.tif", "a::"])
def test_a_file_whose_name_looks_like_that_of_a_part(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / name
    tifffile.imwrite(file, np.eye(16, dtype=np.uint8))
    recipe = FitRecipe(image=str(file))
    assert input_files(recipe) == [file]
    assert shared(recipe, tmp_path / "out").image == f"../data/{name}"


def test_texts_of_reports_name_files_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    recipe = FitRecipe(image='/home/ada/a "b"/x.tif')
    text = r'{"warnings": ["/home/ada/a \"b\"/x.tif is dark", "see /home/ada/notes"]}'
    shown = r'{"warnings": ["../../a \"b\"/x.tif is dark", "see ~/notes"]}'
    assert without_folders(text, recipe, Path("/home/ada/results/run")) == shown


def test_a_user_without_a_home_can_save_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that a container runs by a number it does not know."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    recipe = FitRecipe(image="/data/scans/x.tif")
    assert without_folders('["/data/scans/x.tif"]', recipe, Path("/data/run")) == '["../scans/x.tif"]'


def test_a_stage_knows_where_its_content_goes(tmp_path: Path) -> None:
    with staged(tmp_path / "out") as stage:
        assert destination(stage / "part") == tmp_path / "out" / "part"
    assert destination(tmp_path / "out") == tmp_path / "out"


def test_no_file_of_a_result_holds_a_folder_and_it_is_repeated_where_it_was_moved_with_its_data(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "lovelace" / "project"
    monkeypatch.setenv("HOME", str(before.parent))
    (before / "scans").mkdir(parents=True)
    values = np.random.default_rng(0).integers(0, 9, (24, 30), np.uint8)
    tifffile.imwrite(before / "scans" / "x.tif", values)
    words = ("--epochs", "2", "-q")
    assert run("fit", before / "scans" / "x.tif", "-o", before / "results" / "first", *words).code == 0
    for file in (before / "results" / "first").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes() and b"lovelace" not in file.read_bytes(), file.name
    after = tmp_path / "elsewhere"
    shutil.move(before, after)
    assert run("run", after / "results" / "first" / "recipe.yaml", "-o", after / "second", "-q").code == 0
    for folder in (after / "results" / "first", after / "second"):
        assert nd.load(folder).recipe.image == str(after / "scans" / "x.tif")  # type: ignore[attr-defined]
    (after / "scans" / "x.tif").unlink()
    failed = run("run", after / "second" / "recipe.yaml", "-o", after / "third", "-q")
    assert failed.code == 2 and "put the data there, or name them with" in failed.err


def test_others_data_are_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(DinerError, match=r"x\.tif does not exist; names in this recipe are relative to its folder"):
        nd.fit(recipe=FitRecipe(image=str(tmp_path / "x.tif"), input_sha256="0" * 64))
