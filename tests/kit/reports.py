"""Reading the output of commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def report_of(folder: Path) -> dict[str, Any]:
    """Return the report in a folder of results."""
    values = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values
