"""The layers of the package, and deferred imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "napari", "qtpy", "PyQt5", "PyQt6", "PySide6", "magicgui", "superqt", "pyqtgraph", "vispy")


def test_the_layers_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "module",
    [
        "napari_diner",
        "napari_diner.cli",
        "napari_diner.errors",
        "napari_diner.io.arrays",
        "napari_diner.tasks.recipe",
        "napari_diner.tasks.run",
        "napari_diner.tasks.lensless.recipe",
    ],
)
def test_importing_loads_neither_torch_nor_qt(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == []


def test_the_docks_load_no_torch_before_a_run() -> None:
    code = """
import pathlib, pkgutil, sys
import napari_diner.widgets as package
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    __import__(module.name)
print("torch" in sys.modules)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == "False"
