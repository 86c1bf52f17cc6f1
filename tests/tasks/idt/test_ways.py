"""Warnings about directions and the sign of the contrast, and the ranking of alternatives."""

from __future__ import annotations

import re

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.api import as_frames
from napari_diner.errors import RecipeError
from napari_diner.physics.idt.illumination import ring
from napari_diner.simulate.idt.recording import simulate
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from tests.tasks.idt.small_recordings import Recording, reconstructed, record, started


def listed(recipe: IdtRecipe, apertures: np.ndarray) -> IdtRecipe:
    return recipe.updated({"ring": {"na": None}, "illuminations": apertures.tolist()})


def test_right_directions_are_not_warned_of(recording: Recording) -> None:
    assert not [text for text in started(recording.recipe, recording.frames).warnings if "directions" in text]


@pytest.mark.parametrize(
    "wrong",
    [lambda na: na[:, ::-1], lambda na: na * [1, -1], lambda na: na[::-1], lambda na: np.roll(na, 3, 0)],
    ids=["exchanged", "mirrored", "reversed", "first frame"],
)
def test_wrong_directions_are_warned_of_before_a_run(recording: Recording, wrong: object) -> None:
    directions = wrong(ring(0.637, 12).apertures)  # type: ignore[operator]
    run = started(listed(recording.recipe, directions), recording.frames)
    assert any(text.startswith("the directions do not fit the frames") for text in run.warnings)


@pytest.mark.parametrize("kind", ["rows", "torn", "noise"])
def test_a_faulty_frame_is_named_and_its_direction_is_not_doubted(recording: Recording, kind: str) -> None:
    frames, rng = recording.frames.copy(), np.random.default_rng(5)
    if kind == "rows":
        frames[4] += 0.08 * rng.normal(size=48)[:, None]
    elif kind == "torn":
        frames[4, ::2] = np.roll(frames[4, ::2], 4, 1)
    else:
        frames[4] = 0.02 * rng.normal(size=frames[4].shape)
    (text,) = started(recording.recipe, frames).warnings
    assert "frame 5" in text and "direction" not in text


def test_the_first_picture_does_not_wait_for_other_directions(recording: Recording) -> None:
    directions = ring(0.637, 12).apertures[:, ::-1]
    run = started(listed(recording.recipe, directions), recording.frames)
    run.preview_interval_s = 0.0
    assert next(run).preview
    assert not [text for text in run.job.warnings if "directions" in text]
    before = run.job.begin().problem.priors
    assert any("directions do not fit" in text for text in run.warnings)
    assert run.job.begin().problem.priors == before


@pytest.mark.parametrize("sign", ["auto", "positive"])
def test_the_sign_is_known_at_once_where_a_solver_needs_it(recording: Recording, sign: str) -> None:
    thin = -recording.frames
    changes = {"solver": "voxels", "regularization": {"positivity": True, "sign": sign}}
    job = started(recording.recipe.updated(changes), thin).job
    assert job.begin().problem.priors.sign_re == {"auto": -1, "positive": 1}[sign]


def test_directions_listed_in_alternation_are_put_right(recording: Recording) -> None:
    right = ring(0.637, 12).apertures
    wrong = listed(recording.recipe, np.concatenate([right[::2], right[1::2]]))
    assert any("directions do not fit" in text for text in started(wrong, recording.frames).warnings)
    idt = task("idt")
    best = idt.rank(idt.checks[0], wrong, Frames(recording.frames)).alternatives[0]
    chosen = wrong.updated(best.changes).illumination(12).apertures
    assert np.allclose(chosen, right, atol=1e-6)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ((8, 2), "directions of frames 3 and 9 exchanged"),
        ((5, 1, 10), "directions of frames 2, 6 and 11 in another order"),
    ],
)
def test_single_exchanged_frames_are_named_and_put_right(
    recording: Recording, places: tuple[int, ...], words: str
) -> None:
    noise = np.random.default_rng(0).standard_normal(recording.frames.shape)
    frames = (recording.frames + 0.003 * noise).astype(np.float32)
    frames[[*places]] = frames[np.roll(places, 1)]
    assert any(f"“{words}”" in text for text in started(recording.recipe, frames).warnings)
    idt = task("idt")
    best = idt.rank(idt.checks[0], recording.recipe, Frames(frames)).alternatives[0]
    chosen = recording.recipe.updated(best.changes).illumination(12).apertures
    right = ring(0.637, 12).apertures
    right[[*places]] = right[np.roll(places, 1)]
    assert np.allclose(chosen, right, atol=1e-6)


