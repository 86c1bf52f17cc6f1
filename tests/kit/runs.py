"""Driving runs of tasks."""

from __future__ import annotations

from typing import Any

from napari_diner.tasks.result import Result
from napari_diner.tasks.run import Run


def finished(run: Run[Any]) -> Result:
    """Return the result of a run that is driven to its end and closed."""
    with run:
        for _ in run:
            pass
        return run.result()
