"""After a crash of napari, the same run continues; after Stop, it starts from the beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

import napari_diner as nd
from napari_diner.tasks.python_data import as_frames
from napari_diner.tasks.registry import task
from napari_diner.widgets.dock.run_worker import Controls, drive, start


def test_a_run_goes_on_after_a_crash_but_not_after_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    sample = nd.sample("image", height_px=16, width_px=16)
    recipe = sample.recipe.updated({"image": None, "epochs": 50, "checkpoint_seconds": 1e-9})

    def begin():  # type: ignore[no-untyped-def]
        return start(task("fit"), recipe, as_frames(sample))

    run = begin()
    for _ in range(3):
        next(run)
    del run  # nobody leaves its context
    assert list(tmp_path.rglob("*.checkpoint"))
    with begin() as run:
        assert "continues from" in run.notes[-1]
        next(run)
    assert not list(tmp_path.rglob("*.checkpoint"))
    controls = Controls()
    steps = drive(begin, controls)
    next(steps)
    controls.stop()
    with pytest.raises(StopIteration):
        while True:
            next(steps)
    assert not list(tmp_path.rglob("*.checkpoint"))
    assert not begin().notes