def test_two_of_many_exchanged_frames_are_named() -> None:
    many = record(count=60)
    frames = many.frames.copy()
    frames[[7, 43]] = frames[[43, 7]]
    said = [text for text in started(many.recipe, frames).warnings if "directions" in text]
    assert "“directions of frames 8 and 44 exchanged”" in said[0]


@pytest.mark.parametrize(
    ("scale", "name"),
    [
        (lambda na: np.arcsin(na / 1.33), "all as angles in the medium, in radians"),
        (lambda na: na / 1.33, "all as sines of angles in the medium"),
        (lambda na: 0.7 * na, "all 1.4"),
    ],
    ids=["angles", "sines", "factor"],
)
def test_directions_in_another_scale_are_named_and_put_right(recording: Recording, scale: object, name: str) -> None:
    right = ring(0.637, 12).apertures
    wrong = listed(recording.recipe, right * (scale(0.637) / 0.637))  # type: ignore[operator]
    assert [text for text in started(wrong, recording.frames).warnings if f"“{name}" in text]
    idt = task("idt")
    best = idt.rank(idt.checks[0], wrong, Frames(recording.frames)).alternatives[0]
    chosen = wrong.updated(best.changes).illumination(12).apertures
    assert np.allclose(np.abs(chosen), np.abs(right), atol=0.02)


def scale_warnings(recipe: IdtRecipe, frames: np.ndarray) -> list[str]:
    return [text for text in started(recipe, frames).warnings if text.startswith("the frames fit better with")]


def test_a_right_scale_is_not_warned_of(recording: Recording) -> None:
    rng = np.random.default_rng(0)
    noisy = recording.frames + 0.01 * rng.standard_normal(recording.frames.shape)
    for frames in (recording.frames, noisy):
        assert scale_warnings(recording.recipe, frames) == []


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({"pixel_size_um": 1.4}, "pixels about 2[0-9] % smaller"),
        ({"wavelength_um": 2}, "pixels about (2|1.9|2.1) times as large"),
        ({"pixel_size_um": 0.5}, "pixels about (2|1.9|2.1) times as large"),
        ({"pixel_size_um": 8}, "pixels about 0.1[2-4] times as large"),
        ({"na": 1.25}, "an NA of the objective of about 0.6[4-7]"),
    ],
)
def test_another_scale_is_warned_of(recording: Recording, factors: dict[str, float], words: str) -> None:
    wrong = recording.recipe.updated({key: factor * getattr(recording.recipe, key) for key, factor in factors.items()})
    (text,) = scale_warnings(wrong, recording.frames)
    assert re.search(words, text), text


@pytest.mark.parametrize(("side", "seed"), [(192, 0)])
def test_sound_recordings_of_wide_fields_are_not_blamed(side: int, seed: int) -> None:
    settings = IdtSimulation(height_px=side, width_px=side + 10, frames=12, noise_sigma=0.004, seed=seed)
    sample = simulate(settings)
    recipe = IdtRecipe.parse(
        {
            **{name: getattr(settings, name) for name in ("wavelength_um", "pixel_size_um", "na", "medium_index")},
            "slice_spacing_um": settings.slice_spacing_um,
            "slice_count": settings.slices,
            "ring": {"na": settings.ring_na},
        }
    )
    assert scale_warnings(recipe, sample.frames) == []
    wrong = recipe.updated({"pixel_size_um": 1.5 * recipe.pixel_size_um})
    assert re.search("pixels about (2[5-9]|3[0-9]) % smaller", scale_warnings(wrong, sample.frames)[0])


@pytest.mark.parametrize("frames", [6, 8])
def test_few_directions_are_not_said_to_be_smaller(frames: int) -> None:
    sample = nd.sample("idt", height_px=64, width_px=80, frames=frames, seed=2)
    recipe = sample.recipe
    assert isinstance(recipe, IdtRecipe)
    idt, recording = task("idt"), as_frames(sample)
    run = idt.start(recipe, recording)
    assert not [text for text in run.warnings if "do not fit" in text]
    best = idt.rank(idt.checks[0], recipe, recording).alternatives[0]
    assert "times as large" not in best.name


