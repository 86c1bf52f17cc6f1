"""Recordings in the light of an LED: better with size and spectrum, and warnings about implausible ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_diner.errors import RecipeError
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.task import simulate
from napari_diner.tasks.registry import task
from napari_diner.tasks.sample import SampleData
from tests.tasks.lensless.reconstruction import LenslessData, finished

COHERENT = {"source_size_um": None, "bandwidth_nm": None}


@pytest.fixture(scope="module")
def sample() -> SampleData:
    return simulate(
        LenslessSimulation(
            height_px=64, width_px=64, distances_um=(100.0, 160.0, 220.0, 300.0), source_size_um=80, bandwidth_nm=20
        )
    )


def phase_db(sample: SampleData, **changes: Any) -> float:
    fewer = {"gauss_newton": {"iterations": 6}, "alternating": {"iterations": 200}}
    recipe = sample.recipe.updated({**fewer, **changes})
    result = finished(recipe, sample.data.data, task("lensless").truth_of(sample))  # type: ignore[arg-type]
    assert ("light" in result.report) == (recipe.source_size_um is not None)  # type: ignore[attr-defined]
    return float(result.report["truth"]["phase_psnr_db"])


@pytest.mark.parametrize("solver", ["gauss-newton", "alternating"])
def test_the_phase_is_better_in_the_light_that_it_was_recorded_in(sample: SampleData, solver: str) -> None:
    assert phase_db(sample, solver=solver) > 10 + phase_db(sample, solver=solver, **COHERENT)


def test_noise_is_not_taken_for_detail_that_the_source_blurs(sample: SampleData) -> None:
    noise = np.random.default_rng(0).standard_normal(sample.data.data.shape)
    frames = np.clip(sample.data.data + 0.005 * 65535 * noise, 0, 65535).astype(np.uint16)
    noisy = replace(sample, data=replace(sample.data, data=frames))
    # without prior knowledge, both are about equal
    assert phase_db(noisy) > 6 + phase_db(noisy, **COHERENT)


@pytest.mark.parametrize("first_um", [None, 300.0])
def test_the_size_of_the_source_is_found(sample: SampleData, first_um: float | None) -> None:
    changes = {"source_size_um": first_um, "calibration": {"source": True}, "gauss_newton": {"iterations": 1}}
    report = finished(sample.recipe.updated(changes), sample.data.data).report["calibration"]  # type: ignore[arg-type]
    assert report["source_size_um"] == pytest.approx(80, rel=0.02)
    assert abs(report["source_size_um"] - 80) < max(5 * report["source_size_um_se"], 0.01 * 80)
    assert "source 8" in report["summary"] or "source 79" in report["summary"]


def job(sample: SampleData, **changes: Any) -> LenslessJob:
    recipe = sample.recipe.updated(changes)
    return LenslessJob(recipe, LenslessData(sample.data.data))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message", "field"),
    [
        ({"source_distance_um": None}, "depends on its distance", "source_distance_um"),
        ({**COHERENT, "source_distance_um": None, "calibration": {"source": True}}, "size", "source_distance_um"),
        ({"bandwidth_nm": 300.0}, "300 nm is not narrow", "bandwidth_nm"),
    ],
)
def test_light_that_cannot_be_meant(sample: SampleData, changes: dict[str, Any], message: str, field: str) -> None:
    with pytest.raises(RecipeError, match=message) as raised:
        job(sample, **changes)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, None),
        (COHERENT, None),
        ({"source_size_um": 0.08}, "enter 80"),
        ({"bandwidth_nm": 0.03}, "if 0.03 µm was meant, enter 30"),
        ({"bandwidth_nm": 0.001}, None),  # of a laser
        ({"source_size_um": 7000.0}, "hardly diffracts"),
    ],
)
def test_doubtful_light(sample: SampleData, changes: dict[str, Any], text: str | None) -> None:
    warnings = "\n".join(job(sample, **changes).all_warnings)
    assert text in warnings if text else not warnings
