"""Metadata of files on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_diner.io.stacks import checksum
from tests.cli.conftest import Run

FRAMES = np.random.default_rng(3).integers(30000, 60000, (3, 24, 20), np.uint16)
OPTICS = ["--wavelength-um", "0.6", "--pixel-size-um", "2"]


def test_distances_in_names_are_used_and_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for name, frame in zip(("z+950um", "z+1e-3m", "z+1p5mm"), FRAMES, strict=True):
        tifffile.imwrite(tmp_path / "frames" / f"{name}.tif", frame)
    done = run("lensless", tmp_path / "frames", "-o", tmp_path / "out", *OPTICS, "--solver", "alternating")
    assert done.code == 0, done.err
    assert "note: distances are those in the names of the files: 950, 1000, 1500 µm" in done.err
    assert "z+950um.tif 950 µm, z+1e-3m.tif 1000 µm, z+1p5mm.tif 1500 µm" in " ".join(done.out.split())
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"][1] == {"frame": 2, "file": "z+1e-3m.tif", "distance_um": 1000.0}


def test_positions_in_names_are_not_taken_for_distances(run: Run, tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    for name, frame in zip(("z-40um", "z0um", "z25um"), FRAMES, strict=True):
        tifffile.imwrite(tmp_path / "stage" / f"{name}.tif", frame)
    command = ["lensless", tmp_path / "stage", "-o", tmp_path / "out", *OPTICS, "--gauss-newton.iterations", "1"]
    refused = run(*command)
    assert refused.code == 2
    assert "give -40, 0, 25 µm, which are no distances from the sample to the sensor" in refused.err
    for distances, said in (("960,1000,1025", False), ("1025,985,960", False), ("960,1100,1200", True)):
        done = run(*command, "--overwrite", "--distances-um", distances)
        assert done.code == 0, done.err
        assert ("the names of the files give -40, 0, 25 µm" in done.err) is said


WRITTEN = {
    "white": ("white is", 65535 - FRAMES, {"photometric": "miniswhite"}),
    "signed": (
        "calibration",
        (FRAMES // 2 + 32768).astype(np.uint16),
        {"imagej": True, "metadata": {"axes": "ZYX", "cf": 0, "c0": -65536.0, "c1": 2.0}},
    ),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_header_is_followed_and_it_is_said(run: Run, tmp_path: Path, kind: str) -> None:
    words, stored, options = WRITTEN[kind]
    tifffile.imwrite(tmp_path / "stack.tif", stored, **options)
    settings = [*OPTICS, "--distances-um", "850,900,1000", "--solver", "alternating"]
    done = run("lensless", tmp_path / "stack.tif", "-o", tmp_path / "out", *settings)
    assert done.code == 0, done.err
    assert f"note: {'zero is white according to the header' if kind == 'white' else 'ImageJ'}" in done.err
    assert words.split()[0] in done.out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    expected = FRAMES if kind == "white" else (FRAMES // 2 * 2).astype(np.float32)
    assert report["input_sha256"] == checksum(expected)