def test_a_few_directions_in_another_scale_are_named() -> None:
    sample = nd.sample("idt", height_px=96, width_px=96, frames=8, seed=5)
    assert isinstance(sample.recipe, IdtRecipe)
    wrong = sample.recipe.updated({"ring": {"na": 0.7 * 0.637}})
    (text,) = [text for text in task("idt").start(wrong, as_frames(sample)).warnings if "do not fit" in text]
    assert re.search(r"“all 1\.4. times as large”", text), text


ABERRATED = (0.0, 0.25, -0.2, 0.15, 0.2)


@pytest.mark.parametrize(
    ("true", "given", "words"),
    [
        (ABERRATED, (), "aberrations of the objective of about 0.4 rad RMS"),
        ((), ABERRATED, "differs from the given one by about 0.4 rad RMS"),
        (ABERRATED, (0.0, 0.0, 0.0, *ABERRATED), "differs from the given one"),
        ((), (), ""),
        (ABERRATED, ABERRATED, ""),
    ],
    ids=["unknown", "not there", "from piston on", "none", "right"],
)
def test_another_pupil_is_warned_of(true: tuple[float, ...], given: tuple[float, ...], words: str) -> None:
    sample = nd.sample("idt", height_px=48, width_px=48, slices=8, frames=12, zernike_rad=true)
    recipe = sample.recipe.updated({"pupil": {"zernike_rad": given}})
    said = [text for text in started(recipe, sample.data.data).warnings if "fit better" in text]
    assert [words in text for text in said] == ([True] if words else [])
    if not words:
        return
    # a run that estimates it has no need of the warning
    estimated = recipe.updated({"calibration": {"pupil": True}})
    assert not [text for text in started(estimated, sample.data.data).warnings if "objective" in text]


@pytest.mark.parametrize("true", [ABERRATED, ()], ids=["aberrated", "none"])
def test_another_pupil_is_seen_in_fields_that_continue_beyond_their_edges(true: tuple[float, ...]) -> None:
    sample = nd.sample("idt", height_px=144, width_px=144, slices=8, zernike_rad=true)
    frames = np.ascontiguousarray(sample.data.data[:, 24:-24, 24:-24])
    said = started(sample.recipe, frames).warnings
    assert any("aberrations of the objective of about 0.4 rad" in text for text in said) == bool(true)


def test_pixels_that_no_camera_has_are_warned_of(recording: Recording) -> None:
    tiny = recording.recipe.updated({"pixel_size_um": 0.02})
    assert any("10 times finer than the optics need" in text for text in started(tiny, recording.frames).warnings)


def test_the_pixel_of_the_camera_is_named_and_nothing_else(recording: Recording) -> None:
    for pixel_um in (3.45, 6.5):
        (text,) = started(recording.recipe.updated({"pixel_size_um": pixel_um}), recording.frames).warnings
        assert "divided by the magnification" in text


def test_light_along_the_axis_alone_is_no_error(recording: Recording) -> None:
    started(listed(recording.recipe, np.zeros((12, 2))), recording.frames)


@pytest.mark.parametrize("turn", [1, -1])
def test_detail_gives_the_sign_where_slow_changes_are_hidden(turn: int) -> None:
    sample = nd.sample("idt", height_px=64, width_px=64, slices=16, ring_na=0.4, peak_phase_rad=0.2, seed=20)
    directions = turn * sample.recipe.illumination(24).apertures
    said = started(listed(sample.recipe, directions), sample.data.data).warnings
    assert any("index of the sample comes out below" in text for text in said) == (turn < 0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda na: na, ""),
        (lambda na: na[:, ::-1], "the directions do not fit"),
        (lambda na: na @ np.array([[0.985, -0.174], [0.174, 0.985]]), "the directions do not fit"),
    ],
    ids=["right", "exchanged", "turned by 10°"],
)
def test_wrong_directions_are_seen_in_fields_that_continue_beyond_their_edges(wrong: object, words: str) -> None:
    sample = nd.sample("idt", height_px=136, width_px=136, slices=12, frames=16, seed=5)
    frames = np.ascontiguousarray(sample.data.data[:, 36:-36, 36:-36])
    directions = wrong(sample.recipe.illumination(16).apertures)  # type: ignore[operator]
    said = [text for text in started(listed(sample.recipe, directions), frames).warnings if "directions" in text]
    assert [words in text for text in said] == ([True] if words else [])


