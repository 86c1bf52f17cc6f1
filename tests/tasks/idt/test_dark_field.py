"""Reconstructions with dark-field frames."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import napari_diner as nd
from napari_diner.errors import DinerError
from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.dark_field import DarkField
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.ranking import rank
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.idt.task import IdtTask
from napari_diner.tasks.idt.truth import TrueVolume
from napari_diner.tasks.result import Result
from tests.kit.runs import finished
from tests.tasks.idt.small_recordings import started

SIDE, COUNT, PIXEL_UM, MEDIUM = 40, 8, 0.1625, 1.33
OUTER = 0.9
LIT = Illumination(ring(0.637, COUNT).frames + ring(OUTER, COUNT, offset_deg=20).frames)
DIRECTIONS = [[source.na_y, source.na_x] for (source,) in LIT.frames]
DARK = list(range(COUNT + 1, 2 * COUNT + 1))
SETTINGS: dict[str, Any] = {
    "wavelength_um": 0.515, "pixel_size_um": PIXEL_UM, "na": 0.65, "medium_index": MEDIUM, "slice_count": 1,
    "illuminations": DIRECTIONS, "background": "ratio", "iterations": 15, "regularization": {"tv": 1e-3},
    "multislice": {"dark_field_iterations": 5}, "padding": {"mode": "none"},
}  # fmt: skip


@functools.cache
def recording() -> tuple[npt.NDArray[np.float32], TrueVolume]:
    """A thin sample with grains finer than bright field resolves; dark field with a fiftieth of the noise."""
    random = np.random.default_rng(2)
    y, x = np.mgrid[:SIDE, :SIDE] * PIXEL_UM
    n_re = MEDIUM + 0.03 / (1 + np.exp((np.hypot(y - 3.2, x - 3.2) - 1.8) / 0.1))
    for row, column in random.integers(12, SIDE - 12, (14, 2)):
        n_re[row, column] += 0.12
    contrast = permittivity_contrast(torch.from_numpy(n_re[None]), torch.zeros(1, SIDE, SIDE), MEDIUM).float()
    geometry = VolumeGeometry((1, SIDE, SIDE), 0.5, 0.515, MEDIUM, PIXEL_UM, 0.65)
    model = SSNPModel(geometry, LIT, dark_field=DarkField.of(LIT.dark_field(0.65), len(LIT)))
    frames = model.intensities(contrast).numpy()
    sigma = np.where(np.arange(len(LIT)) < COUNT, 0.005, 2e-5)[:, None, None]
    frames += sigma * random.standard_normal(frames.shape)
    return frames.astype(np.float32), TrueVolume(n_re[None], None)


def recipe(**changes: Any) -> IdtRecipe:
    return IdtRecipe.parse(SETTINGS | {"dark_field": "use"} | changes)


@functools.cache
def used() -> Result:
    frames, truth = recording()
    return finished(started(recipe(), frames, truth), compares_settings=False)


def error_between(n_re: Any, low_na: float, high_na: float) -> float:
    """Relative error of the index at the frequencies between low_na/λ and high_na/λ."""
    truth = recording()[1].n_re
    na = 0.515 * np.hypot(np.fft.fftfreq(SIDE, PIXEL_UM)[:, None], np.fft.fftfreq(SIDE, PIXEL_UM))
    band = (na >= low_na) & (na < high_na)
    wrong, right = (np.abs(np.fft.fft2(volume))[..., band] for volume in (n_re - truth, truth))
    return float(np.linalg.norm(wrong) / np.linalg.norm(right))


def test_detail_beyond_the_resolution_of_bright_field_is_found() -> None:
    frames, truth = recording()
    without = finished(started(recipe(dark_field="leave_out"), frames, truth), compares_settings=False)
    assert without.report["left_out"] == DARK
    before, after = (result["n_re"].data for result in (without, used()))
    # bright field ends at 0.65 + 0.637, dark field at 0.65 + 0.9
    beyond = [error_between(volume, 1.3, 1.5) for volume in (before, after)]
    within = [error_between(volume, 0.65, 1.25) for volume in (before, after)]
    assert beyond[0] > 0.8
    assert beyond[1] < 0.4 * beyond[0]
    assert within[1] < 0.5 * within[0]


def test_the_report_says_what_dark_field_contributed() -> None:
    report = used().report
    assert report["model"] == "multislice"
    assert "left_out" not in report
    assert [entry["frame"] for entry in report["frames"]] == list(range(1, 2 * COUNT + 1))
    assert used()["residual"].data.shape == (2 * COUNT, SIDE, SIDE)
    entry = report["dark_field"]
    assert entry["frames"] == DARK
    assert entry["brightness"] == pytest.approx([1.0] * COUNT, rel=0.05)
    assert entry["unexplained"] < 0.1 * entry["unexplained_by_bright_field"]
    assert not [line for line in report["warnings"] if "explained much worse" in line]
    assert "dark field" in [row.label for row in IdtTask().summary_rows(report)]


def test_the_brightness_of_dark_field_need_not_be_known() -> None:
    frames, truth = recording()
    bright = frames.copy()
    bright[COUNT:] *= 3
    result = finished(started(recipe(), bright, truth), compares_settings=False)
    assert result.report["dark_field"]["brightness"] == pytest.approx([3.0] * COUNT, rel=0.05)
    assert error_between(result["n_re"].data, 1.3, 1.5) < 0.4
    once = {"multislice": {"dark_field_iterations": 1}}
    known = finished(started(recipe(dark_field_exposure=[3.0], **once), bright), compares_settings=False)
    assert known.report["dark_field"]["brightness"] == [1.0] * COUNT
    assert not [line for line in known.report["warnings"] if "dark_field_exposure" in line]
    wrong = finished(started(recipe(dark_field_exposure=[1.0], **once), bright), compares_settings=False)
    assert [line for line in wrong.report["warnings"] if "times as bright as the volume from bright field" in line]


@pytest.mark.parametrize("kind", ["mean", "image", "pages"])
def test_units_are_those_of_the_incident_light(kind: str) -> None:
    frames, _ = recording()
    exposure = np.where(np.arange(2 * COUNT) < COUNT, 1, 20)[:, None, None]
    counts = 100 + 800 * exposure * frames
    stray = np.where(exposure > 1, 108.0, 900.0) * np.ones((1, SIDE, SIDE))
    background = {"mean": None, "image": stray[0], "pages": stray}[kind]
    if kind == "pages":
        counts[COUNT:] += 8
    data = IdtData(counts.astype(np.float32), background, PIXEL_UM)
    given = recipe(
        background="mean" if kind == "mean" else "empty.tif", background_offset=100.0, dark_field_exposure=[20.0]
    )
    dark = IdtRecording(given, data).dark
    assert dark is not None
    expected = frames[COUNT:]
    if kind == "mean":
        expected = expected / np.median(frames[:COUNT].mean((1, 2)))
    np.testing.assert_allclose(dark.intensity, expected, atol=1e-6)


def test_checks_of_directions_see_bright_field_alone() -> None:
    frames, _ = recording()
    ways = rank(recipe(), IdtData(frames, pixel_size_um=PIXEL_UM))
    bright = rank(recipe(dark_field="refuse", leave_out=DARK), IdtData(frames, pixel_size_um=PIXEL_UM))
    assert [way.figures for way in ways.alternatives] == [way.figures for way in bright.alternatives]


def test_directions_of_dark_field_follow_a_calibrated_pattern() -> None:
    dark = IdtRecording(recipe(), IdtData(recording()[0], pixel_size_um=PIXEL_UM)).dark
    assert dark is not None
    nominal = np.array(DIRECTIONS[:COUNT])
    turned = nominal @ np.array([[0.0, 1.0], [-1.0, 0.0]]) * 0.98 + [0.01, -0.02]
    expected = np.array(DIRECTIONS[COUNT:]) @ np.array([[0.0, 1.0], [-1.0, 0.0]]) * 0.98 + [0.01, -0.02]
    np.testing.assert_allclose(dark.moved(nominal, turned, 0.65).illumination.apertures, expected, atol=1e-9)
    shrunk = dark.moved(nominal, nominal * 0.5, 0.65).illumination.apertures
    assert (np.hypot(*shrunk.T) > 0.65).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dark_field": "refuse"}, "8 frames have an NA of up to 0.9, .* set dark_field to use"),
        ({"model": "born"}, "no term that is linear"),
        ({"solver": "tikhonov"}, "no term that is linear"),
        ({"uncertainty": {"map": True}}, "the uncertainty is not estimated with dark-field frames"),
        ({"tiles": {"use": "always"}}, "tiles are not computed with dark-field frames"),
        ({"dark_field_exposure": [1.0, 2.0]}, "has 2 numbers, but the stack 16 frames"),
        ({"dark_field_exposure": [0.0]}, "above zero"),
        ({"pixel_size_um": 0.19}, "enlarge the frames to pixels of at most 0.166 µm"),
    ],
)
def test_what_is_impossible_is_refused_before_a_run(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DinerError, match=message):
        started(recipe(**changes), recording()[0])


def test_light_that_passes_the_objective_is_noticed() -> None:
    frames = recording()[0].copy()
    frames[COUNT + 2] = frames[2]
    warnings = IdtRecording(recipe(), IdtData(frames, pixel_size_um=PIXEL_UM)).warnings
    (line,) = [line for line in warnings if "though its direction" in line]
    assert line.startswith(f"frame {COUNT + 3} is")


def test_a_representation_uses_dark_field() -> None:
    changes = {"solver": "pixels", "iterations": 5, "multislice": {"descent_iterations": 2}}
    result = finished(started(recipe(**changes), recording()[0]))
    assert result.report["model"] == "multislice"
    assert result.report["dark_field"]["unexplained"] < 1


def test_sample_with_dark_field() -> None:
    sample = nd.sample("idt", height_px=24, width_px=24, slices=2, frames=4, more_rings_na=[0.9], noise_sigma=0.0)
    assert isinstance(sample.recipe, IdtRecipe)
    assert sample.recipe.dark_field == "use"
    levels = sample.data.data.mean((1, 2))
    assert (levels[:4] > 0.5).all()
    assert (levels[4:] < 0.05).all()
    with pytest.raises(DinerError, match="outside the objective"):
        nd.sample("idt", height_px=24, width_px=24, slices=2, frames=4, more_rings_na=[0.9], model="born")


def test_frames_left_out_that_are_bright_tell_of_a_wrong_na() -> None:
    frames, _ = recording()
    right = IdtRecording(recipe(dark_field="leave_out"), IdtData(frames, pixel_size_um=PIXEL_UM)).warnings
    assert not [text for text in right if "about as bright" in text]
    bright = ring(0.2, 4).frames + LIT.frames[:COUNT]
    listed = [[source.na_y, source.na_x] for (source,) in bright]
    wrong = recipe(dark_field="leave_out", na=0.5, illuminations=listed)
    data = IdtData(np.concatenate([frames[:4], frames[:COUNT]]), pixel_size_um=PIXEL_UM)
    (text,) = [text for text in IdtRecording(wrong, data).warnings if "about as bright" in text]
    assert text.startswith("8 frames are left out") and "whether the NA is too small" in text


def test_a_ring_outside_the_objective_is_named_by_its_own_setting() -> None:
    frames, _ = recording()
    for changes, key in (({"illuminations": [], "ring": {"na": 0.8}}, "ring.na"), ({"na": 0.3}, "illuminations")):
        with pytest.raises(DinerError, match="outside the objective's NA") as caught:
            IdtRecording(recipe(dark_field="refuse", **changes), IdtData(frames, pixel_size_um=PIXEL_UM))
        assert caught.value.field == key
