"""The commands, run in a shell."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from safetensors import safe_open

from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.task import LenslessTask
from napari_diner.tasks.recipe import read_yaml
from napari_diner.tasks.saving import load
from tests.kit.reports import report_of

if TYPE_CHECKING:
    from tests.cli.conftest import Run

REPORTED = {
    *("task", "solver", "iterations", "seconds", "measurement_psnr_db", "parameters", "peak_memory_mb"),
    *("device", "seed", "versions", "partial"),
}
SCRIPT = "import sys; from napari_diner.cli import main; main()"


def test_lensless_writes_what_the_contract_says(run: Run, recording: Path, physics: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    stack, recipe = recording / "stack.tif", recording / "recipe.yaml"
    finished = run("lensless", stack, "-o", out, *physics, "--recipe", recipe, "--truth", recording, "--seed", 5)
    assert finished.code == 0, finished.err
    assert {path.name for path in out.iterdir()} >= {
        *("amplitude.tif", "phase.tif", "recipe.yaml", "report.json", "model.safetensors")
    }
    report = report_of(out)
    assert set(report) >= REPORTED
    assert (report["task"], report["seed"], report["partial"]) == ("lensless", 5, False)
    assert isinstance(report["truth"], dict)
    assert report["truth"]["amplitude_psnr_db"] > 40
    for name in ("amplitude", "phase"):
        with tifffile.TiffFile(out / f"{name}.tif") as tif:
            pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
            assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (1.12, "µm")
            assert (tif.series[0].dtype, tif.series[0].shape) == (np.float32, (48, 48))
    assert load(out)["phase"].unit == "rad"
    with safe_open(out / "model.safetensors", framework="numpy") as file:
        header = file.metadata()
        assert (header["format"], header["format_version"], header["axes"]) == ("napari-diner", "1", "YX")
        assert json.loads(header["recipe"])["seed"] == 5
    # the table at the end
    assert re.search(r"amplitude PSNR \(truth\) +[0-9.]+ dB", finished.out)
    assert str(out) in finished.out


def test_a_result_can_be_repeated_from_its_own_recipe(run: Run, recording: Path, tmp_path: Path) -> None:
    """Bit by bit, from any folder, with the stack named by an absolute path."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("run", recording / "recipe.yaml", "-o", first, "--quiet", "--device", "cpu").code == 0
    assert LenslessRecipe.load(first / "recipe.yaml").stack == str(recording / "stack.tif")
    assert run("run", first / "recipe.yaml", "-o", second, "--quiet").code == 0
    for name in ("amplitude", "phase"):
        np.testing.assert_array_equal(load(first)[name].data, load(second)[name].data)


