"""Files of the user are not replaced: inputs, results of other commands, foreign files."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from napari_diner import cli
from napari_diner.cli import output
from napari_diner.cli.terminal import table_text
from napari_diner.errors import OutputError
from napari_diner.io.folder import reserved
from tests.cli.conftest import Run

QUICK = ("--set", "gauss_newton={iterations: 1, cg_steps: 2}", "-q")


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_inputs_of_a_run_are_not_replaced(run: Run, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    assert run("simulate", "lensless", "-o", sample, "--height-px", 48, "--width-px", 48, "-q").code == 0
    before = content(sample)
    for options in ((), ("--truth", sample)):
        finished = run("run", sample / "recipe.yaml", "-o", sample, "--overwrite", *options, *QUICK)
        assert finished.code == 2
        assert "an input of this run; choose another one" in finished.err
        assert content(sample) == before


def test_files_of_the_user_stay(run: Run, recording: Path, tmp_path: Path) -> None:
    """The recording has a recipe that no command wrote; files beside a result belong to nobody but the user."""
    before = content(recording)
    finished = run("run", recording / "recipe.yaml", "-o", recording, "--overwrite", *QUICK)
    assert finished.code == 2
    assert "contains a recipe.yaml that does not belong to a result" in finished.err
    assert content(recording) == before
    out = tmp_path / "out"
    assert run("run", recording / "recipe.yaml", "-o", out, *QUICK).code == 0
    (out / "data").mkdir()
    (out / "data" / "raw.tif").write_text("mine")
    report = out / "report.json"
    report.write_text(report.read_text().replace('"files": [', '"files": ["data", '))
    assert run("run", recording / "recipe.yaml", "-o", out, "--overwrite", *QUICK).code == 0
    assert (out / "data" / "raw.tif").read_text() == "mine"


def test_a_sample_replaces_an_older_one(run: Run, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    size = ("--height-px", 24, "--width-px", 32, "-q")
    assert run("simulate", "lensless", "-o", sample, *size).code == 0
    (sample / "notes.txt").write_text("mine")
    assert run("simulate", "image", "-o", sample, *size).code == 2
    assert run("simulate", "image", "-o", sample, "--overwrite", *size).code == 0
    assert {path.name for path in sample.iterdir()} == {"image.tif", "recipe.yaml", "notes.txt"}
    assert yaml.safe_load((sample / "recipe.yaml").read_text())["task"] == "fit"


def test_a_demonstration_replaces_demonstrations_only(run: Run, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("run", recording / "recipe.yaml", "-o", out, *QUICK).code == 0
    before = content(out)
    finished = run("demo", "fit", "-o", out)
    assert finished.code == 2
    assert "exists; choose another one or add --overwrite" in finished.err
    assert content(out) == before


def test_a_folder_that_another_run_will_write_is_refused(
    run: Run, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reserved(tmp_path / "out"):
        monkeypatch.setattr(os, "getpid", lambda: os.getppid())
        finished = run("run", recording / "recipe.yaml", "-o", tmp_path / "out", *QUICK)
    assert finished.code == 2
    assert "Another run" in finished.err
    assert not (tmp_path / "out").exists()


def test_an_interruption_after_the_result_is_saved_says_so(
    run: Run, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "print_rows", lambda rows: signal.raise_signal(signal.SIGINT))
    finished = run("run", recording / "recipe.yaml", "-o", tmp_path / "out", *QUICK[:-1])
    assert finished.code == 130
    assert finished.err.splitlines()[-1] == f"napari-diner: interrupted; the result is saved in {tmp_path / 'out'}"
    assert (tmp_path / "out" / "report.json").is_file()


def test_an_interruption_after_a_file_is_written_says_so(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    with (
        pytest.raises(KeyboardInterrupt, match=r"the result is saved in .*csv"),
        output.file_written(file, lambda path: path.write_text("1"), overwrite=False),
    ):
        raise KeyboardInterrupt
    with (
        pytest.raises(OutputError, match="File exists"),
        output.file_written(file, lambda path: path.write_text("2"), overwrite=False),
    ):
        pass
    assert file.read_text() == "1"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_result_is_saved_where_its_summary_cannot_be_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        finished = run("simulate", "image", "--height-px", 16, "--width-px", 16, "-o", out)
        monkeypatch.undo()
    assert finished.code == 2
    (line,) = (line for line in finished.err.splitlines() if line.startswith("napari-diner: "))
    assert line.endswith(f"(No space left on device); the result is saved in {out}")
    assert (out / "recipe.yaml").is_file()


def test_a_table_for_a_file_needs_no_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "stdout", Full())
    heading, _, row = table_text(["method", "dB"], [["siren", "30.1"]]).splitlines()
    assert heading.split() == ["method", "dB"] and row.split() == ["siren", "30.1"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_messages_that_cannot_be_written_end_no_command(tmp_path: Path) -> None:
    """As with a log on a disk that is full."""
    code = (
        "import sys; from napari_diner.cli import _open_streams\n"
        "_open_streams(); print('loss', file=sys.stderr, flush=True); print('done')"
    )
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, check=True)
    assert finished.stdout.strip() == b"done"


@pytest.mark.parametrize("command", ["fit", "compare fit --contenders pixels --seconds 0.1", "fit --overwrite"])
def test_a_run_whose_result_does_not_fit_the_disk_does_not_begin(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert run("simulate", "image", "--height-px", 16, "--width-px", 16, "-o", tmp_path / "image").code == 0
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    # so many epochs would take hours
    out, image = tmp_path / "out", tmp_path / "image" / "image.tif"
    finished = run(*command.split(), image, "--epochs", 100_000, "-o", out)
    (line,) = (line for line in finished.err.splitlines() if line.startswith("napari-diner: "))
    assert finished.code == 2 and "only 0.0 MB are free on the disk of" in line
    assert not out.exists()


def test_a_file_that_a_command_reads_is_not_replaced_by_it(run: Run, tmp_path: Path) -> None:
    sizes = ("--height-px", 16, "--width-px", 16, "-q")
    assert run("simulate", "image", *sizes, "-o", tmp_path / "image").code == 0
    assert run("fit", tmp_path / "image" / "image.tif", "--epochs", 1, "-q", "-o", tmp_path / "fit").code == 0
    assert run("simulate", "idt", *sizes, "--slices", 2, "--frames", 8, "-o", tmp_path / "idt").code == 0
    recipe = tmp_path / "idt" / "recipe.yaml"
    before = content(tmp_path)
    for words in (
        ("directions", "--recipe", recipe, "-o", recipe),
        ("render", tmp_path / "fit", "-o", tmp_path / "fit" / "reconstruction.tif"),
    ):
        finished = run(*words, "--overwrite")
        assert finished.code == 2 and "is an input of this command; choose another name" in finished.err
        assert content(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="folders as POSIX has them")
def test_a_working_folder_that_is_gone_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    finished = run("fit", tmp_path / "image.tif", "-o", tmp_path / "out")
    assert (finished.code, finished.err) == (
        2,
        "napari-diner: The working folder does not exist any more; change to another one\n",
    )


def test_a_terminal_without_our_letters_costs_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        cli._open_streams()
        print("µm äscii")
        monkeypatch.undo()
    assert (tmp_path / "out").read_text() == "?m ?scii\n"


def test_a_standard_stream_that_is_closed_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    cli._open_streams()
    print("nothing")
    sys.stdout.close()
