"""Checks before a run: a line for each aspect."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.cli.app import execute
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.light import Light
from napari_diner.physics.optics import Optics
from napari_diner.tasks.lensless.findings import of_geometry
from napari_diner.tasks.preflight import preflight, saturation, worst
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

SMALL = {
    "lensless": {"height_px": 128, "width_px": 128},
    "idt": {"height_px": 48, "width_px": 48, "slices": 8, "frames": 8},
}
ASPECTS = {
    "lensless": ["sampling", "band", "Fresnel number", "zeros", "saturation", "plausibility", "time", "memory"],
    "idt": ["sampling", "band", "saturation", "plausibility", "time", "memory"],
}


@pytest.mark.parametrize("name", SMALL)
def test_a_sound_recording_is_green(name: str) -> None:
    sample = nd.sample(name, **SMALL[name])
    frames = Frames(sample.data.data, sample.data.axes, sample.data.scale_um)
    lines = preflight(task(name), sample.recipe.updated({"max_seconds": 0.5}), frames)
    assert [line.aspect for line in lines] == ASPECTS[name]
    assert worst(lines) == "good", lines
    # as long as the limit, or less
    assert "time limit of 0 s" in lines[-2].sentence or lines[-2].sentence.startswith("less than a second")


@pytest.mark.parametrize(
    ("distances", "pixel", "doubtful"),
    [
        ((300.0, 390.0, 520.0), 1.0, set()),
        ((400.0,), 1.0, {"band", "zeros"}),
        ((400.0, 400.0, 400.0), 1.0, {"band", "zeros"}),
        ((400.0, 800.0), 1.0, {"zeros"}),
        ((30_000.0, 36_000.0, 41_000.0), 1.0, {"sampling"}),
        ((1.0, 1.2, 1.5), 2.0, {"band", "Fresnel number"}),
    ],
)
def test_what_a_geometry_lacks_is_amber(distances: tuple[float, ...], pixel: float, doubtful: set[str]) -> None:
    lines = of_geometry(Heights(Optics(pixel, 0.5), distances), (256, 256))
    assert {line.aspect for line in lines if line.level != "good"} == doubtful


@pytest.mark.parametrize("distance_um", [200.0, 700.0, 2000.0, 9000.0])
def test_sampling_and_band_name_the_same_finest_detail(distance_um: float) -> None:
    heights = Heights(Optics(1.2, 0.6), tuple(distance_um * factor for factor in (1.0, 1.17, 1.4)))
    lines = {line.aspect: line.sentence for line in of_geometry(heights, (90, 120))}
    finest = re.search(r"down to a period of (\S+) µm", lines["sampling"])
    assert finest is not None and f"phase with periods of {finest[1]} µm to" in lines["band"]


def test_blur_of_the_source_narrows_the_band_without_zeros() -> None:
    heights = Heights(Optics(1.0, 0.5), (900.0, 1100.0, 1400.0), light=Light(300.0, 20_000.0))
    lines = {line.aspect: line for line in of_geometry(heights, (256, 256))}
    assert lines["zeros"].level == "good"
    assert "periods of 2 µm" not in lines["band"].sentence


def test_saturation_counts_pixels() -> None:
    full = np.zeros((2, 10, 10), bool)
    assert saturation(full, "at_least").level == saturation(None, "at_least").level == "good"
    full[0, 0, :4] = True
    assert saturation(full, "at_least")[1:] == ("doubtful", "2 % of the pixels are saturated")
    full[:, :4] = True
    assert saturation(full, "at_least").level == "bad"
    assert "believe" in saturation(full, "believe").sentence


def test_missing_settings_are_red_and_named_as_the_door_names_them() -> None:
    frames = Frames(np.ones((3, 8, 8)), "NYX")
    (line,) = preflight(
        task("lensless"), task("lensless").recipe_type(), frames, describe=lambda e: e.describe(str.upper)
    )
    assert (line.aspect, line.level) == ("settings", "bad") and "WAVELENGTH_UM" in line.sentence


def test_check_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("image.npy", np.random.default_rng(0).random((12, 12)))
    assert execute(["fit", "image.npy", "--check", "--epochs", "5"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[0] == "reading data and settings …" and "trying the first steps of " in err
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["good", each] for each in ("sampling", "plausibility", "time", "memory")
    ]
    assert execute(["lensless", "image.npy", "--check", "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("BAD") and not err
    assert [path.name for path in tmp_path.iterdir()] == ["image.npy"]
