"""Fits from the command line: data of any form, and results of the same form."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_diner.io.signals import probe_signal
from napari_diner.tasks.fit.model import FitModel
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.fit.task import FitTask
from napari_diner.tasks.saving import load
from tests.kit.reports import report_of

if TYPE_CHECKING:
    from tests.cli.conftest import Run

REPORTED = {
    *("task", "solver", "iterations", "seconds", "measurement_psnr_db", "parameters", "peak_memory_mb"),
    *("device", "seed", "versions", "partial", "psnr_db", "bits_per_pixel", "identical", "seconds_per_epoch"),
}
SCRIPT = "import sys; from napari_diner.cli import main; main()"


def texture(*shape: int, dtype: str = "uint8") -> npt.NDArray[Any]:
    """Return smooth waves with few distinct values, so that few epochs go far."""
    places = np.meshgrid(*[np.arange(size) / 7 for size in shape], indexing="ij")
    waves = np.round(8 * np.prod([np.cos(place + number) for number, place in enumerate(places)], axis=0))
    most = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1.0
    values: npt.NDArray[Any] = ((waves + 8) / 16 * most).astype(dtype)
    return values


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A colour image as TIFF."""
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, texture(32, 48, 3))
    return path


def test_a_fit_writes_what_the_contract_says(run: Run, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    finished = run("fit", image, "-o", out, "--backbone", "mlp", "--epochs", 60, "--seed", 5)
    assert finished.code == 0, finished.err
    assert {path.name for path in out.iterdir()} == {
        *("reconstruction.tif", "model.safetensors", "recipe.yaml", "report.json")
    }
    report = report_of(out)
    assert set(report) >= REPORTED
    assert (report["task"], report["solver"], report["iterations"], report["seed"]) == ("fit", "diner-mlp", 60, 5)
    found, wanted = tifffile.imread(out / "reconstruction.tif"), tifffile.imread(image)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    # what is reported is what the files hold
    square = np.mean((found.astype(float) - wanted) ** 2)
    assert report["psnr_db"] == pytest.approx(10 * np.log10(np.ptp(wanted).astype(float) ** 2 / square), abs=0.5)
    assert report["identical"] == pytest.approx((found == wanted).mean(), abs=1e-9)
    size = (out / "model.safetensors").stat().st_size
    assert report["bits_per_pixel"] == pytest.approx(8 * size / (32 * 48), rel=0.02)
    np.testing.assert_array_equal(FitModel.open(out).evaluate(), found)
    recipe = FitRecipe.load(out / "recipe.yaml")
    assert (recipe.image, recipe.axes, recipe.diner.backbone) == (str(image), "YXS", "mlp")
    # the table at the end
    for line in (r"solver +diner-mlp", r"epochs +60", r"PSNR +[0-9.]+ dB", r"equal after rounding +[0-9.]+ %"):
        assert re.search(rf"^{line}$", finished.out, re.MULTILINE), line
    assert re.search(r"^bits per pixel +[0-9.]+ \(source file [0-9.]+\)$", finished.out, re.MULTILINE)
    assert re.search(r"^parameters +[0-9,]+$", finished.out, re.MULTILINE)


def test_a_fit_can_be_repeated_from_its_own_recipe(run: Run, image: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("fit", image, "-o", first, "--epochs", 15, "-q").code == 0
    assert run("run", first / "recipe.yaml", "-o", second, "-q").code == 0
    before, after = (load(folder)["reconstruction"].data for folder in (first, second))
    np.testing.assert_array_equal(before, after)


def test_axes_given_as_letters_are_no_file_name(run: Run, tmp_path: Path) -> None:
    stack, out = tmp_path / "stack.tif", tmp_path / "out"
    tifffile.imwrite(stack, texture(5, 16, 20), photometric="minisblack")
    assert run("fit", stack, "-o", out, "--axes", "CYX", "--epochs", 5, "-q").code == 0
    assert FitRecipe.load(out / "recipe.yaml").axes == "CYX"
    assert FitModel.open(out).layout.outputs == 5


def test_the_pixel_size_goes_through(run: Run, tmp_path: Path) -> None:
    volume, out = tmp_path / "volume.tif", tmp_path / "out"
    sizes = {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0.4}
    data = texture(4, 16, 20, dtype="uint16")
    tifffile.imwrite(volume, data, ome=True, photometric="minisblack", metadata={"axes": "ZYX", **sizes})
    assert run("fit", volume, "-o", out, "--epochs", 5, "-q").code == 0
    found = load(out)["reconstruction"]
    assert (found.axes, found.scale_um, found.data.dtype) == ("ZYX", (0.4, 0.1, 0.1), np.dtype("uint16"))
    # the range of the data is kept, not crushed to that of 8 bits
    assert found.data.max() > 0.5 * data.max() > 255


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(np.full((16, 20), 37, np.uint8), id="constant"),
        pytest.param(np.full((16, 20), 3.5, np.float32), id="constant float"),
        pytest.param(np.full((16, 20), 900, np.uint16), id="constant 16 bit"),
        pytest.param(np.zeros((16, 20), np.uint16), id="black"),
        pytest.param(texture(1, 40), id="one row"),
        pytest.param(texture(40, 1), id="one column"),
        pytest.param(texture(1, 1), id="one pixel"),
        pytest.param(texture(1, 16, 20), id="one frame"),
        pytest.param(texture(16, 20, dtype="float32"), id="float"),
        pytest.param(texture(16, 20, dtype="float64"), id="double"),
        pytest.param(texture(16, 20, 4), id="RGBA"),
    ],
)
@pytest.mark.parametrize("representation", ["diner", "siren", "hash-grid"])
def test_unusual_images_work(data: npt.NDArray[Any], representation: str, run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "image.tif", tmp_path / "out"
    tifffile.imwrite(source, data, photometric="rgb" if data.shape[-1] == 4 else "minisblack")
    finished = run(
        "fit", source, "-o", out, "--epochs", 3, "--training.searches", 1, "--representation", representation
    )
    assert finished.code == 0, finished.err
    found = tifffile.imread(out / "reconstruction.tif")
    assert (found.squeeze().shape, found.dtype) == (data.squeeze().shape, data.dtype)
    if np.ptp(data) == 0:
        np.testing.assert_array_equal(found, data)
    assert "nan" not in finished.out.split("folder")[0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_bit_exact_fit_says_so(dtype: str, run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "image.tif", tmp_path / "out"
    data = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (24, 20, 3)).astype(dtype)
    tifffile.imwrite(source, data, photometric="rgb")
    finished = run("fit", source, "-o", out, "--bit-exact")
    assert finished.code == 0, finished.err
    np.testing.assert_array_equal(tifffile.imread(out / "reconstruction.tif"), data)
    assert re.search(r"equal after rounding +100 %", finished.out)


def test_only_what_is_all_equal_is_called_so() -> None:
    report = {"iterations": 1, "seconds_per_epoch": 1.0, "identical": 0.999999, "bits_per_pixel": 1.0}
    rows = dict(FitTask().summary_rows(report))
    assert rows["equal after rounding"] == "99.999 %"
    assert dict(FitTask().summary_rows({**report, "identical": 1.0}))["equal after rounding"] == "100 %"


def test_a_rounded_table_tells_what_it_cost(run: Run, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    finished = run("fit", image, "-o", out, "--epochs", 40, "--stored-bits", 8, "--training.no-unique")
    assert finished.code == 0, finished.err
    assert re.search(r"PSNR before the table was rounded +[0-9.]+ dB", finished.out)
    assert report_of(out)["float_psnr_db"] > report_of(out)["psnr_db"]


def test_representations_are_compared(run: Run, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    finished = run("compare", "fit", image, "-o", out, "--representations", "diner-siren,pe-mlp", "--seconds", 0.5)
    assert finished.code == 0, finished.err
    assert "winner by PSNR dB: " in finished.out
    report = report_of(out)
    assert set(report["comparison"]["contenders"]) == {"diner-siren", "pe-mlp"}
    winner = report["comparison"]["winner"]
    assert report["solver"] == winner
    for name in ("diner-siren", "pe-mlp"):
        assert FitModel.open(out / name).recipe.name == name
    np.testing.assert_array_equal(FitModel.open(out).evaluate(), FitModel.open(out / winner).evaluate())
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "comparison.txt").read_text() in finished.out
    # a second one replaces it
    assert run("compare", "fit", image, "-o", out, "--representations", "siren", "--seconds", 0.2, "-q").code == 2
    again = ("--representations", "siren", "--seconds", 0.2, "-q", "--overwrite")
    assert run("compare", "fit", image, "-o", out, *again).code == 0
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"siren"}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_constant_image_can_be_compared(dtype: str, run: Run, tmp_path: Path) -> None:
    """There the PSNR is infinite, or has no peak to refer to."""
    source = tmp_path / "flat.tif"
    tifffile.imwrite(source, np.full((16, 20), 7, dtype))
    command = ("compare", "fit", source, "-o", tmp_path / "out", "--representations", "siren,hash-grid")
    finished = run(*command, "--seconds", 0.3)
    assert finished.code == 0, finished.err
    assert "winner by PSNR dB: " in finished.out


@pytest.mark.parametrize(
    ("kind", "options", "shape", "axes", "scale"),
    [
        ("image", ["--height-px", 24, "--width-px", 32], (24, 32, 3), "YXS", (1.0, 1.0, 1.0)),
        ("image", ["--height-px", 24, "--width-px", 32, "--no-colours", "--bits", 16], (24, 32), "YX", (1.0, 1.0)),
        ("video", ["--frames", 3, "--height-px", 24, "--width-px", 32], (3, 24, 32, 3), "TYXS", (1.0,) * 4),
        ("volume", ["--slices", 4, "--height-px", 24, "--width-px", 32], (4, 24, 32), "ZYX", (0.3, 0.1, 0.1)),
    ],
    ids=["image", "grey image", "video", "volume"],
)
def test_a_drawn_sample_can_be_fitted(
    kind: str,
    options: list[object],
    shape: tuple[int, ...],
    axes: str,
    scale: tuple[float, ...],
    run: Run,
    tmp_path: Path,
) -> None:
    sample, out = tmp_path / "sample", tmp_path / "out"
    finished = run("simulate", kind, "-o", sample, *options)
    assert finished.code == 0, finished.err
    info = probe_signal(sample / f"{kind}.tif")
    assert (info.shape, info.axes, info.scale_um) == (shape, axes, scale)
    command = finished.out.split("\n\n")[-1].replace("RESULT", str(out)).split()
    assert command[0] == "napari-diner"
    assert run(*command[1:], "--set", "epochs=5", "-q").code == 0
    assert load(out)["reconstruction"].scale_um == scale


def test_the_demo_of_fits_leaves_pictures(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    quick = replace(FitTask.demo, seconds=0.15, settings={"height_px": 32, "width_px": 48})
    monkeypatch.setattr(FitTask, "demo", quick)
    finished = run("demo", "fit", "-o", "demo")
    assert finished.code == 0, finished.err
    out = tmp_path / "demo"
    pictures = {"comparison.png", "learned-inr.png", "mapped-coordinates.png"}
    assert {path.name for path in out.iterdir()} >= {*quick.contenders, *pictures, "sample", "comparison.txt"}
    for name in pictures:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
        assert name in finished.out
    assert FitRecipe.load(out / "recipe.yaml").image == str(out / "sample" / "image.tif")
    # the sample is one that the other commands take, and another demo replaces this one
    assert run("run", out / "recipe.yaml", "-o", "again", "-q", "--max-seconds", 0.3).code == 0
    assert run("demo", "-o", "demo", "fit", "-q", "--seed", 1).code == 0
    assert report_of(out)["seed"] == 1


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(
    "command", [["fit"], ["compare", "fit", "--representations", "diner-siren,siren", "--seconds", "1e6"]]
)
def test_an_interruption_leaves_the_best_so_far(command: list[str], image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = f"import napari_diner.cli.terminal as terminal; terminal.SECONDS_BETWEEN_LINES = 0; {SCRIPT}"
    with subprocess.Popen(
        [sys.executable, "-c", code, *command, image, "-o", out, "--epochs", "10000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stderr is not None
        first_epoch = re.compile(r"(diner-siren: )?diner-siren 1/10000000, loss ")
        assert any(map(first_epoch.match, islice(iter(process.stderr.readline, ""), 10)))  # after the checks
        process.send_signal(signal.SIGINT)
        table, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    report = report_of(out)
    assert (report["partial"], report["solver"]) == (True, "diner-siren")
    np.testing.assert_array_equal(FitModel.open(out).evaluate(), load(out)["reconstruction"].data)
    assert ("winner by" if command[0] == "compare" else "interrupted: this is the best result so far") in table


@pytest.mark.parametrize("command", ["fit", "render", "compare fit", "simulate video"])
def test_help_needs_no_torch_and_no_qt(command: str) -> None:
    code = f"""
import atexit, sys
atexit.register(lambda: print(sorted({{"torch", "napari", "qtpy", "PyQt6", "matplotlib"}} & set(sys.modules))))
sys.argv[1:] = {[*command.split(), "--help"]}
{SCRIPT}
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0
    assert finished.stdout.splitlines()[-1] == "[]"
