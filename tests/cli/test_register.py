"""Registration from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.cli.conftest import Run


def test_a_registration_is_asked_for_told_and_recorded(
    run: Run, recording: Path, physics: list[str], tmp_path: Path
) -> None:
    finished = run(
        "lensless", recording / "stack.tif", "-o", tmp_path / "out", *physics, "--registration", "similarity",
        "--gauss-newton.iterations", 1,
    )  # fmt: skip
    assert finished.code == 0, finished.err
    assert sum(line.startswith("registered") for line in finished.out.splitlines()) == 1
    found = json.loads((tmp_path / "out/report.json").read_text())["registration"]
    assert found["mode"] == "similarity"
    assert len(found["rotation_deg"]) == len(found["scale"]) == len(found["correlation"]) == 3
    assert np.shape(found["shifts_um"]) == np.shape(found["total_shifts_um"]) == (3, 2)
    assert "registration: similarity" in (tmp_path / "out/recipe.yaml").read_text()


def test_an_unknown_kind_is_refused(run: Run, recording: Path, tmp_path: Path) -> None:
    finished = run(
        "lensless", recording / "stack.tif", "-o", tmp_path / "out", "--wavelength-um", "0.5", "--pixel-size-um", "1",
        "--registration", "turn",
    )  # fmt: skip
    assert finished.code == 2
    assert "similarity" in finished.err and len(finished.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
