"""Interrupting work in a thread."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from napari_diner.errors import NoResultError
from napari_diner.tasks.result import Progress
from napari_diner.widgets.dock.interruption import Interrupted, Interruption
from napari_diner.widgets.dock.run_worker import Controls, drive


def test_an_import_is_completed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time\nfor _ in range(30): time.sleep(0.005)\ndone = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    interruption, ended = Interruption(), []

    def work() -> None:
        try:
            with interruption:
                importlib.import_module("slow_to_import")
                while True:
                    time.sleep(0.005)
        except Interrupted:
            ended.append("slow_to_import" in sys.modules and sys.modules["slow_to_import"].done)

    thread = threading.Thread(target=work)
    thread.start()
    while "slow_to_import" not in sys.modules:
        time.sleep(0.001)
    interruption.request()
    thread.join(10)
    assert ended == [True]


@pytest.mark.parametrize("best", ["the best", None])
def test_a_step_that_takes_long_is_broken_off_and_the_best_so_far_is_kept(best: str | None) -> None:
    class Endless:
        warnings = notes = ()
        compares_settings = True
        closed = False

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self.closed = True

        def __iter__(self) -> Iterator[Progress]:
            yield Progress("descent", 1, 2, {"loss": 1.0}, 0.0, None)
            while True:
                time.sleep(0.005)

        def result(self) -> str:
            time.sleep(0.1)  # it is not broken off itself
            if best is None:
                raise NoResultError("There is none yet")
            return best

    controls, run, ended = Controls(), Endless(), list[object]()

    def work() -> None:
        steps = drive(lambda: run, controls)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                ended.append(end.value)
                return

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.1)
    controls.stop()
    thread.join(10)
    assert ended == [best]
    assert run.closed and not run.compares_settings
