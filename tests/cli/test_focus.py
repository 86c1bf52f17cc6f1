"""Distances from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import DISTANCES_UM, PIXEL_UM, Run

OPTICS = ["--wavelength-um", "0.532", "--pixel-size-um", str(PIXEL_UM)]


def test_distances_are_found_and_can_be_gone_on_with(run: Run, recording: Path, tmp_path: Path) -> None:
    rough = ",".join(str(z * 1.03) for z in DISTANCES_UM)
    finished = run(
        "focus", recording / "stack.tif", "-o", tmp_path / "found", *OPTICS, "--distances-um", rough, "--rounds", 10
    )
    assert finished.code == 0, finished.err
    assert "all frames together" in finished.out and "lensless.yaml" in finished.out
    report = json.loads((tmp_path / "found/report.json").read_text())
    assert report["task"] == "focus" and len(report["distances_um"]) == 3
    assert set(report["files"]) == {entry.name for entry in (tmp_path / "found").iterdir()}
    assert {"focus.csv", "focus.png", "lensless.yaml", "refocused.tif"} <= set(report["files"])
    assert yaml.safe_load((tmp_path / "found/lensless.yaml").read_text())["distances_um"] == pytest.approx(
        report["distances_um"]
    )
    # the table serves as the list of distances of the next command
    next_one = run(
        "lensless", recording / "stack.tif", "-o", tmp_path / "next", *OPTICS, "--distances-um",
        tmp_path / "found/focus.csv", "--solver", "alternating", "--alternating.iterations", 2,
    )  # fmt: skip
    assert next_one.code == 0, next_one.err


def test_a_search_is_repeated_from_its_recipe(run: Run, recording: Path, tmp_path: Path) -> None:
    options = ["--near-um", "250", "--far-um", "550", "--step-um", "30", "--no-joint", "--quiet"]
    first = run("focus", recording / "stack.tif", "-o", tmp_path / "one", *OPTICS, *options)
    assert first.code == 0, first.err
    assert first.out == ""
    assert run("run", tmp_path / "one/recipe.yaml", "-o", tmp_path / "two").code == 0
    one, two = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "two"))
    assert one["distances_um"] == two["distances_um"]


def test_where_to_search_must_be_said(run: Run, recording: Path, tmp_path: Path) -> None:
    finished = run("focus", recording / "stack.tif", "-o", tmp_path / "found", *OPTICS)
    assert finished.code == 2
    assert "The range to search is missing" in finished.err and finished.err.count("\n") == 1
    assert not (tmp_path / "found").exists()


def test_a_recipe_writes_the_files_of_the_command(run: Run, recording: Path, tmp_path: Path) -> None:
    options = ["--near-um", "250", "--far-um", "550", "--step-um", "50", "--rounds", 3, "-q"]
    assert run("focus", recording / "stack.tif", "-o", tmp_path / "one", *OPTICS, *options).code == 0
    assert run("run", tmp_path / "one/recipe.yaml", "-o", tmp_path / "two", "-q").code == 0
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert set(one) == set(two) >= {"focus.csv", "focus.png", "lensless.yaml"}
    assert one["focus.csv"] == two["focus.csv"]
