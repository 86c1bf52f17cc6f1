"""The command that runs many recordings."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
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


@pytest.mark.slow
def test_a_batch_ends_with_what_failed_and_goes_on_when_it_is_repeated(run: Run, plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    finished = run("batch", plan, "-o", out)
    assert finished.code == 2
    assert "2 done, 1 failed" in finished.out
    lines = finished.err.splitlines()
    assert f"note: {plan.parent / 'n.txt'} is not an item: its format is not supported" in lines
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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither such signals nor such terminals")
def test_an_interrupted_batch_keeps_the_finished_items(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lasting = "{solver: diner, start: flat, gradient: {iterations: 10000000, patience: null}}"
    plan.write_text(plan.read_text() + f"overrides: {{b: {lasting}}}\n")
    command = [sys.executable, "-c", SCRIPT, "batch", str(plan), "-o", str(out), "--workers", "1"]
    ours, theirs = os.openpty()
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, text=True)
    os.close(theirs)
    seen, is_told = b"", False
    with contextlib.suppress(OSError):  # that the other end is closed
        while more := os.read(ours, 65536):
            seen += more
            if b"diner 2" in seen and not is_told:
                process.send_signal(signal.SIGINT)
                is_told = True
    said = process.communicate(timeout=60)[0]
    os.close(ours)
    assert process.returncode == 130, seen.decode()
    # the table tells what is done, what runs and how far it is
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert re.search(r"b +running +diner 2\d*/10000000", shown), shown
    assert re.search(r"a +done +\d+\.\d s", shown), shown
    assert "1 done, 1 running, 1 waiting" in shown
    assert said.startswith("1 done, 2 waiting")
    assert (out / "a" / "report.json").is_file()
    assert {path.name for path in out.iterdir()} == {"a", "batch.json", "batch.csv", "batch.html"}
