"""Killed workers: only their items are run again, and an item that kills every worker is given up."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

import napari_diner as nd
from napari_diner.execution.batch import Batch
from napari_diner.execution.cluster import executor
from napari_diner.execution.plan import Plan
from napari_diner.io.folder import checkpoint_path
from tests.execution.conftest import content, frames, quick, write

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

LASTING = {"solver": "diner", "start": "flat", "gradient": {"iterations": 10_000_000}, "max_seconds": 0.6,
           "checkpoint_seconds": 0.01}  # fmt: skip


@pytest.mark.slow
def test_the_item_of_a_killed_worker_is_run_again_and_no_other(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "data" / f"{number}.tif", frames(seed=number))
    recordings = [str(tmp_path / "data" / "*.tif")]
    plan = Plan(recipe=quick(), items=recordings, overrides={"data/[01]": LASTING})
    places: dict[str, set[str]] = defaultdict(set)
    killed: dict[str, str] = {}
    listening: set[str] = set()
    with Batch(plan, tmp_path / "out", executor=executor(2)) as work:
        for changed in work:
            for record in changed:
                if record.state == "running":
                    places[record.name].add(record.place)
                    # nobody else can reach scheduler, workers and their dashboards
                    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
                    listening |= {
                        connection.laddr.ip
                        for process in processes
                        for connection in process.net_connections()
                        if connection.status == psutil.CONN_LISTEN
                    }
                has_begun = checkpoint_path(tmp_path / "out" / record.name).exists()
                if record.message.startswith("diner") and has_begun and not killed:
                    killed[record.name] = record.place
                    os.kill(int(record.place), signal.SIGKILL)
    assert [record.state for record in work.records.values()] == ["done"] * 4, work.records
    assert listening == {"127.0.0.1"}
    ((victim, place),) = killed.items()
    assert work.records[victim].place != place
    assert {name: len(where) for name, where in places.items()} == {name: 1 + (name == victim) for name in work.records}
    assert json.loads((tmp_path / "out" / victim / "report.json").read_text())["resumed_after_s"]
    # and the results are those of one process, to the last byte
    nd.batch({"recipe": quick(), "items": [str(tmp_path / "data" / "3.tif")]}, tmp_path / "alone")
    folders = (tmp_path / "out" / "data" / "3", tmp_path / "alone" / "data" / "3")
    assert content(folders[0]) == content(folders[1])
