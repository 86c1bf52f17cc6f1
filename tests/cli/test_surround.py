"""A recording of a part of a specimen from the command line: the surround is solved for, and the border is correct."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.truth import phase_error
from tests.cli.conftest import Run

INSIDE = np.s_[..., 28:104, 28:104]


def test_the_border_of_a_part_is_right(run: Run, tmp_path: Path) -> None:
    distances = (200.0, 260.0, 330.0, 410.0)
    settings = LenslessSimulation(height_px=132, width_px=132, distances_um=distances, noise_sigma=0.003, seed=1)
    sample = simulate(settings)
    tifffile.imwrite(tmp_path / "part.tif", np.ascontiguousarray(sample.frames[INSIDE]), photometric="minisblack")
    border = np.ones((76, 76), bool)
    border[10:-10, 10:-10] = False
    errors, losses = {}, {}
    for name, options in (("default", ()), ("mirrored", ("--set", "padding.mode=reflect"))):
        command = (
            "lensless", tmp_path / "part.tif", "-o", tmp_path / name, "--wavelength-um", sample.wavelength_um,
            "--pixel-size-um", sample.pixel_size_um, "--distances-um", ",".join(map(str, distances)),
            "--set", f"intensity_scale={sample.intensity_scale}", "--set", "noise.weighting=even",
            "--set", "gauss_newton.iterations=14", "--quiet", *options,
        )  # fmt: skip
        finished = run(*command)
        assert finished.code == 0, finished.err
        report = json.loads((tmp_path / name / "report.json").read_text())
        assert ("surround" in report) is (name == "default")
        error = phase_error(tifffile.imread(tmp_path / name / "phase.tif"), sample.phase[INSIDE])
        errors[name] = np.array([error[border].std(), error[~border].std()])
        losses[name] = report["loss"]
        if name == "default":
            assert report["iterations"] < 14
    assert "mode: unknown" in (tmp_path / "default" / "recipe.yaml").read_text()
    assert (errors["default"] < np.array([0.4, 0.5]) * errors["mirrored"]).all()
    assert losses["default"] < 0.3 * losses["mirrored"]
    assert errors["default"] == pytest.approx([0, 0], abs=0.2)
