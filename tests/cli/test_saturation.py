"""Saturated recordings from the command line: detected, reported, and better than exact or masked pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import yaml

from tests.kit.reports import report_of

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def overexposed(folder: Path, share: float, bits: int) -> Path:
    """Cut off the light of a sample so that this share of its pixels is saturated, in 8 bits; return its recipe.

    Ratios to the background, as they are without bits, are cut off as they are.
    """
    path, recipe = folder / "stack.tif", folder / "recipe.yaml"
    frames = tifffile.imread(path)
    level = np.quantile(frames, 1 - share).astype(frames.dtype)
    cut = np.minimum(frames, level)
    if bits:
        values = yaml.safe_load(recipe.read_text())
        values["intensity_scale"] *= float(level) / 65535
        recipe.write_text(yaml.safe_dump(values))
        cut = np.round(cut / level * 255).astype(np.uint8)
    tifffile.imwrite(path, cut, photometric="minisblack")
    return recipe


def test_a_lensless_recording_that_is_saturated(run: Run, tmp_path: Path) -> None:
    base = tmp_path / "base"
    size = ("--height-px", 64, "--width-px", 80, "--distances-um", "120,170,240,330", "--phase-range-rad", 3)
    assert run("simulate", "lensless", "-o", base, *size).code == 0
    recipe = overexposed(base, 0.18, bits=8)
    scores = {}
    for way in ("believe", "mask", "at_least"):
        own = () if way == "at_least" else ("--set", f"preprocess.saturated={way}")
        few = ("--set", "gauss_newton.iterations=6")
        finished = run("run", recipe, "-o", tmp_path / way, "--truth", base, *own, *few)
        assert finished.code == 0, finished.err
        report = report_of(tmp_path / way)
        scores[way] = report["truth"]["phase_psnr_db"]
        said = [text for text in report["warnings"] if "saturated at 255" in text]
        assert len(said) == (way != "believe")
    assert scores["at_least"] > scores["mask"] > scores["believe"] + 10
    residual = tifffile.imread(tmp_path / "at_least" / "residual.tif")
    assert residual[tifffile.imread(base / "stack.tif") == 255].max() <= 0


@pytest.mark.parametrize("solver", ["tikhonov", "voxels"])
def test_a_tomographic_recording_that_is_saturated(run: Run, tmp_path: Path, solver: str) -> None:
    base = tmp_path / "base"
    size = ("--slices", 8, "--slice-spacing-um", 0.6, "--height-px", 40, "--width-px", 48, "--frames", 12)
    assert run("simulate", "idt", "-o", base, *size).code == 0
    recipe = overexposed(base, 0.06, bits=0)
    errors = {}
    for way in ("believe", "at_least"):
        own = ("--set", f"solver={solver}", "--set", "model=born", "--set", f"saturated={way}")
        finished = run("run", recipe, "-o", tmp_path / way, "--truth", base, *own)
        assert finished.code == 0, finished.err
        report = report_of(tmp_path / way)
        errors[way] = report["truth"]["n_re_rmse"]
        assert any("are saturated at 1." in text for text in report["warnings"]) == (way == "at_least")
    assert errors["at_least"] < errors["believe"]
