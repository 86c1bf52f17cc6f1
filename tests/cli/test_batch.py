"""The command that runs many recordings."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SCRIPT = "import sys; from napari_diner.cli import main; main()"


@pytest.fixture
def plan(recording: Path) -> Path:
    """A plan for three stacks, one of which is cut off, and a file beside them."""
    for name in ("a", "b"):
        shutil.copy(recording / "stack.tif", recording / f"{name}.tif")
    (recording / "c.tif").write_bytes((recording / "stack.tif").read_bytes()[:999])
    (recording / "n.txt").write_text("pH 7")
    path = recording / "plan.yaml"
    path.write_text("recipe: recipe.yaml\nitems: '?.*'\n")
    return path


def test_a_batch_ends_with_what_failed_and_goes_on_when_it_is_repeated(run: Run, plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    finished = run("batch", plan, "-o", out)
    assert finished.code == 2
    assert "2 done, 1 failed" in finished.out
    lines = finished.err.splitlines()
    assert f"note: {plan.parent / 'n.txt'} is no item: it is not of a format that can be read" in lines
    assert any(line.startswith("failed: c: ") and "c.tif is truncated" in line for line in lines)
    assert (out / "a" / "phase.tif").is_file()
    shutil.copy(plan.parent / "a.tif", plan.parent / "c.tif")
    finished = run("batch", plan, "-o", out)
    assert finished.code == 0
    assert "2 unchanged, 1 done" in finished.out
    finished = run("batch", plan, "-o", out, "-q")
    assert (finished.code, finished.out, finished.err) == (0, "", "")


def test_a_wrong_plan_is_named_with_its_keys(run: Run, plan: Path, tmp_path: Path) -> None:
    plan.write_text("recipe: recipe.yaml\nitems: [{source: a.tif, name: ../up}]\n")
    finished = run("batch", plan, "-o", tmp_path / "out")
    assert finished.code == 2
    assert f"The plan {plan}: items.name = '../up' cannot be used" in finished.err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_an_interrupted_batch_keeps_the_finished_items(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan.write_text(
        plan.read_text() + "overrides: {b: {solver: diner, start: flat, gradient: {iterations: 10000000}}}\n"
    )
    command = [sys.executable, "-c", SCRIPT, "batch", str(plan), "-o", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not (out / "a").is_dir() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "1 done" in said[0]
    assert (out / "a" / "report.json").is_file()
    assert {path.name for path in out.iterdir()} == {"a", "batch.json", "batch.csv", "batch.html"}
