"""Interrupting work in a thread."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from pathlib import Path

import pytest

from napari_diner.widgets.dock.interruption import Interrupted, Interruption


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
