"""Running a task to its end."""

from __future__ import annotations

from typing import Any

from napari_diner.tasks.result import Result
from napari_diner.tasks.run import Run


def finish(run: Run[Any]) -> Result:
    """Take all steps of a run, and return its result."""
    with run:
        for _ in run:
            pass
        return run.result()
