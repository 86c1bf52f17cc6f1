"""Executors of items, and their number at the same time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from napari_diner.errors import RecipeError
from napari_diner.execution.batch import one_after_the_other
from napari_diner.execution.cluster import executor
from napari_diner.execution.items import Item, items_of
from napari_diner.execution.plan import Plan
from napari_diner.execution.sizing import fitting_workers
from tests.execution.conftest import frames, quick, write


def items(folder: Path, **changes: object) -> tuple[Item, ...]:
    for number in range(3):
        write(folder / f"{number}.tif", frames(seed=number))
    return items_of(Plan(recipe=quick(device="cpu", **changes), items=[str(folder / "*.tif")]), folder / "out").items


def test_one_worker_is_this_process() -> None:
    assert executor(1) is one_after_the_other


@pytest.mark.parametrize(("workers", "threads", "key"), [(0, None, "workers"), (2, 0, "threads"), (-3, 1, "workers")])
def test_numbers_below_one_are_refused(workers: int, threads: int | None, key: str) -> None:
    number = threads if key == "threads" else workers
    with pytest.raises(RecipeError, match=re.escape(f"{key} = {number} cannot be used")) as raised:
        executor(workers, threads)
    assert raised.value.field == key


def test_workers_fit_processors_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = items(tmp_path)
    processors = len(psutil.Process().cpu_affinity())
    assert fitting_workers(small) == min(processors, 3)
    assert fitting_workers(small[:1]) == 1
    assert fitting_workers(small, threads=processors + 1) == 1
    free = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free._replace(available=2 * 2**30))
    assert fitting_workers(small) == min(processors, 3)
    write(tmp_path / "2.tif", frames(seed=2, size=2400))
    assert fitting_workers(small) == 1


def test_a_scheduler_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(RecipeError, match="The scheduler at scheduler = nonsense://x cannot be reached"):
        next(executor(scheduler="nonsense://x")(items(tmp_path), tmp_path / "out", False))


def test_a_scheduler_with_encryption_needs_certificates(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(RecipeError, match="needs certificates"):
        next(executor(scheduler="tls://127.0.0.1:1")(items(tmp_path), tmp_path / "out", False))


@pytest.mark.slow
def test_a_script_without_a_guard_is_explained(tmp_path: Path) -> None:
    items(tmp_path)
    script = tmp_path / "script.py"
    plan = {"recipe": quick(), "items": [str(tmp_path / "*.tif")]}
    script.write_text(f"import napari_diner as nd\nnd.batch({plan}, {str(tmp_path / 'out')!r}, workers=2)\n")
    finished = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 1
    assert "RecipeError: The processes for workers cannot be started" in finished.stderr
