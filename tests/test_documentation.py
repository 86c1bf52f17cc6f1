"""The documentation: links, recipes, commands and Python examples work."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

import napari_diner as nd
from napari_diner.cli.options import assignment
from napari_diner.execution.plan import Plan
from napari_diner.settings import all_keys
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.registry import tasks

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = [*sorted((ROOT / "benchmarks").glob("[a-z]*.py")), ROOT / "docs" / "make_screenshots.py"]
RECIPES: dict[str, type[Recipe]] = {name: task.recipe_type for name, task in tasks().items()}
BLOCK = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """Return (page, text) for each block of code in a language."""
    found = [(page.name, match) for page in PAGES for match in BLOCK.finditer(page.read_text("utf-8"))]
    return [(name, match[3]) for name, match in found if match[2] == language]


def commands() -> list[tuple[str, list[str]]]:
    """Return (page, arguments) for each call of napari-diner."""
    found = []
    for page, text in blocks("bash"):
        for line in text.replace("\\\n", " ").splitlines():
            for call in re.split(r"&&|;", line):
                words = shlex.split(call, comments=True)
                if words and Path(words[0]).name == "napari-diner":
                    found.append((page, words[1:]))
    return found


@cache
def help_of(command: str) -> str:
    program = Path(sys.executable).with_name("napari-diner")
    arguments = [str(program), *command.split(), "--help"]
    finished = subprocess.run(arguments, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"`[^`]*`", "", BLOCK.sub("", page.read_text("utf-8")))
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose)
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not missing


def test_every_image_is_shown() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert not [path.name for path in (ROOT / "docs" / "images").iterdir() if f"images/{path.name}" not in text]


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_recipes_and_plans_are_valid(page: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a recipe that names a table of directions is read with it
    (tmp_path / "leds.csv").write_text("NA_y,NA_x\n0.1,0.2\n")
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load(text)
    if "items" in values:
        Plan(**values)
        return
    RECIPES[values.get("task", "lensless")].parse(values)


@pytest.mark.parametrize(("page", "words"), commands())
def test_commands_have_the_options_shown(page: str, words: list[str]) -> None:
    if not words or words[0].startswith("-"):
        return
    command = " ".join(words[:2]) if words[0] in {"simulate", "compare"} else words[0]
    text = help_of(command)
    for option in (word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), f"{command} has no option {option}"
    for key, value in pairwise(words):
        if key == "--set":
            RECIPES[next((word for word in words if word in RECIPES), "lensless")].parse(assignment(value))


def test_settings_named_in_the_text_exist() -> None:
    keys = {key for recipe in RECIPES.values() for key in all_keys(recipe)}
    known = {leaf for key in keys for leaf in (key, key.rpartition(".")[2])}
    sections = {key.partition(".")[0] for key in keys if "." in key}
    for page in PAGES:
        for name in re.findall(r"`([a-z]+(?:_[a-z]+)+|[a-z_]+\.[a-z_]+)(?:: [^`]*)?`", page.read_text("utf-8")):
            if name.endswith("_um") or (
                "." in name and name.partition(".")[0] in sections and not name.endswith(".tif")
            ):
                assert name in known, f"{page.name}: there is no setting {name}"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_programs_import_modules_that_exist(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {program.stem for program in PROGRAMS}:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(path.parent)
    assert importlib.import_module(path.stem).__doc__
    for name in {program.stem for program in PROGRAMS}:
        sys.modules.pop(name, None)


def test_the_suite_of_benchmarks_runs_programs_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    suite = importlib.import_module("benchmarks.__main__")
    assert set(suite.QUICK_NAMES) <= set(suite.SUITE)
    for name in suite.SUITE:
        program = suite.program(name)
        assert program.is_file() or (program / "__main__.py").is_file()
    assert suite.main.__module__ == "benchmarks.__main__"


# executed in order, in one folder that holds simulated data; those of extending.md have a test of their own
@pytest.mark.parametrize("page", ["index.md", "howto.md", "python.md"])
def test_python_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = {"wavelength_um": 0.6328, "pixel_size_um": 1.67, "distances_um": [500, 600, 720, 860]}
    samples = {
        "stack": nd.sample("lensless", height_px=48, width_px=48, **recorded),
        "cells": nd.sample("idt", height_px=32, width_px=32, slices=6, frames=6, model="born"),
        "image": nd.sample("image", height_px=24, width_px=32),
    }
    for name, sample in samples.items():
        photometric = "rgb" if sample.data.axes.endswith("S") else "minisblack"
        tifffile.imwrite(tmp_path / f"{name}.tif", sample.data.data, photometric=photometric)
    shown: list[nd.Result] = []
    monkeypatch.setattr(nd, "show", shown.append, raising=False)
    monkeypatch.chdir(tmp_path)
    texts = [text for name, text in blocks("python") if name == page]
    for text in texts:
        exec(compile(text, page, "exec"), {})
    assert len(shown) == sum(text.count("nd.show(") for text in texts)
    assert all(np.isfinite(array.data).all() for result in shown for array in result.arrays)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == set(
        re.findall(r'\.save\("(\w+)"\)', "".join(texts))
    )
