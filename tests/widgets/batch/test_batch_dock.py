"""The dock that runs a plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_diner.widgets.batch.dock import BatchDock
from tests.execution.conftest import frames, quick, write
from tests.kit.docks import answer
from tests.widgets.conftest import open_dock


def shown(dock: BatchDock) -> dict[str, tuple[str, str]]:
    """Return state and message of each line by the name of the recording."""
    lines = [[dock.table.item(line, column).text() for column in range(3)] for line in range(dock.table.rowCount())]  # type: ignore[union-attr]
    return {name: (state, message) for name, state, message in lines}


@pytest.fixture
def dock(make_napari_viewer: Callable[[], Any], tmp_path: Path) -> BatchDock:
    for number in range(2):
        write(tmp_path / f"{number}.tif", frames(seed=number))
    (tmp_path / "2.tif").write_bytes((tmp_path / "1.tif").read_bytes()[:900])
    (tmp_path / "plan.yaml").write_text(str({"recipe": quick(), "items": "?.tif"}))
    dock = open_dock(make_napari_viewer(), "batch")
    assert isinstance(dock, BatchDock)
    return dock


def test_a_plan_is_run_and_a_result_opens(
    dock: BatchDock, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock.run_button.click()
    assert dock.status.text() == "Choose a plan and a folder for the results"
    answer(monkeypatch, "getOpenFileName", (str(tmp_path / "plan.yaml"), ""))
    dock._pick_plan()
    assert dock.output.text() == str(tmp_path / "plan-results")
    dock.run_button.click()
    assert dock.running
    assert not dock.run_button.isEnabled()
    qtbot.waitUntil(lambda: not dock.running, timeout=60_000)
    lines = shown(dock)
    assert {name: state for name, (state, _) in lines.items()} == {"0": "done", "1": "done", "2": "failed"}
    assert "truncated" in lines["2"][1]
    assert dock.status.text().startswith(f"2 done, 1 failed, in {tmp_path / 'plan-results'}")
    dock.table.cellDoubleClicked.emit(2, 0)
    assert not dock.viewer.layers
    dock.table.cellDoubleClicked.emit(1, 0)
    assert [layer.name for layer in dock.viewer.layers] == ["1 residual", "1 amplitude", "1 phase"]
    # once more: what is done stays
    dock.run_button.click()
    qtbot.waitUntil(lambda: not dock.running, timeout=60_000)
    assert shown(dock)["0"][0] == "unchanged"


def test_cancelling_keeps_what_is_done_and_errors_are_shown(dock: BatchDock, qtbot: QtBot, tmp_path: Path) -> None:
    lasting = {"solver": "diner", "start": "flat", "gradient": {"iterations": 10_000_000, "patience": None}}
    plan = {"recipe": quick(), "items": "?.tif", "overrides": {"1": lasting}}
    (tmp_path / "plan.yaml").write_text(str(plan).replace("None", "null"))
    dock.plan.setText(str(tmp_path / "plan.yaml"))
    dock.output.setText(str(tmp_path / "out"))
    dock.run_button.click()
    qtbot.waitUntil(lambda: shown(dock).get("1", ("", ""))[1].startswith("diner"), timeout=60_000)
    dock.cancel_button.click()
    qtbot.waitUntil(lambda: not dock.running, timeout=60_000)
    assert {name: state for name, (state, _) in shown(dock).items()} == {"0": "done", "1": "waiting", "2": "waiting"}
    assert not (tmp_path / "out" / "1").exists()
    (tmp_path / "plan.yaml").write_text("{recipe: none.yaml, items: '?.tif', itms: 3}")
    dock.run_button.click()
    qtbot.waitUntil(lambda: not dock.running, timeout=60_000)
    assert "The plan has no key 'itms'" in dock.status.text()


def test_recordings_in_a_watched_folder_become_layers(
    dock: BatchDock, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (tmp_path / "recipe.yaml").write_text(str(quick()))
    answer(monkeypatch, "getExistingDirectory", str(incoming))
    dock._pick_watched()
    dock.run_button.click()
    assert dock.status.text() == "Choose a recipe and a folder for the results"
    dock.plan.setText(str(tmp_path / "recipe.yaml"))
    dock.output.setText(str(tmp_path / "out"))
    dock.run_button.click()
    qtbot.waitUntil(lambda: (tmp_path / "out" / "batch.html").exists(), timeout=60_000)
    whole = (tmp_path / "1.tif").read_bytes()
    (incoming / "b.tif").write_bytes(whole[:900])
    added: list[str] = []
    dock.viewer.layers.events.inserted.connect(lambda event: added.append(event.value.name))
    name = "incoming/b"
    qtbot.waitUntil(lambda: "truncated" in shown(dock).get(name, ("", ""))[1], timeout=60_000)
    assert not added
    (incoming / "b.tif").write_bytes(whole)
    qtbot.waitUntil(lambda: f"{name} phase" in added or "phase" in added, timeout=60_000)
    assert added[0] == f"{name} (preview)"
    assert [layer.name for layer in dock.viewer.layers] == [
        f"{name} {part}" for part in ("residual", "amplitude", "phase")
    ]
    dock.cancel_button.click()
    qtbot.waitUntil(lambda: not dock.running, timeout=60_000)
