"""What is around a result: long names, mounted disks, changes of the clock, runs that begin at the same moment."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile

from napari_diner.errors import OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.exchange import PREFIX, Stage, is_for, open_stage, stages
from napari_diner.io.folder import checkpoint_path, recover, reserved, staged, write_computed
from napari_diner.io.ometiff import write_array
from napari_diner.io.places import local_path, unused_folder
from napari_diner.io.swap import link_files
from tests.io.test_exchange import NEW, content, fill

LINUX = pytest.mark.skipif("linux" not in sys.platform, reason="as on Linux")
POSIX = pytest.mark.skipif(os.name != "posix", reason="names and processes as POSIX has them")
LONG = ("x" * 255, "x" * 240, "漢" * 85, "ü" * 120)


def test_a_file_of_the_users_in_the_way_keeps_the_new_files_together(tmp_path: Path) -> None:
    """Also in a folder without an earlier result: no file of the new one is left there."""
    mine = {"phase.tif": "mine", "notes.txt": "mine"}
    fill(tmp_path / "out", mine)
    with pytest.raises(OutputError, match=r"is there already.; the result is saved in .*out-2$"):
        write_computed(tmp_path / "out", lambda folder: fill(folder, NEW), overwrite=True)
    assert content(tmp_path / "out") == mine
    assert content(tmp_path / "out-2") == NEW


@POSIX
@pytest.mark.parametrize("name", LONG)
def test_long_names_have_a_checkpoint_and_a_neighbour(name: str, tmp_path: Path) -> None:
    checkpoint = checkpoint_path(tmp_path / name)
    checkpoint.with_name(f"{checkpoint.name}.new").write_text("new")
    assert checkpoint != checkpoint_path(tmp_path / (name[:-1] + "y"))
    with staged(tmp_path / name) as stage:
        fill(stage, NEW)
    with reserved(tmp_path / f"{name[:-1]}z"):
        fill(tmp_path / f"{name[:-1]}z", {"notes.txt": "mine"})
        with pytest.raises(OutputError, match=r"exists; the result is saved in .*-2$"):
            write_computed(tmp_path / f"{name[:-1]}z", lambda folder: fill(folder, NEW))
    assert unused_folder(tmp_path, name).parent == tmp_path


@POSIX
def test_a_result_with_a_long_name_is_saved_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def write(folder: Path) -> None:
        if "temporary" not in str(folder):
            raise OSError(errno.ENOSPC, "No space left on device")
        fill(folder, NEW)

    with pytest.raises(OutputError, match="the result is saved in"):
        write_computed(tmp_path / LONG[2], write)
    (saved,) = (tmp_path / "temporary").iterdir()
    assert content(saved) == NEW


def test_an_image_that_is_written_in_part_is_saved_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy's error has no reason; and where all disks are full, the error is that of the folder."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    image, write = NamedArray("phase", np.ones((3, 4), np.float32), "YX", (1.0, 1.0), "rad"), tifffile.imwrite

    def partly(path: Path, *values: object, **options: object) -> object:
        if not path.is_relative_to(tmp_path / "temporary"):
            raise OSError("48 requested and 12 written")
        return write(path, *values, **options)

    monkeypatch.setattr(tifffile, "imwrite", partly)
    with pytest.raises(
        OutputError, match=r"results cannot be written \(No space left on device\); the result is saved"
    ):
        write_computed(tmp_path / "results", lambda folder: write_array(folder / "phase.tif", image))
    (saved,) = (tmp_path / "temporary").iterdir()
    assert tifffile.imread(saved / "phase.tif").shape == (3, 4)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match=r"results cannot be written \(No space left on device\); choose"):
        write_computed(tmp_path / "results", lambda folder: write_array(folder / "phase.tif", image))
    assert not (tmp_path / "results").exists()


@POSIX
def test_a_disk_inside_a_folder_is_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "out", {"notes.txt": "mine"})
    (tmp_path / "out" / "disk").mkdir()
    (tmp_path / "whole").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "disk")
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
        link_files(tmp_path / "out", tmp_path / "whole")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may set any group")
def test_a_folder_keeps_its_group(tmp_path: Path) -> None:
    fill(tmp_path / "out", {"notes.txt": "mine"})
    os.chown(tmp_path / "out", -1, 1234)
    with staged(tmp_path / "out", overwrite=True) as stage:
        fill(stage, NEW)
    assert (tmp_path / "out").stat().st_gid == 1234


@LINUX
def test_a_run_is_alive_after_the_clock_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux computes the date at which a process began from that at which the machine did."""
    waiting = "import sys; from pathlib import Path; from napari_diner.io.exchange import open_stage\n"
    waiting += "open_stage(Path(sys.argv[1]), Path(sys.argv[1], 'out')); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", waiting, str(tmp_path)]
    boot = psutil.boot_time()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot + 3600)
        (stage,) = stages(tmp_path)
        assert not stage.is_dead
        process.kill()
        process.wait()
        assert stage.is_dead
    again = Stage(stage.path, stage.target, os.getpid(), stage.started + 100, stage.host)
    assert again.is_dead  # another process has the number now


@POSIX
def test_of_runs_that_begin_at_the_same_moment_one_goes_on(tmp_path: Path) -> None:
    moment = time.time() + 0.3
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            code = 2
            try:
                time.sleep(max(moment - time.time(), 0))
                with reserved(tmp_path / "out"):
                    time.sleep(1)
                    code = 0
            except OutputError:
                pass
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0, 2, 2, 2]
    assert not list(tmp_path.glob(f"{PREFIX}*"))


@pytest.mark.parametrize("home", ["", "out"])
def test_what_a_crash_left_is_restored_where_the_folder_is_now(home: str, tmp_path: Path) -> None:
    fill(tmp_path / "a" / "out", {"new.tif": "new", "notes.txt": "mine"})
    stage = open_stage(tmp_path / "a" / home, tmp_path / "a" / "out")
    fill(stage.path / "old", {"phase.tif": "old"})
    status = (tmp_path / "a" / "out" / "new.tif").stat()
    parts = {f"phase.zarr/{number}": [1, 1] for number in range(50_000)}
    (stage.path / "names.json").write_text(json.dumps({"new.tif": [status.st_size, status.st_mtime_ns], **parts}))
    owner = json.loads((stage.path / "owner.json").read_text())
    (stage.path / "owner.json").write_text(json.dumps({**owner, "pid": 2**22 + 1}))
    (tmp_path / "a").rename(tmp_path / "b")
    recover(tmp_path / "b" / "out")
    assert content(tmp_path / "b") == {"out/phase.tif": "old", "out/notes.txt": "mine"}


@POSIX
def test_a_run_is_known_by_another_path_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "here" / "old").mkdir(parents=True)
    (tmp_path / "there").symlink_to("here")
    for name in ("old", "new"):
        stage = Stage(tmp_path, str(tmp_path / "there" / name), 1, 0.0, "")
        assert is_for(stage, tmp_path / "here" / name)
        assert not is_for(stage, tmp_path / "here" / "other")


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("", "'' is empty"),
        ("s3://bucket/out", "'s3://bucket/out' is an address"),
        (Path("https://host/out"), "'https:/host/out' is an address"),
        ("~nobody-of-this-name/out", "unknown user"),
    ],
)
def test_a_place_that_is_none_on_this_machine(place: str | Path, problem: str) -> None:
    with pytest.raises(OutputError, match=problem), staged(place, overwrite=True):
        pass


@pytest.mark.parametrize("name", ["C:/out", "a:b", "day 1::out", "x//y"])
def test_names_that_look_like_addresses(name: str) -> None:
    assert local_path(name).is_absolute()
