"""The unexplained share of the data in all tasks, and worthless results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_diner.errors import DinerError, InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.job import RunRecord, StageRecord
from napari_diner.tasks.registry import task
from napari_diner.tasks.result import Result
from napari_diner.tasks.result_checks import check_finite, few_steps
from napari_diner.tasks.sample import SampleData
from napari_diner.tasks.task import Frames
from napari_diner.tasks.unexplained import Unexplained
from napari_diner.wording import percent

SMALL: dict[str, dict[str, object]] = {
    "lensless": {"height_px": 64, "width_px": 64, "distances_um": (300.0, 380.0, 460.0, 540.0)},
    "idt": {"height_px": 48, "width_px": 48, "slices": 8, "frames": 16},
}
QUICK: dict[str, dict[str, object]] = {
    "lensless": {"gauss_newton": {"iterations": 8}},
    "idt": {"solver": "tikhonov"},
}


@pytest.fixture(scope="module", params=["lensless", "idt"])
def sample(request: pytest.FixtureRequest) -> Iterator[tuple[str, SampleData]]:
    (offered,) = task(request.param).samples
    yield request.param, offered.make(offered.settings(**SMALL[request.param]))


def result(name: str, sample: SampleData, frames: npt.NDArray[Any], **changes: object) -> Result:
    recipe = sample.recipe.updated({"stack": None, **QUICK[name], **changes})
    with task(name).start(recipe, Frames(frames)) as run:
        for _ in run:
            pass
        return run.result()


def test_a_frame_is_named_if_a_third_of_its_residual_is_no_noise() -> None:
    """As of one that is rotated by 1.5° in a noisy recording; a result that fits noise leaves half of that."""
    noise = 0.1 * np.random.default_rng(2).standard_normal((6, 64, 72))
    trivial = np.ones((6, 64, 72))
    smooth = np.sin(np.arange(72) / 5) * np.sin(np.arange(64) / 4)[:, None]
    for part, is_named in ((0.15, True), (0.08, False)):
        residual = noise.copy()
        residual[3] += part * smooth
        warnings = Unexplained.of(residual, trivial).frame_warnings(0.002, "distance")
        assert [text.startswith("frame 4 is explained much worse") for text in warnings] == [True] * is_named
    # what is left of a frame that is fitted better than the others, with part of its noise, is correlated, too
    residual = noise.copy()
    residual[3] = 0.3 * noise[3] + 0.15 * smooth
    assert Unexplained.of(residual, trivial).frame_warnings(0.002, "distance") == []


@pytest.mark.parametrize(("name", "noise"), [("lensless", 0.02), ("idt", 0.003)])
def test_a_frame_that_does_not_belong_to_the_others_is_named(name: str, noise: float) -> None:
    (offered,) = task(name).samples
    more = {"distances_um": tuple(300.0 + 80 * np.arange(6))} if name == "lensless" else {}
    made = offered.make(offered.settings(**{**SMALL[name], **more}))
    frames = np.array(made.data.data, np.float64)
    frames += noise * frames.mean() * np.random.default_rng(0).standard_normal(frames.shape)
    assert not [text for text in result(name, made, frames).report["warnings"] if "much worse" in text]
    sound = frames[1].copy()
    frames[1] = sound[::-1]
    first, *others = result(name, made, frames).report["warnings"]
    assert first.startswith("frame 2 is upside down against what the other frames let expect")
    assert not [text for text in others if "much worse" in text]
    # for which there is no other word
    frames[1] = np.roll(sound[::-1], 9, 1)
    (text,) = (text for text in result(name, made, frames).report["warnings"] if "much worse" in text)
    assert text.startswith("frame 2 is explained much worse than the others: up to ")


def test_nothing_but_noise_is_said(sample: tuple[str, SampleData]) -> None:
    name, made = sample
    frames = 1 + 0.1 * np.random.default_rng(0).standard_normal(made.data.data.shape)
    assert any(text.endswith("and looks like noise") for text in result(name, made, frames).report["warnings"])


def test_a_right_answer_explains_the_data_and_a_wrong_order_does_not(sample: tuple[str, SampleData]) -> None:
    name, made = sample
    frames = made.data.data
    right = result(name, made, frames)
    assert right.report["unexplained"] < 0.02
    assert not [text for text in right.report["warnings"] if "unexplained" in text]
    order = np.random.default_rng(5).permutation(len(frames))
    gains = np.linspace(0.5, 1, len(frames)).reshape(-1, 1, 1)
    wrong = result(name, made, frames[order] if name == "idt" else (gains * frames).astype(frames.dtype))
    assert wrong.report["unexplained"] > 0.1
    assert wrong.report["unexplained_beyond_noise"] > 0.1
    assert "is left unexplained" in wrong.report["warnings"][0]
    rows = task(name).summary_rows(wrong.report)
    assert rows[0].label == "verdict"
    assert [row.value for row in rows if row.label == "unexplained"] == [percent(wrong.report["unexplained"])]


def test_the_share_does_not_depend_on_the_type(sample: tuple[str, SampleData]) -> None:
    name, made = sample
    if name == "idt":
        pytest.skip("ratios are real numbers")
    counts = made.data.data // 32
    reports = [result(name, made, counts.astype(dtype)).report for dtype in (np.uint16, np.uint32)]
    for figure in ("unexplained", "measurement_psnr_db"):
        assert reports[0][figure] == reports[1][figure]


def test_noise_is_told_from_structure() -> None:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:96, :80]
    signal = np.stack([np.sin(x / 6 + k) * np.cos(y / 9) for k in range(3)])
    noise = rng.normal(0, 0.2, signal.shape)
    structure = 0.2 * 2**0.5 * np.sin(x / 11 + y / 7) + 0 * signal
    of_noise, of_structure = Unexplained.of(noise, signal), Unexplained.of(structure, signal)
    assert of_noise.share == pytest.approx(of_structure.share, rel=0.1)
    assert of_noise.beyond_noise < 0.03 * of_noise.share
    assert of_structure.beyond_noise > 0.9 * of_structure.share
    assert Unexplained.of(signal, signal).share == 1
    assert "no better than nothing; look" in Unexplained.of(signal, signal).warnings(0.1, 0.05, "nothing", "look")[0]
    assert of_noise.warnings(0.1, 0.05, "nothing", "look") == []
    assert f"{percent(of_structure.share)} of the variation" in of_structure.warnings(0.1, 0.05, "nothing", "look")[0]


def test_data_without_variation_have_no_share() -> None:
    share = Unexplained.of(np.zeros((2, 5, 5)), np.zeros((2, 5, 5)))
    assert np.isnan(share.share)
    assert share.warnings(0.1, 0.05, "nothing", "look") == []


def record(name: str, iterations: int, most: int, *, stopped: bool = False) -> StageRecord:
    return StageRecord(name, 1.0, iterations, most, 0.5, stopped)


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([record("descent", 30, 30)], ""),
        ([record("closed form", 1, 1)], ""),
        ([record("start", 12, 40), record("descent", 1, 30)], ""),
        (
            [record("start", 12, 40), record("descent", 1, 30, stopped=True)],
            "after the first of 30 iterations of descent",
        ),
        ([record("descent", 1, 30)], "descent stopped after the first of 30 iterations"),
        ([record("descent", 0, 0)], "descent took no step"),
    ],
)
def test_runs_of_one_step_are_named(stages: Sequence[StageRecord], words: str) -> None:
    sentences = few_steps(stages)
    assert len(sentences) == (words != "")
    assert all(words in sentence for sentence in sentences)


def test_many_parts_cut_short_are_told_in_one_sentence() -> None:
    stages = [record(f"tile {number} of 9: voxels", 1, 40, stopped=True) for number in range(1, 10)]
    (sentence,) = few_steps(stages)
    assert "9 parts of the run, from tile 1 of 9: voxels to tile 9 of 9: voxels" in sentence


def test_a_start_that_explains_all_but_noise_is_no_fault() -> None:
    assert few_steps([record("descent", 1, 30)], explained=True) == []


def test_a_solver_that_is_worse_than_its_start_is_told() -> None:
    start, words = Unexplained(0.002, 0.0001), ("siren", "gauss-newton", "choose the solver gauss-newton")
    (warning,) = Unexplained(0.006, 0.0015).behind(start, *words)
    assert "leaves 0.6 % of their variation unexplained, gauss-newton 0.2 %" in warning
    # better, as good, or worse by noise that it does not fit
    for share, beyond in ((0.001, 0.00005), (0.002, 0.00025), (0.02, 0.001)):
        assert not Unexplained(share, beyond).behind(start, *words)


def test_a_run_that_was_stopped_is_to_be_finished_first() -> None:
    assert few_steps([record("descent", 1, 30)], finished=False) == []
    field = np.outer(np.hanning(20), np.hanning(20))[None]
    for finished, timed_out, first in (
        (True, False, ""),
        (True, True, "allow more time"),
        (False, False, "let the run finish"),
    ):
        cure = RunRecord([], 1.0, finished, timed_out).first_cure
        assert cure == first
        (warning,) = Unexplained.of(0.7 * field, field).warnings(0.1, 0.05, "nothing", "look again", cure)
        assert warning.endswith(f"; {first}; if that does not help, look again" if first else "; look again")


@pytest.mark.parametrize("photons", [2.0, 60.0])
def test_frames_of_few_photons_look_like_noise(photons: float) -> None:
    """Neither distances nor the scale of the data are to blame."""
    (offered,) = task("lensless").samples
    made = offered.make(offered.settings(**SMALL["lensless"], noise_sigma=0.0))
    frames = np.asarray(made.data.data, np.float64)
    counted = np.random.default_rng(1).poisson(photons * frames / frames.mean()).astype(np.uint16)
    warnings = result("lensless", made, counted).report["warnings"]
    assert [text for text in warnings if "looks like noise" in text] == warnings


def test_a_single_height_is_not_compared_with_other_settings() -> None:
    """Some field explains any single frame."""
    (offered,) = task("lensless").samples
    made = offered.make(offered.settings(height_px=96, width_px=96, distances_um=(400.0,)))
    found = result("lensless", made, np.asarray(made.data.data, np.float64) + 2 * made.data.data.mean())
    assert not [text for text in found.report["warnings"] if "fit better" in text]


def test_a_time_that_suffices_for_one_step_is_said() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    recipe = task("fit").recipe_type.parse({"task": "fit", "max_seconds": 1e-6})
    with task("fit").start(recipe, Frames(image)) as run:
        for _ in run:
            pass
        warnings = run.result().report["warnings"]
    assert any("after the first of 3000 iterations of diner-siren" in text for text in warnings)


def test_numbers_that_are_not_finite_are_no_result() -> None:
    bad = np.ones((4, 5), np.float32)
    bad[1, 2] = np.nan
    with pytest.raises(DinerError, match="1 of 20 values of phase are not finite after the stage descent"):
        check_finite([NamedArray("phase", bad, "YX", (1.0, 1.0))], [record("descent", 3, 5)])
    check_finite([("counts", np.ones(3, np.int64))], [])


def test_a_fit_that_diverged_is_told() -> None:
    image = np.random.default_rng(0).random((24, 20)).astype(np.float32)
    recipe = task("fit").recipe_type.parse(
        {"task": "fit", "representation": "siren", "epochs": 40, "learning_rate": 10, "training": {"batch_size": 256}}
    )
    with task("fit").start(recipe, Frames(image)) as run:
        for _ in run:
            pass
        report = run.result().report
    # diverged, but finite: worse than a constant, which is said first
    assert report["unexplained"] > 0.1
    assert "is not reproduced" in report["warnings"][0]


def test_a_simulation_that_is_not_finite_is_refused(sample: tuple[str, SampleData]) -> None:
    made = sample[1]
    bad = np.full(made.truth[0].data.shape, np.inf)
    with pytest.raises(InputError, match=r"The simulation gives .* that are not finite"):
        replace(made, truth=(replace(made.truth[0], data=bad),))
