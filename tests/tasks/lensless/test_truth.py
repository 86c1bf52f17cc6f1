"""Scores against a truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_diner.errors import InputError
from napari_diner.tasks.lensless.truth import Truth, band_errors, check_truth, load_truth, phase_error, psnr_db, score

RNG = np.random.default_rng(0)
AMPLITUDE = RNG.uniform(0.2, 1.0, (12, 14))
PHASE = RNG.uniform(0, 1.5, (12, 14))


def test_a_constant_phase_and_full_turns_are_no_error() -> None:
    turns = 2 * np.pi * RNG.integers(-1, 2, PHASE.shape)
    np.testing.assert_allclose(phase_error(PHASE + 2.5 + turns, PHASE), 0, atol=1e-9)


def test_known_error_gives_known_figure() -> None:
    noise = RNG.normal(0, 0.01, PHASE.shape)
    noise -= noise.mean()
    scores = score(AMPLITUDE + 0.01, PHASE + noise, Truth(AMPLITUDE, PHASE))
    assert scores["amplitude_psnr_db"] == pytest.approx(20 * np.log10(AMPLITUDE.max() / 0.01))
    assert scores["phase_rmse_rad"] == pytest.approx(noise.std())
    assert scores["phase_psnr_db"] == pytest.approx(20 * np.log10(np.ptp(PHASE) / noise.std()))


def test_an_error_lies_in_the_octave_of_its_period() -> None:
    y, x = np.mgrid[:64, :48]
    truth = Truth(np.ones((64, 48)), 0.2 * np.cos(2 * np.pi * y / 32))
    wrong = truth.phase + 0.1 * np.cos(2 * np.pi * x / 6)
    rows = band_errors(wrong, truth, 0.5)
    errors = [row["phase_rmse_rad"] for row in rows]
    worst = rows[int(np.argmax(errors))]
    assert worst["low_per_um"] < 1 / (6 * 0.5) <= worst["high_per_um"]
    assert max(errors) == pytest.approx(0.1 / 2**0.5, rel=1e-6)
    assert sum(value**2 for value in errors) == pytest.approx(np.mean(phase_error(wrong, truth.phase) ** 2))
    assert sum(row["phase_rms_rad"] ** 2 for row in rows) == pytest.approx(truth.phase.var())


def test_no_error_is_infinite() -> None:
    assert psnr_db(np.zeros(3), 1.0) == float("inf")


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match="12×14 pixels but the frames have 12×13"):
        check_truth(Truth(AMPLITUDE, PHASE), (12, 13))


def test_truth_is_read_from_floats_and_from_published_integers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "GT_amp.png.tif", np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"holds no amplitude\.tif"):
        load_truth(tmp_path)
    tifffile.imwrite(tmp_path / "amplitude.tif", AMPLITUDE.astype(np.float32))
    with pytest.raises(InputError, match=r"holds no phase\.tif"):
        load_truth(tmp_path)
    tifffile.imwrite(tmp_path / "phase.tif", np.full((12, 14), 255, np.uint8))
    (tmp_path / "params.json").write_text('{"phase_scale_rad": 3.0}')
    truth = load_truth(tmp_path)
    np.testing.assert_allclose(truth.amplitude, AMPLITUDE, rtol=1e-6)
    np.testing.assert_allclose(truth.phase, 3.0)


def test_published_truth(data_folder: Path) -> None:
    truth = load_truth(data_folder / "fox_baboon")
    assert truth.amplitude.max() == 1.0
    assert truth.phase.max() == pytest.approx(np.pi / 2)
