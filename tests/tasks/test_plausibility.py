"""Impossible input is refused before any work, doubtful input gives a warning; samples give none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.errors import DinerError
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.idt.plausibility import drift
from napari_diner.tasks.python_data import as_frames
from napari_diner.tasks.registry import samples, task
from napari_diner.tasks.sample import SampleData

SMALL: dict[str, dict[str, Any]] = {
    "lensless": {"height_px": 48, "width_px": 64, "distances_um": (250.0, 300.0, 360.0, 410.0)},
    "idt": {"height_px": 32, "width_px": 40, "slices": 6, "frames": 12},
}


def sample(name: str, **settings: object) -> SampleData:
    return nd.sample(name, **{**SMALL.get(name, {}), **settings})


def doubts(name: str, data: SampleData, frames: np.ndarray | None = None, **changes: object) -> str:
    """Return the warnings before a run."""
    this = task(name)
    settings = data.recipe.model_dump(exclude_unset=True) | changes | {"task": name}
    recipe = this.recipe_type.parse({key: settings[key] for key in settings if key in this.recipe_type.model_fields})
    given = as_frames(data if frames is None else frames)
    return "\n".join(this.job(recipe, this.assemble(recipe, given)).all_warnings)


LENSLESS = sample("lensless")
IDT = sample("idt", model="born")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"wavelength_um": 633.0}, "enter 0.633"),
        ({"wavelength_um": 6330.0}, "check wavelength_um: the wavelength of 6330 µm"),
        ({"pixel_size_um": 0.0014}, "enter 1.4"),
        ({"distances_um": (0.25, 0.3, 0.36, 0.41)}, "enter 250 to 410"),
        ({"distances_um": (2.5e-4, 3e-4, 3.6e-4, 4.1e-4)}, "enter 250 to 410"),
        ({"distances_um": (0.025, 0.03, 0.036, 0.041)}, "if 0.025 to 0.041 cm were meant, enter 250 to 410"),
        ({"distances_um": (250.0, 0.3, 360.0, 410.0)}, "frame 2"),
        ({"distances_um": (350.0,) * 4}, "all frames have nearly the same distance"),
        ({"distances_um": (250.0, 300.0, 300.0, 410.0)}, "frames 2 and 3 have nearly the same distance"),
        ({"source_distance_um": 40.0}, "enter 40000"),
        (
            {"shifts_um": ((0, 0), (120, 0), (0, 0), (0, 0))},
            "Frame 2 overlaps with no other, as it is displaced by 120 µm",
        ),
        ({"shifts_um": ((0, 0), (1, 0), (2, 650), (3, 0))}, "if 650 nm was meant, enter 0.65"),
        ({"medium_index": 2.6}, "medium index of 2.6"),
        ({"pixel_size_um": 1120.0}, "enter 1.12"),
        ({"wavelength_um": 1064.0}, "enter 1.064"),
        ({"distances_um": (2.5e5, 3e5, 3.6e5, 4.1e5)}, "if 250000 to 410000 nm were meant, enter 250 to 410"),
        ({"distances_um": (3e5, 3.2e5, 3.4e5, 3.6e5)}, "misses the field"),
    ],
)
@pytest.mark.parametrize("name", ["lensless", "focus"])
def test_lengths_of_lensless_recordings(name: str, changes: dict[str, Any], text: str) -> None:
    if name == "focus" and ("nearly the same" in text or "shifts_um" in changes):
        pytest.skip("the search may start from one distance for all frames, and knows no shifts")
    try:
        said = doubts(name, LENSLESS, **changes)
    except DinerError as error:
        said = str(error)
    assert text in said


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"wavelength_um": 515.0}, "enter 0.515"),
        ({"pixel_size_um": 162.5}, "enter 0.1625"),
        ({"slice_spacing_um": 500.0}, "enter 0.5"),
        ({"wavelength_um": 1030.0}, "enter 1.03"),
        ({"medium_index": 2.5}, "medium index of 2.5"),
    ],
)
def test_lengths_of_idt_recordings(changes: dict[str, Any], text: str) -> None:
    try:
        said = doubts("idt", IDT, **changes)
    except DinerError as error:
        said = str(error)
    assert text in said


def test_exposures_and_their_cure() -> None:
    stack = LENSLESS.data.data
    dimmer = np.rint(stack * np.array([1, 1, 0.85, 1])[:, None, None]).astype(stack.dtype)
    assert "frame 3 differs" in doubts("lensless", LENSLESS, dimmer)
    assert doubts("lensless", LENSLESS, dimmer, equalise_gains=True) == ""


def test_unsound_frames_of_lensless_recordings() -> None:
    stack = LENSLESS.data.data
    twice = stack.copy()
    twice[3] = twice[0]
    assert "frames 1 and 4 are identical" in doubts("lensless", LENSLESS, twice)
    noise = np.random.default_rng(0).integers(90, 110, stack.shape[1:])
    failed = stack.copy()
    failed[1] = noise
    with pytest.raises(DinerError, match="Frame 2 is dark"):
        doubts("lensless", LENSLESS, failed)


def test_a_frame_without_light_is_left_out_of_tomography() -> None:
    counts = np.rint(IDT.data.data * 2000 + 100).astype(np.uint16)
    noise = np.random.default_rng(0)
    counts[4] = np.rint(100 + noise.normal(0, 4, counts.shape[1:]))
    settings = {"background": "mean", "background_offset": 100.0, "solver": "tikhonov"}
    assert "frame 5, which is left out" in doubts("idt", IDT, counts, **settings)
    recipe = {**IDT.recipe.model_dump(exclude_unset=True), **settings, "regularization": {"tikhonov": 0.01}}
    failed, complete = (
        nd.idt(frames, **{**recipe, "stack": None}) for frames in (counts, np.delete(counts, 4, axis=0))
    )
    assert failed.report["left_out"] == [5]
    # the directions of the other frames stay theirs; without the frame, a ring is another one
    assert failed.n_re.shape == complete.n_re.shape
    assert not np.allclose(failed.n_re, complete.n_re, atol=1e-5)
    whole = nd.idt(np.rint(IDT.data.data * 2000 + 100).astype(np.uint16), **{**recipe, "stack": None})
    left_out, shifted = (np.corrcoef(part.n_re.ravel(), whole.n_re.ravel())[0, 1] for part in (failed, complete))
    assert left_out > 0.95 > shifted


@pytest.mark.parametrize(
    ("background", "shift", "suggestion"),
    [("mean", -1.0, "none"), ("ratio", -1.0, "none"), ("none", 0.0, "ratio"), ("ratio", 40.0, "mean")],
)
def test_frames_of_another_kind_than_the_background(background: str, shift: float, suggestion: str) -> None:
    frames = np.float32(IDT.data.data + shift)
    with pytest.raises(DinerError, match=f"set background to {suggestion}"):
        doubts("idt", IDT, frames, background=background)


VARIANTS = [
    ("lensless", {}),
    ("lensless", {"photons": 200.0, "noise_sigma": 0.01, "bits": 8}),
    ("lensless", {"phase_range_rad": 6.0, "amplitude_min": 0.2}),
    ("lensless", {"distances_um": (300.0, 340.0), "drift_px": 1.5}),
    ("idt", {}),
    ("idt", {"model": "born"}),
    ("idt", {"frames": 8, "absorption": 0.001}),
]


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_samples_raise_no_doubt(name: str, settings: dict[str, Any]) -> None:
    assert doubts(name, sample(name, **settings)) == ""


def test_settings_are_those_of_the_samples() -> None:
    assert {name for name, _ in VARIANTS} < set(samples())
    for name, kind in (("lensless", LenslessSimulation), ("idt", IdtSimulation)):
        assert set(SMALL[name]) < set(kind.model_fields)


def test_one_exposure_saved_twice_with_its_noise() -> None:
    frames = LENSLESS.data.data.astype(np.float64)
    frames[2] = frames[1] + np.random.default_rng(0).normal(0, 1e-3 * frames.mean(), frames[1].shape)
    said = doubts("lensless", LENSLESS, frames)
    assert "frames 2 and 3 differ by nothing but noise, though their distances do" in said
    assert "fit better" not in said


@pytest.mark.parametrize("factor", [180 / np.pi, 2 * np.pi / 0.3, 70.0])
def test_directions_that_are_no_apertures(factor: float) -> None:
    directions = factor * IDT.recipe.illumination(12).apertures
    with pytest.raises(DinerError, match="impossible in a medium"):
        doubts("idt", IDT, ring={"na": None}, illuminations=directions.tolist())


def test_contrasts_are_no_intensities_of_a_lensless_recording() -> None:
    frames = LENSLESS.data.data / LENSLESS.data.data.mean() - 1
    with pytest.raises(DinerError, match="of the values of the frames are negative"):
        doubts("lensless", LENSLESS, frames)


@pytest.mark.parametrize("light", [(1.0, 0.99, 0.98, 0.97), (1.0, 1.012, 0.995, 1.0)])
def test_light_that_is_not_quite_steady(light: tuple[float, ...]) -> None:
    frames = LENSLESS.data.data * np.float32(light)[:, None, None]
    assert "equalise_gains" in doubts("lensless", LENSLESS, frames)
    assert "equalise_gains" not in doubts("lensless", LENSLESS, frames, equalise_gains=True)


def test_a_lamp_that_drifts_over_directions() -> None:
    frames = IDT.data.data * np.linspace(1.0, 0.975, 12, dtype=np.float32)[:, None, None]
    assert "the brightness falls by 2.5 % from the first frame to the last" in doubts("idt", IDT, frames)
    assert "brightness" not in doubts("idt", IDT, frames, background="mean")
    # what depends on the direction alone may be the sample, or the optics
    tilted = IDT.data.data * np.float32(1 + 0.1 * IDT.recipe.illumination(12).apertures[:, 0])[:, None, None]
    assert "brightness" not in doubts("idt", IDT, tilted)


def test_what_lies_at_the_edges_of_few_frames_is_no_drift() -> None:
    random = np.random.default_rng(4)
    illumination, ratio = IDT.recipe.illumination(12), IDT.recipe.updated({"background": "ratio"})
    time = np.linspace(-0.5, 0.5, 12)
    told = {True: 0, False: 0}
    for _ in range(300):
        levels = 0.01 * random.standard_normal(12)
        for drifts in told:
            told[drifts] += bool(drift(ratio, (levels + 0.4 * drifts * time)[:, None, None], illumination))
    assert told[False] <= 3
    assert told[True] > 200


def test_what_strong_samples_do_to_few_frames_is_no_drift() -> None:
    illumination, ratio = IDT.recipe.illumination(12), IDT.recipe.updated({"background": "ratio"})
    # a period of three directions, which no polynomial follows: most frames are outliers of the rest
    for levels in (
        (-0.370, -0.402, -0.419, -0.391, -0.418, -0.413, -0.382, -0.410, -0.399, -0.373, -0.401, -0.397),
        (-0.420, -0.382, -0.366, -0.393, -0.370, -0.371, -0.402, -0.374, -0.381, -0.409, -0.380, -0.378),
    ):
        assert not drift(ratio, np.array(levels, np.float32)[:, None, None], illumination)


@pytest.mark.parametrize(("axis", "across"), [(1, 0.3), (2, -0.6)])
def test_light_that_is_uneven_across_all_frames(axis: int, across: float) -> None:
    sample = nd.sample("idt", height_px=40, width_px=48, slices=6, frames=8)
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    frames = np.asarray(sample.data.data)
    light = np.linspace(1 - across / 2, 1 + across / 2, frames.shape[axis])
    uneven = frames * np.expand_dims(light, tuple({0, 1, 2} - {axis}))
    for stack, expected in ((frames, 0), (uneven, 1)):
        with nd.idt.start(stack, **values) as run:
            told = [text for text in run.warnings if text.startswith("all frames brighten by ")]
        assert len(told) == expected
