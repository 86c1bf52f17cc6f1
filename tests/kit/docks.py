"""Using docks as people do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog

Wait = Callable[[Any], None]


def answer(monkeypatch: pytest.MonkeyPatch, dialog: str, reply: Any) -> None:
    """Answer a file dialog, such as ``getOpenFileName``."""
    monkeypatch.setattr(QFileDialog, dialog, lambda *_, **__: reply)


def run(dock: Any, wait_for_end: Wait) -> str:
    """Press Run, wait for the end, and return the status."""
    dock.panel.run_button.click()
    wait_for_end(dock.panel)
    return str(dock.panel.status.text())


def wait_for_preview(qtbot: QtBot, dock: Any) -> None:
    """Wait until a dock shows its next preview."""
    with qtbot.waitSignal(dock.panel.previewed, timeout=60_000):
        pass
