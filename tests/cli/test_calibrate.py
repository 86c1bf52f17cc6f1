"""Calibration from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import DISTANCES_UM, PIXEL_UM, Run

OPTICS = ["--wavelength-um", "0.532", "--pixel-size-um", str(PIXEL_UM)]


def test_a_calibration_is_asked_for_told_and_recorded(run: Run, recording: Path, tmp_path: Path) -> None:
    wrong = ",".join(str(z) for z in (297.0, 402.0, 504.0))
    finished = run(
        "lensless", recording / "stack.tif", "-o", tmp_path / "out", *OPTICS, "--distances-um", wrong,
        "--calibrate", "z,shift", "--calibration.rounds", 3, "--gauss-newton.iterations", 1,
    )  # fmt: skip
    assert finished.code == 0, finished.err
    assert sum(line.startswith("calibrated") for line in finished.out.splitlines()) == 1
    found = json.loads((tmp_path / "out/report.json").read_text())["calibration"]
    assert np.shape(found["distances_um"]) == np.shape(found["distances_um_se"]) == (3,)
    assert np.shape(found["shifts_um"]) == np.shape(found["shifts_um_se"]) == (3, 2)
    assert np.shape(found["tilt"]) == (2,) and np.shape(found["gains"]) == (3,)
    away = np.array(found["distances_um"]) - DISTANCES_UM
    assert np.ptp(away) < np.ptp(np.array([297.0, 402.0, 504.0]) - DISTANCES_UM)
    again = run("run", tmp_path / "out/recipe.yaml", "-o", tmp_path / "again", "--quiet")
    assert again.code == 0, again.err
    second = json.loads((tmp_path / "again/report.json").read_text())["calibration"]
    np.testing.assert_allclose(second["distances_um"], found["distances_um"], rtol=1e-5)


@pytest.mark.parametrize("words", ["z,focus", ","])
def test_what_cannot_be_calibrated_is_refused(run: Run, recording: Path, tmp_path: Path, words: str) -> None:
    finished = run(
        "lensless", recording / "stack.tif", "-o", tmp_path / "out", *OPTICS, "--distances-um", "300,400,500",
        "--calibrate", words,
    )  # fmt: skip
    assert finished.code == 2
    assert "choose from z, shift, gain, tilt" in finished.err
    assert not (tmp_path / "out").exists()
