"""A watched folder in which recordings arrive while others are previewed and run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from napari_diner.execution.item_run import Record
from napari_diner.execution.plan import Plan
from napari_diner.execution.watch import FolderWatch
from tests.execution.conftest import frames, quick, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


class Followed:
    """Takes a watch on until something is so, and keeps what it has said."""

    def __init__(self, work: FolderWatch) -> None:
        self.work, self.said = work, list[Record]()
        self._changes = iter(work)

    def until(self, name: str, state: str, message: str = "") -> None:
        begin, latest = len(self.said), time.monotonic() + 60
        while not any(
            record.name == name and record.state == state and message in record.message for record in self.said[begin:]
        ):
            assert time.monotonic() < latest, self.said
            self.said += next(self._changes)


def test_recordings_are_looked_at_when_they_are_complete_and_run_the_newest_first(folder: Path, tmp_path: Path) -> None:
    write(folder / "old.tif", frames(seed=1))
    out = tmp_path / "out"
    with FolderWatch(folder, Plan(recipe=quick(), items=[str(folder)]), out) as work:
        followed = Followed(work)
        followed.until("in/old", "done")
        assert not (out / "previews").exists()
        # a file that is being written waits, and so does a folder of frames that lacks some
        whole = write(tmp_path / "whole.tif", frames(seed=2)).read_bytes()
        (folder / "new.tif").write_bytes(whole[: len(whole) // 2])
        followed.until("in/new", "waiting", "truncated")
        for number, frame in enumerate(frames(seed=3)[:2]):
            write(folder / "cell" / f"{number}.tif", frame)
        followed.until("in/cell", "waiting", "3 entries but the stack has 2 frames")
        assert not (out / "in" / "new").exists()
        write(folder / "cell" / "2.tif", frames(seed=3)[2])
        (folder / "new.tif").write_bytes(whole)
        for path, seconds in ((folder / "cell" / "2.tif", 5), (folder / "new.tif", 9)):
            os.utime(path, (time.time() - seconds,) * 2)
        followed.until("in/new", "done")
        looks = [record.name for record in followed.said if "previewed" in record.message]
        assert looks == ["in/cell", "in/new"]
        assert [r.name for r in followed.said if r.state == "done"] == ["in/old", "in/cell", "in/new"]
        with Image.open(out / "previews" / "in" / "new.png") as picture:
            assert picture.size == (48, 24)
        # one that changes afterwards is run again
        before = (out / "in" / "new" / "phase.tif").read_bytes()
        write(folder / "new.tif", frames(seed=4))
        followed.until("in/new", "done")
        assert (out / "in" / "new" / "phase.tif").read_bytes() != before
    assert work.counted() == "3 done"
    assert {path.name for path in out.iterdir()} == {"in", "previews", "batch.json", "batch.csv", "batch.html"}


def test_an_earlier_result_of_other_data_is_not_lost(folder: Path, tmp_path: Path) -> None:
    stack = write(folder / "a.tif", frames(seed=1))
    plan, out = Plan(recipe=quick(), items=[str(folder)]), tmp_path / "out"
    with FolderWatch(folder, plan, out) as work:
        Followed(work).until("in/a", "done")
    before = (out / "in" / "a" / "phase.tif").read_bytes()
    write(stack, frames(seed=2))
    with FolderWatch(folder, plan, out) as work:
        Followed(work).until("in/a", "failed", "exists")
    assert (out / "in" / "a" / "phase.tif").read_bytes() == before


def test_a_watch_survives_what_happens_to_files(folder: Path, tmp_path: Path) -> None:
    """The recipe is edited, a recording is removed, and another one takes the place of the first, with its time."""
    recipe, new = tmp_path / "recipe.yaml", tmp_path / "new.tif"
    recipe.write_text(str(quick()))
    stack = write(folder / "a.tif", frames(seed=1))
    with FolderWatch.of(folder, recipe, tmp_path / "out") as work:
        followed = Followed(work)
        followed.until("in/a", "done")
        recipe.write_text("task: [")
        (folder / "half.tif").write_bytes(b"II*\0")
        followed.until("in/half", "waiting", "truncated")
        (folder / "half.tif").unlink()
        times = stack.stat().st_atime_ns, stack.stat().st_mtime_ns
        os.utime(write(new, frames(seed=2)), ns=times)
        new.replace(stack)
        followed.until("in/a", "done")
    assert work.counted() == "1 done"
