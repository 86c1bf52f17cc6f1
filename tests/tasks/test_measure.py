"""Measured regions: sums of phase and index in their units, errors, and labels of wrong shape."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_diner.cli.app import execute
from napari_diner.errors import InputError, RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.ometiff import write_array
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.measure import doubts, measure, to_csv
from napari_diner.tasks.result import Result

SHAPE, PIXEL_UM, WAVELENGTH_UM = (60, 80), 0.5, 0.6
LABELS = np.zeros(SHAPE, np.uint16)
LABELS[10:30, 20:50], LABELS[40:50, 60:70] = 3, 7


def lensless(phase: Any, **more: Any) -> Result:
    wrapped = np.angle(np.exp(1j * phase)).astype(np.float32)
    arrays = [NamedArray("phase", wrapped, "YX", (PIXEL_UM,) * 2, "rad")]
    report: dict[str, Any] = {}
    if "sigma" in more:
        arrays.append(
            NamedArray("uncertainty", np.full(SHAPE, more["sigma"], np.float32), "YX", (PIXEL_UM,) * 2, "rad")
        )
        report["uncertainty"] = {"bands": more["bands"]}
    recipe = LenslessRecipe(wavelength_um=WAVELENGTH_UM, pixel_size_um=PIXEL_UM)
    return Result("lensless", tuple(arrays), recipe, report)


def test_regions_of_a_phase() -> None:
    # beyond a turn, on a background that is not zero
    y, x = np.ogrid[:60, :80]
    phase = 0.4 + np.where(LABELS == 3, 1.5, 0.0) + 4 * np.exp(-((y - 44.5) ** 2 + (x - 64.5) ** 2) / 12)
    table = measure(lensless(phase), LABELS, 0.2)
    assert table["label"].tolist() == [3, 7]
    np.testing.assert_allclose(table["area_um2"], [600 / 4, 100 / 4])
    np.testing.assert_allclose([table["y_um"][0], table["x_um"][0]], [19.5 / 2, 34.5 / 2])
    volumes = [(phase[label == LABELS] - 0.4).sum() / 4 for label in (3, 7)]
    np.testing.assert_allclose(table["phase_volume_rad_um2"], volumes, rtol=1e-5)
    np.testing.assert_allclose(table["dry_mass_pg"], np.array(volumes) * WAVELENGTH_UM / (2 * math.pi * 0.2), rtol=1e-5)
    assert not [name for name in table if name.endswith("_se")]


def test_regions_of_an_index() -> None:
    labels = np.zeros((8, 10, 12), np.int32)
    labels[2:6, 3:7, 4:9] = 1
    index = NamedArray("n_re", np.where(labels, 1.36, 1.33).astype(np.float32), "ZYX", (0.8, 0.2, 0.2))
    table = measure(Result("idt", (index,), IdtRecipe(medium_index=1.33), {}), labels)
    volume = 80 * 0.8 * 0.2 * 0.2
    assert table["volume_um3"] == pytest.approx(volume)
    assert table["mean_index"] == pytest.approx(1.36)
    assert table["dry_mass_pg"] == pytest.approx(0.03 * volume / 0.19, rel=1e-4)


BALL_UM, VOXEL_UM = 3.0, (0.5, 0.2, 0.2)


def ball(edge_um: float = 0.0, haze: float = 0.0) -> tuple[Any, Any]:
    """Return the labels of a ball, and n − n0 of one whose surface lies elsewhere, in some haze."""
    z, y, x = ((np.arange(size) - size / 2 + 0.5) * step for size, step in zip((22, 48, 50), VOXEL_UM, strict=True))
    radius = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    return (radius <= BALL_UM).astype(np.int32), 0.02 * (radius <= BALL_UM + edge_um) + haze


def index_result(contrast: Any, *, positivity: bool = True, sigma: float = 1e-4, change: float = 0.0) -> Result:
    """Return a result with samples of white noise and with noise that is the same in all voxels."""
    random = np.random.default_rng(1)
    common = random.standard_normal((60, 1, 1, 1))
    deviations = (sigma * (common + random.standard_normal((60, *contrast.shape)))).astype(np.float32)
    arrays = (
        NamedArray("n_re", (1.33 + contrast).astype(np.float32), "ZYX", VOXEL_UM),
        NamedArray("n_deviations", deviations, "CZYX", (1.0, *VOXEL_UM)),
        NamedArray("n_prior_change", np.full(contrast.shape, change, np.float32), "ZYX", VOXEL_UM),
    )
    report = {
        "regularization": {"positivity": positivity},
        "uncertainty": {"bands": [{"axial_period_um": 4.0}, {"axial_period_um": None}]},
    }
    return Result("idt", arrays, IdtRecipe(medium_index=1.33, wavelength_um=0.5, na=0.5), report)


def test_errors_of_an_index_add_up_noise_edge_haze_and_priors() -> None:
    labels, contrast = ball()
    volume = 4 / 3 * math.pi * BALL_UM**3
    table = {name: column[0] for name, column in measure(index_result(contrast), labels).items()}
    assert table["volume_um3"] == pytest.approx(volume, rel=0.02)
    assert table["surface_um2"] == pytest.approx(4 * math.pi * BALL_UM**2, rel=0.04)
    # what is common to all voxels stays, the rest averages out
    assert table["optical_volume_um3_se"] == pytest.approx(1e-4 * volume, rel=0.3)
    # the mass is known where the edge is moved outwards, and is lost where it is moved inwards, by 1 µm along z
    assert 0.1 < table["dry_mass_pg_error"] / table["dry_mass_pg"] < 0.3
    assert table["volume_um3_error"] / volume == pytest.approx(1 / 3 + 2 * 0.125 / 3, rel=0.25)
    _, hazy = ball(haze=0.002)
    more = measure(index_result(hazy), labels)["dry_mass_pg_error"][0] ** 2 - table["dry_mass_pg_error"] ** 2
    assert more**0.5 > 0.9 * 0.002 * volume / 0.19
    moved = measure(index_result(contrast, change=0.01), labels)["mean_index_error"][0]
    assert moved > 0.01


def test_an_edge_that_is_missed_by_less_than_the_resolution_is_covered() -> None:
    labels, _ = ball()
    for edge_um in (-0.1, 0.1):
        _, contrast = ball(edge_um)
        table = measure(index_result(contrast), labels)
        truth = contrast.sum() * math.prod(VOXEL_UM) / 0.19
        assert abs(table["dry_mass_pg"][0] - truth) <= table["dry_mass_pg_error"][0]


def test_no_error_is_stated_where_the_mean_is_not_recorded() -> None:
    labels, contrast = ball()
    result = index_result(contrast, positivity=False)
    table = measure(result, labels)
    assert not [name for name in table if name.endswith("_error")]
    assert "too low" in doubts(result)[0] and not doubts(index_result(contrast))


def test_errors_cover_the_scatter_of_noisy_phases() -> None:
    random = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(60, PIXEL_UM), np.fft.fftfreq(80, PIXEL_UM), indexing="ij"))
    low, high = 0.05, 0.1
    band = (frequency > low) & (frequency <= high)
    bands = [{"low_per_um": low, "high_per_um": high, "phase_sigma_rad": 0.1}]
    means = []
    for _ in range(60):
        noise = np.fft.ifft2(np.fft.fft2(random.standard_normal(SHAPE)) * band).real
        means.append(measure(lensless(0.1 * noise / noise.std()), LABELS)["dry_mass_pg"])
    table = measure(lensless(np.zeros(SHAPE), sigma=0.1, bands=bands), LABELS)
    scatter = np.std(means, 0)
    assert (scatter < 1.1 * table["dry_mass_pg_se"]).all() and (table["dry_mass_pg_se"] < 4 * scatter).all()
    # white noise of fine periods nearly averages out
    fine = [{"low_per_um": 0.5, "high_per_um": 1.4, "phase_sigma_rad": 0.1}]
    few = measure(lensless(np.zeros(SHAPE), sigma=0.1, bands=fine), LABELS)
    assert (few["mean_phase_rad_se"] < 0.5 * table["mean_phase_rad_se"]).all()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:, 1:], "60×79 pixels but phase has 60×80"),
        (0 * LABELS, "zero everywhere"),
        (LABELS + 0.5, "not whole"),
        (-LABELS.astype(np.int32), "negative"),
        (LABELS + 1, "no background"),
    ],
)
def test_labels_that_do_not_fit(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure(lensless(np.zeros(SHAPE)), labels)


def test_an_increment_in_another_unit_is_refused() -> None:
    with pytest.raises(RecipeError, match="190 mL/g"):
        measure(lensless(np.zeros(SHAPE)), LABELS, 190.0)


def test_the_command_prints_and_writes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = lensless(np.where(LABELS, 1.0, 0.0))
    result.save(tmp_path / "result")
    write_array(tmp_path / "labels.tif", NamedArray("labels", LABELS, "YX", (PIXEL_UM,) * 2))
    command = ["measure", str(tmp_path / "result"), "--labels", str(tmp_path / "labels.tif")]
    out = tmp_path / "cells.csv"
    assert execute([*command, "-o", str(out)]) == 0
    assert capsys.readouterr().out == out.read_text("utf-8") == to_csv(measure(result, LABELS))
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert [row["label"] for row in rows] == ["3", "7"] and float(rows[0]["area_um2"]) == 150
    assert execute([*command, "-o", str(out)]) == 2
    assert "exists" in capsys.readouterr().err