def test_relative_paths_are_relative_to_where_they_are_written(
    run: Run, recording: Path, physics: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("run", "recording/recipe.yaml", "-o", "a", "-q", "--set", "gauss_newton.cg_steps=2").code == 0
    assert (
        run(
            "lensless",
            "recording/stack.tif",
            "-o",
            "b",
            "-q",
            *physics,
            "--set",
            "gauss_newton={iterations: 1, cg_steps: 2}",
        ).code
        == 0
    )
    for name in ("a", "b"):
        assert LenslessRecipe.load(Path(name, "recipe.yaml")).stack == str(recording / "stack.tif")


def test_options_go_over_set_and_set_goes_over_the_file(run: Run, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = ["--set", "gauss_newton.iterations=2", "--set", "seed=7", "--set", "gauss_newton.cg_steps=4"]
    finished = run(
        *("lensless", "-o", out, "--recipe", recording / "recipe.yaml", *settings, "--gauss-newton.cg-steps", 5, "-q")
    )
    assert (finished.code, finished.out, finished.err) == (0, "", "")
    recipe = LenslessRecipe.load(out / "recipe.yaml")
    assert (recipe.gauss_newton.iterations, recipe.seed, recipe.gauss_newton.cg_steps) == (2, 7, 5)
    assert recipe.wavelength_um == 0.532


def test_overwriting_must_be_asked_for(run: Run, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["run", recording / "recipe.yaml", "-o", out, "-q", "--set", "gauss_newton={iterations: 1, cg_steps: 2}"]
    assert run(*command).code == 0
    before = (out / "report.json").read_bytes()
    assert run(*command).code == 2
    assert (out / "report.json").read_bytes() == before
    assert run(*command, "--overwrite", "--seed", "3").code == 0
    assert report_of(out)["seed"] == 3


def test_the_pixel_size_of_the_file_is_taken(run: Run, recording: Path, tmp_path: Path) -> None:
    frames = tifffile.imread(recording / "stack.tif")
    sized = tmp_path / "sized.tif"
    tifffile.imwrite(sized, frames, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 1.5, "PhysicalSizeY": 1.5})
    out = tmp_path / "out"
    options = [
        "--wavelength-um",
        0.532,
        "--distances-um",
        "300 400 500",
        "--gauss-newton.iterations",
        1,
        "--gauss-newton.cg-steps",
        2,
        "-q",
    ]
    assert run("lensless", sized, "-o", out, *options).code == 0
    assert LenslessRecipe.load(out / "recipe.yaml").pixel_size_um == 1.5


def test_a_comparison_names_a_winner(run: Run, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    solvers = ["--solvers", "gauss-newton,alternating", "--seconds", 2]
    finished = run(
        "compare", "lensless", "-o", out, "--recipe", recording / "recipe.yaml", "--truth", recording, *solvers
    )
    assert finished.code == 0, finished.err
    assert "winner by phase dB: " in finished.out
    assert set(report_of(out)) >= {*REPORTED, "comparison"}
    for name in ("gauss-newton", "alternating"):
        assert (out / name / "phase.tif").is_file()
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_the_demo_leaves_a_table_and_files(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few = LenslessTask.demo.contenders[:2]
    quick = replace(LenslessTask.demo, seconds=0.2, settings={"height_px": 48, "width_px": 64}, contenders=few)
    monkeypatch.setattr(LenslessTask, "demo", quick)
    finished = run("demo")
    assert finished.code == 0, finished.err
    assert "winner by phase dB: " in finished.out
    out = tmp_path / "napari-diner-demo"
    assert set(report_of(out)) >= {*REPORTED, "comparison", "truth"}
    assert {array.name for array in load(out).arrays} >= {"amplitude", "phase"}
    assert {path.name for path in out.iterdir()} >= {*quick.contenders, "sample", "comparison.png", "comparison.txt"}
    # the sample is one that the other commands take
    again = run("run", out / "recipe.yaml", "-o", "again", "-q", "--max-seconds", 0.2, "--truth", out / "sample")
    assert again.code == 0, again.err
    (out / "mine.txt").write_text("kept")
    assert run("demo", "--seed", 1, "-q").code == 0
    assert (report_of(out)["seed"], (out / "mine.txt").read_text()) == (1, "kept")


def test_a_simulated_sample_can_be_reconstructed(run: Run, tmp_path: Path) -> None:
    sample, out = tmp_path / "sample", tmp_path / "out"
    finished = run("simulate", "lensless", "-o", sample, "--height-px", 64, "--width-px", 48, "--seed", 3)
    assert finished.code == 0, finished.err
    command = finished.out.split("\n\n")[-1].replace("RESULT", str(out)).split()
    assert command[0] == "napari-diner"
    assert run(*command[1:], "--set", "gauss_newton.iterations=2").code == 0
    assert isinstance(report_of(out)["truth"], dict)
    assert read_yaml(sample / "recipe.yaml")["stack"] == "stack.tif"
    info = run("lensless", sample / "stack.tif", "-o", tmp_path / "again", "--recipe", sample / "recipe.yaml", "-q")
    assert info.code == 0, info.err


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize(
    ("stop", "command"),
    [
        (signal.SIGINT, ["run"]),
        (signal.SIGTERM, ["run"]),
        (getattr(signal, "SIGHUP", signal.SIGTERM), ["run"]),
        (signal.SIGINT, ["compare", "lensless", "--solvers", "pixels,alternating", "--recipe"]),
    ],
    ids=["SIGINT", "SIGTERM", "SIGHUP", "SIGINT while comparing"],
)
def test_an_interruption_leaves_the_best_so_far(
    stop: signal.Signals, command: list[str], recording: Path, tmp_path: Path
) -> None:
    if stop != signal.SIGINT and signal.getsignal(stop) == signal.SIG_IGN:
        pytest.skip("these tests were started with the signal ignored, as by nohup, and so are their processes")
    out = tmp_path / "out"
    endless = {"solver": "pixels", "start": "flat", "gradient.iterations": 10**6, "gradient.patience": 10**6}
    settings = [f"--set={key}={value}" for key, value in endless.items()]
    code = f"import napari_diner.cli.terminal as terminal; terminal.SECONDS_BETWEEN_LINES = 0; {SCRIPT}"
    with subprocess.Popen(
        [sys.executable, "-c", code, *command, recording / "recipe.yaml", "-o", out, *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any(re.match(r"(pixels: )?pixels [1-9]/1000000, loss ", line) for line in islice(lines, 5))
        process.send_signal(stop)
        table, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert report_of(out)["partial"] is True
    assert load(out)["phase"].data.shape == (48, 48)
    assert ("winner by" if command[0] == "compare" else "interrupted: this is the best result so far") in table


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="terminals as POSIX has them")
def test_closing_the_terminal_leaves_the_best_so_far(recording: Path, tmp_path: Path) -> None:
    import pty
    import termios

    out = tmp_path / "out"
    endless = {"solver": "pixels", "start": "flat", "gradient.iterations": 10**6, "gradient.patience": 10**6}
    settings = [f"--set={key}={value}" for key, value in endless.items()]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", SCRIPT, "run", recording / "recipe.yaml", "-o", out, *settings])
    termios.tcsetwinsize(terminal, (25, 100))
    shown = b""
    while b"pixels" not in shown:
        shown += os.read(terminal, 1000)
    os.close(terminal)
    os.waitpid(child, 0)
    assert report_of(out)["partial"] is True


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("module", ["napari_diner.cli.app", "napari_diner.tasks.lensless.task", "torch"])
def test_an_interruption_before_there_is_a_result_leaves_nothing(module: str, recording: Path, tmp_path: Path) -> None:
    """Ctrl-C arrives when the command begins to import a module."""
    code = f"""
import os, signal, sys
class Interrupter:
    def find_spec(name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupter)
{SCRIPT}
"""
    command = [sys.executable, "-c", code, "run", recording / "recipe.yaml", "-o", tmp_path / "out"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 130
    assert finished.stderr == "napari-diner: interrupted; nothing was written\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("module", ["napari_diner.cli.app", "napari_diner.tasks.lensless.task"])
@pytest.mark.parametrize(
    "error", ["ValueError('no serializer: KeyboardInterrupt:')", "ValueError('stopped') from KeyboardInterrupt()"]
)
def test_an_interruption_that_a_library_reports_in_its_own_way_is_one(
    error: str, module: str, recording: Path, tmp_path: Path
) -> None:
    """As pydantic does when Ctrl-C arrives while it builds a schema."""
    code = f"""
import sys
class Library:
    def find_spec(name, path, target=None):
        if name == {module!r}:
            raise {error}
sys.meta_path.insert(0, Library)
{SCRIPT}
"""
    command = [sys.executable, "-c", code, "run", recording / "recipe.yaml", "-o", tmp_path / "out"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (finished.returncode, finished.stderr) == (130, "napari-diner: interrupted; nothing was written\n")


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interruption_after_the_end_changes_nothing() -> None:
    code = f"import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.SIGINT); {SCRIPT}"
    finished = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, timeout=60)
    assert (finished.returncode, finished.stderr) == (0, "")


def test_help_needs_no_torch_and_no_qt() -> None:
    code = f"""
import atexit, sys
atexit.register(lambda: print(sorted({{"torch", "napari", "qtpy", "PyQt6", "matplotlib"}} & set(sys.modules))))
sys.argv[1:] = ["lensless", "--help"]
{SCRIPT}
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0
    assert finished.stdout.splitlines()[-1] == "[]"


def test_help_shows_the_settings_in_a_microscopists_words(run: Run) -> None:
    finished = run("lensless", "--help")
    assert finished.code == 0
    text = " ".join(re.sub("[│╭╮╰╯─]", " ", finished.out).split())
    assert "Distance from the sample to the sensor for each frame" in text
    assert "--gauss-newton.cg-steps" in text


def test_info_tells_versions_and_devices(run: Run) -> None:
    finished = run("info")
    assert finished.code == 0
    assert re.search(rf"torch +{re.escape(version('torch'))}\n", finished.out)
    for label in ("Qt binding", "cuda", "memory"):
        assert f"\n{label} " in finished.out


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out.strip() == version("napari-diner")
