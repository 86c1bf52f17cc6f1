"""Refractive index from the command line: a recording in; volumes, a picture and a report out."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import yaml
from matplotlib.image import imread

from tests.kit.reports import report_of

if TYPE_CHECKING:
    from tests.cli.conftest import Run

OPTICS = ("--wavelength-um", 0.515, "--pixel-size-um", 0.1625, "--na", 0.65)
VOLUME = ("--slice-count", 8, "--slice-spacing-um", 0.6)
SIMULATED = ("--slices", 8, "--slice-spacing-um", 0.6, "--height-px", 40, "--width-px", 48, "--frames", 12)


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small recording of cells, its truth and a recipe."""
    from napari_diner.cli.commands import write_sample
    from napari_diner.simulate.idt.settings import IdtSimulation
    from napari_diner.tasks.idt.task import simulate

    folder = tmp_path_factory.mktemp("cells")
    settings = {"slices": 8, "slice_spacing_um": 0.6, "height_px": 40, "width_px": 48, "frames": 12}
    write_sample(simulate(IdtSimulation.model_validate(settings)), folder)
    return folder


def test_aberrations_are_simulated_given_and_calibrated(run: Run, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    sizes = ("--slices", 4, "--height-px", 32, "--width-px", 32, "--frames", 8, "--noise-sigma", 0, "--model", "born")
    assert run("simulate", "idt", "-o", sample, *sizes, "--zernike-rad", "0,0.4,-0.3,0.5").code == 0
    assert (sample / "zernike.csv").read_text().split() == ["mode,rad", "4,0", "5,0.4", "6,-0.3", "7,0.5"]
    unexplained = []
    for name, coefficients in (("without", "0"), ("with", "0,0.4,-0.3,0.5")):
        finished = run(
            "idt", sample / "stack.tif", "--recipe", sample / "recipe.yaml", "--solver", "tikhonov",
            "--regularization.tikhonov", 1e-3, "--pupil.zernike-rad", coefficients, "-o", tmp_path / name,
        )  # fmt: skip
        assert finished.code == 0, finished.err
        unexplained.append(report_of(tmp_path / name)["unexplained"])
    assert unexplained[1] < 0.02 < unexplained[0]
    assert "zernike_rad:\n  - 0.0\n  - 0.4" in (tmp_path / "with/recipe.yaml").read_text()
    finished = run(
        "idt", sample / "stack.tif", "--recipe", sample / "recipe.yaml", "--solver", "tikhonov",
        "--regularization.tikhonov", 1e-3, "--calibration.pupil", "-o", tmp_path / "calibrated",
    )  # fmt: skip
    assert finished.code == 0, finished.err
    calibration = report_of(tmp_path / "calibrated")["calibration"]
    assert calibration["zernike_modes"] == [4, 5, 6, 7, 8, 9, 10, 11]
    np.testing.assert_allclose(calibration["zernike_rad"][:7], [0, 0.4, -0.3, 0.5, 0, 0, 0], atol=0.03)
    assert calibration["zernike_rad_se"][0] == 0 < calibration["zernike_rad_se"][1] < 0.03
    assert f"Z5 {calibration['zernike_rad'][1]:+.3f} ± " in finished.out and "Z4" not in finished.out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--pupil.zernike-rad", "0,33"), "between -20 and 20, not 33"),
        (("--pupil.zernike-rad", "0.1", "--transfer-functions", "a.mat"), "contain the aberrations"),
    ],
)
def test_impossible_aberrations_are_refused(
    run: Run, cells: Path, tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    finished = run("idt", cells / "stack.tif", "--recipe", cells / "recipe.yaml", "-o", tmp_path / "out", *options)
    assert finished.code == 2 and complaint in finished.err


def test_what_is_simulated_can_be_reconstructed_and_scored(run: Run, tmp_path: Path) -> None:
    sample, out = tmp_path / "sample", tmp_path / "out"
    assert run("simulate", "idt", "-o", sample, *SIMULATED).code == 0
    assert {path.name for path in sample.iterdir()} == {
        *("stack.tif", "n_re.tif", "n_im.tif", "recipe.yaml", "illuminations.csv")
    }
    finished = run("run", sample / "recipe.yaml", "-o", out, "--truth", sample)
    assert finished.code == 0, finished.err
    assert {path.name for path in out.iterdir()} == {
        *("n_re.tif", "n_im.tif", "residual.tif", "recipe.yaml", "report.json", "model.safetensors", "slices.png")
    }
    report = report_of(out)
    assert (report["task"], report["solver"], report["partial"]) == ("idt", "voxels", False)
    assert report["truth"]["n_re_rmse"] < 0.7 * report["truth"]["n_re_rmse_zero"]
    assert set(report["files"]) == {path.name for path in out.iterdir()}
    # an error of an index is not shown as nothing
    assert f"{report['truth']['n_re_rmse']:.3g}" in finished.out
    found, true = tifffile.imread(out / "n_re.tif"), tifffile.imread(sample / "n_re.tif")
    assert found.shape == true.shape
    assert found.min() >= 1.33 - 1e-6
    inside = true - 1.33 > 0.01 * (true.max() - 1.33)
    assert np.sqrt(np.mean((found - true)[inside] ** 2)) == pytest.approx(report["truth"]["n_re_rmse"], rel=1e-3)
    assert imread(out / "slices.png").std() > 0.05


def test_directions_come_from_a_file_or_a_ring(run: Run, cells: Path, tmp_path: Path) -> None:
    closed = ("--background", "ratio", "--solver", "tikhonov", "--regularization.tikhonov", 1)
    volumes = []
    for name, directions in {
        "file": ("--illuminations", cells / "illuminations.csv"),
        "ring": ("--ring.na", 0.637),
        "list": ("--illuminations", np.loadtxt(cells / "illuminations.csv", delimiter=",", skiprows=1).tolist()),
    }.items():
        out = tmp_path / name
        finished = run("idt", cells / "stack.tif", "-o", out, *OPTICS, *VOLUME, *closed, *directions)
        assert finished.code == 0, finished.err
        volumes.append(tifffile.imread(out / "n_re.tif"))
    for volume in volumes[1:]:
        np.testing.assert_allclose(volume, volumes[0], atol=1e-6)


def test_names_of_files_in_a_recipe_are_seen_from_its_folder(
    run: Run, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = yaml.safe_load((cells / "recipe.yaml").read_text(encoding="utf-8"))
    del recipe["ring"]
    light = 800.0 + np.arange(48) * np.ones((40, 1))
    folder = tmp_path / "recording"
    folder.mkdir()
    frames = tifffile.imread(cells / "stack.tif") * light
    tifffile.imwrite(folder / "stack.tif", frames.astype(np.float32), photometric="minisblack")
    tifffile.imwrite(folder / "empty.tif", light.astype(np.float32))
    (folder / "leds.csv").write_text((cells / "illuminations.csv").read_text())
    recipe |= {"illuminations": "leds.csv", "background": "empty.tif", "solver": "tikhonov"}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.chdir(tmp_path)
    finished = run("run", folder / "recipe.yaml", "-o", "out", "--truth", cells)
    assert finished.code == 0, finished.err
    stored = yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text(encoding="utf-8"))
    assert stored["background"] == "../recording/empty.tif"
    # and the stored recipe works from anywhere
    assert run("run", tmp_path / "out" / "recipe.yaml", "-o", "again", "--truth", cells).code == 0
    first, again = (report_of(tmp_path / name)["truth"]["n_re_rmse"] for name in ("out", "again"))
    assert first == pytest.approx(again, rel=1e-6)


def test_solvers_are_compared(run: Run, cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("compare", "idt", cells / "stack.tif", "-o", out, "--recipe", cells / "recipe.yaml")
    finished = run(*command, "--truth", cells, "--solvers", "tikhonov,voxels", "--seconds", 20)
    assert finished.code == 0, finished.err
    report = report_of(out)
    assert report["comparison"]["winner"] == "voxels"
    assert set(report["comparison"]["contenders"]) == {"tikhonov", "voxels"}
    for name in ("comparison.png", "comparison.txt", "tikhonov", "voxels", "n_re.tif"):
        assert (out / name).exists()
    assert "index RMSE" in finished.out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"na": None}, "numerical aperture"),
        ({"wavelength_um": None}, "--wavelength-um"),
        ({"ring": None}, "illuminations are missing"),
        ({"ring": {"na": 0.9}}, "0.9"),
        ({"ring": None, "illuminations": [[0.6, 0.0]] * 5}, "5 illuminations but the stack has 12 frames"),
        ({"ring": None, "illuminations": "leds.csv"}, "leds.csv"),
        ({"background": "nowhere.tif"}, "nowhere.tif"),
        ({"background": "average"}, "average"),
        ({"slice_count": 1_000_000}, "--slice-count"),
        ({"stack": None}, "stack"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    changes: dict[str, Any], said: str, run: Run, cells: Path, tmp_path: Path
) -> None:
    recipe = {**yaml.safe_load((cells / "recipe.yaml").read_text(encoding="utf-8")), **changes}
    if recipe["stack"] is not None:
        recipe["stack"] = str(cells / "stack.tif")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({k: v for k, v in recipe.items() if v is not None}))
    finished = run("run", tmp_path / "recipe.yaml", "-o", tmp_path / "out")
    assert finished.code == 2
    assert said in finished.err
    assert len(finished.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_truth_of_another_size_is_refused(run: Run, cells: Path, tmp_path: Path) -> None:
    finished = run("run", cells / "recipe.yaml", "-o", tmp_path / "out", "--truth", cells, "--set", "slice_count=9")
    assert finished.code == 2
    assert "8×40×48 voxels but the volume 9×40×48" in finished.err


def test_coarse_slices_bring_a_warning_with_the_limit(run: Run, cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    coarse = ("--set", "slice_spacing_um=4", "--set", "slice_count=2", "--set", "solver=tikhonov")
    finished = run("run", cells / "recipe.yaml", "-o", out, *coarse)
    assert finished.code == 0, finished.err
    (warning,) = [text for text in report_of(out)["warnings"] if "Nyquist" in text]
    assert "4 µm" in warning
    assert warning in finished.out


def test_directions_are_ranked_and_put_right(
    run: Run, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = tmp_path / "right.yaml"
    wrong = ("--recipe", cells / "recipe.yaml", "--ring.first-angle-deg", 180)
    ranked = run("directions", cells / "stack.tif", *wrong, "-o", right)
    assert ranked.code == 0, ranked.err
    first, second = (line for line in ranked.out.splitlines() if line.startswith(("1 ", "2 ")))
    assert "turned by 180°" in first and first.endswith("+")
    assert "as given" in second and second.endswith("−")
    assert yaml.safe_load(right.read_text())["ring"] == {"na": 0.637, "first_angle_deg": 0.0}
    # a recipe is only replaced where that is asked for, and a number must be one of the table
    again = run("directions", cells / "stack.tif", *wrong, "-o", right)
    assert again.code == 2 and "choose another name or add --overwrite" in again.err and not again.out
    beyond = run("directions", cells / "stack.tif", *wrong, "--pick", 99)
    assert beyond.code == 2 and "--pick = 99 is not in the table" in beyond.err

    def full(headings: object, rows: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # the recipe is written although the table cannot be printed
    monkeypatch.setattr("napari_diner.cli.commands.print_table", full)
    kept = run("directions", cells / "stack.tif", *wrong, "-o", tmp_path / "kept.yaml")
    assert kept.code == 2 and f"the result is saved in {tmp_path / 'kept.yaml'}" in kept.err
    assert (tmp_path / "kept.yaml").read_text() == right.read_text()