@pytest.mark.parametrize("angle", [20, -35])
def test_an_array_of_lamps_that_is_turned_is_named(angle: int) -> None:
    sample = nd.sample("idt", height_px=48, width_px=48, slices=8, frames=12)
    right = np.concatenate([sample.recipe.illumination(12).apertures, [[0.0, 0.0]]])
    frames = np.concatenate([sample.data.data, sample.data.data.mean(0, keepdims=True)])
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    said = started(listed(sample.recipe, right @ np.array([[c, -s], [s, c]])), frames).warnings
    assert any(f"all turned by {-angle}°" in text for text in said), said


def test_turned_directions_are_warned_of_and_ranked_second(recording: Recording) -> None:
    turned = listed(recording.recipe, -ring(0.637, 12).apertures)
    assert any("turned by 180°" in text for text in started(turned, recording.frames).warnings)
    idt = task("idt")
    ranking = idt.rank(idt.checks[0], turned, Frames(recording.frames))
    assert ranking.given == 1
    assert ranking.alternatives[1].changes == {}
    chosen = turned.updated(ranking.alternatives[0].changes)
    assert np.allclose(chosen.illumination(12).apertures, ring(0.637, 12).apertures, atol=1e-6)
    assert not [text for text in started(chosen, recording.frames).warnings if "directions" in text]


def test_a_ring_stays_a_ring(recording: Recording) -> None:
    idt = task("idt")
    turned = recording.recipe.updated({"ring": {"first_angle_deg": 90}})
    chosen = turned.updated(idt.rank(idt.checks[0], turned, Frames(recording.frames)).alternatives[0].changes)
    assert chosen.ring.na == 0.637
    assert chosen.ring.first_angle_deg == pytest.approx(0, abs=1e-6)
    assert not chosen.illuminations


def test_positivity_takes_the_sign_of_the_sample() -> None:
    thin = record(strength=-0.003)
    run = started(thin.recipe, thin.frames)
    assert any("either it is lower" in text and "n ≤ n0 is assumed" in text for text in run.warnings)
    result = reconstructed(thin.recipe, thin.frames, thin.truth)
    assert result["n_re"].data.max() <= 1.33 + 1e-6
    assert result.report["regularization"]["sign"] == "negative"
    assert result.report["truth"]["n_re_correlation"] > 0.9


def test_a_sign_that_the_data_contradict_is_warned_of(recording: Recording) -> None:
    negative = recording.recipe.updated({"regularization": {"sign": "negative"}})
    assert any("contradicts n ≤ n0" in text for text in started(negative, recording.frames).warnings)
    thin = record(strength=-0.003)
    positive = thin.recipe.updated({"regularization": {"sign": "positive"}})
    assert any("contradicts n ≥ n0" in text for text in started(positive, thin.frames).warnings)
    agreed = thin.recipe.updated({"regularization": {"sign": "negative"}})
    assert not [text for text in started(agreed, thin.frames).warnings if "index of the sample" in text]


def test_too_few_frames_cannot_be_compared(recording: Recording) -> None:
    idt = task("idt")
    with pytest.raises(RecipeError, match="at least 4"):
        idt.rank(idt.checks[0], recording.recipe, Frames(recording.frames[:3]))


def test_deep_volumes_in_a_part_of_a_field_are_not_doubted() -> None:
    """Oblique light shows their slices up to 11 µm apart: far, compared with the part that is looked at."""
    sample = nd.sample("idt", height_px=352, width_px=352, slices=20, slice_spacing_um=1.0, frames=12, model="born")
    frames = np.asarray(sample.data.data)[:, 40:312, 40:312]
    with task("idt").start(sample.recipe.updated({"stack": None, "solver": "tikhonov"}), Frames(frames)) as run:
        assert not [text for text in run.job.all_warnings if "each frame is predicted" in text]
