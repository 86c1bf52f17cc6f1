"""Reports list the distance or direction of each file, and distances are read from the names of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_diner as nd
from napari_diner.tasks.frame_list import frames_row
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

FRAMES = np.random.default_rng(3).integers(30000, 60000, (3, 24, 20), np.uint16)
OPTICS = {"wavelength_um": 0.6, "pixel_size_um": 2.0}
NAMES = ("h_600nm_0.85mm", "h_600nm_0.9mm", "h_600nm_1.0mm")
DISTANCES = (850, 900, 1000)


def folder_of(path: Path, names: Sequence[str] = NAMES) -> Path:
    path.mkdir()
    for name, frame in zip(names, FRAMES, strict=True):
        tifffile.imwrite(path / f"{name}.tif", frame)
    return path


def run(name: str, settings: dict[str, object], frames: Frames | None = None) -> nd.Result:
    entry = task(name)
    with entry.start(entry.recipe_type.parse(settings), frames) as started:
        for _ in started:
            pass
        return started.result()


@pytest.mark.parametrize("name", ["lensless", "focus"])
@pytest.mark.parametrize("as_layer", [False, True])
def test_distances_are_those_in_the_names(tmp_path: Path, name: str, as_layer: bool) -> None:
    folder = folder_of(tmp_path / "frames")
    frames = Frames(FRAMES, source=str(folder)) if as_layer else None
    result = run(name, {**OPTICS, **({} if as_layer else {"stack": str(folder)})}, frames)
    assert result.recipe.distances_um == DISTANCES
    assert [frame["file"] for frame in result.report["frames"]] == [f"{name}.tif" for name in NAMES]
    assert [frame["frame"] for frame in result.report["frames"]] == [1, 2, 3]
    if name == "lensless":
        assert [frame["distance_um"] for frame in result.report["frames"]] == list(DISTANCES)
    assert result.report["notes"] == ["distances are those in the names of the files: 850, 900, 1000 µm"]
    assert not any("names of the files" in text for text in result.report["warnings"])


CONTRADICTIONS = {"order": (850, 1000, 900), "value": (850, 900, 1100), "unit": (0.85, 0.9, 1.0)}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_names_that_contradict_the_distances_are_named(tmp_path: Path, kind: str) -> None:
    recipe = {**OPTICS, "stack": str(folder_of(tmp_path / "frames")), "distances_um": CONTRADICTIONS[kind]}
    entry = task("lensless")
    parsed = entry.recipe_type.parse(recipe)
    warnings = entry.job(parsed, entry.assemble(parsed)).all_warnings
    assert sum("the names of the files give 850, 900, 1000 µm, but" in text for text in warnings) == 1


@pytest.mark.parametrize(
    "names", [NAMES, ("a", "b", "c"), ("h_450nm", "h_532nm", "h_633nm"), ("z-47um", "z0um", "z104um")]
)
def test_names_that_agree_or_say_nothing_give_no_warning(tmp_path: Path, names: Sequence[str]) -> None:
    recipe = {**OPTICS, "stack": str(folder_of(tmp_path / "frames", names)), "distances_um": (852, 899, 1003)}
    entry = task("lensless")
    parsed = entry.recipe_type.parse(recipe)
    job = entry.job(parsed, entry.assemble(parsed))
    assert not any("names" in text for text in (*job.all_warnings, *job.notes))


def test_frames_of_one_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack_300um.tif", FRAMES, photometric="minisblack")
    settings = {**OPTICS, "stack": str(tmp_path / "stack_300um.tif"), "distances_um": DISTANCES}
    report = run("lensless", settings).report
    assert report["frames"][2] == {"frame": 3, "file": "stack_300um.tif", "distance_um": 1000.0}
    assert dict(frames_row(report)) == {"frames": "850 µm, 900 µm, 1000 µm"}


def test_directions_are_listed(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "frames", ("b2", "b10", "b11"))
    directions = [[0.1, 0.2], [[0.3, 0.0], [-0.3, 0.0]], [0.0, -0.1]]
    optics = {**OPTICS, "na": 0.4, "slice_spacing_um": 2.0, "slice_count": 2, "illuminations": directions}
    entry = task("idt")
    recipe = entry.recipe_type.parse({**optics, "stack": str(folder)})
    with entry.start(recipe) as started:
        for _ in started:
            pass
        report = started.result().report
    assert report["frames"][1] == {"frame": 2, "file": "b10.tif", "na_yx": [[0.3, 0.0], [-0.3, 0.0]]}
    assert dict(frames_row(report))["frames"].startswith("b2.tif NA (0.1, 0.2), b10.tif NA (0.3, 0) + NA (-0.3, 0), ")


def test_long_lists_are_elided() -> None:
    frames = [{"frame": frame, "distance_um": float(frame)} for frame in range(1, 41)]
    assert dict(frames_row({"frames": frames}))["frames"] == ("1 µm, 2 µm, 3 µm, 4 µm, …, 37 µm, 38 µm, 39 µm, 40 µm")


@pytest.mark.parametrize("white", [True, False])
def test_layers_that_leave_the_header_aside_are_named(tmp_path: Path, white: bool) -> None:
    path = tmp_path / "white.tif"
    tifffile.imwrite(path, 65535 - FRAMES, photometric="miniswhite")
    entry = task("lensless")
    recipe = entry.recipe_type.parse({**OPTICS, "stack": str(path), "distances_um": DISTANCES})
    job = entry.job(recipe, entry.assemble(recipe, Frames(65535 - FRAMES if white else FRAMES)))
    assert any("does not hold what its file means" in text for text in job.warnings) == white
    assert any("zero is white" in text for text in job.notes) == (not white)
