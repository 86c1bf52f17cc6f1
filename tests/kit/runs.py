"""Driving runs of tasks."""

from __future__ import annotations

from typing import Any

from napari_diner.tasks.result import Result
from napari_diner.tasks.run import Run


def finished(run: Run[Any], compares_settings: bool = True) -> Result:
    """Return the result of a run that is driven to its end and closed; see `Run.compares_settings`."""
    run.compares_settings = compares_settings
    with run:
        for _ in run:
            pass
        return run.result()
