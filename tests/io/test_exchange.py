"""The files of a folder are exchanged as a whole: at any moment of a crash, the old ones or the new ones are there."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_diner.errors import OutputError
from napari_diner.io.exchange import PREFIX, open_stage, stages, sweep
from napari_diner.io.folder import REPORT, check_output, recover, reserved, staged

OLD = {
    "phase.tif": "old",
    "stale.tif": "old",
    "siren/phase.tif": "old",
    "siren/report.json": '{"files": ["phase.tif", "report.json"]}',
}
NEW = {"phase.tif": "new", "recipe.yaml": "new", "pixels/phase.tif": "new"}
FOREIGN = {"notes.txt": "mine", "siren/notes.txt": "mine", "data/raw.tif": "mine"}


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    """Return the files of a folder by name, without the report, which is not the same twice."""
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_text() for name, path in names.items() if name != REPORT}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An old result, with files of the user's beside it."""
    folder = tmp_path / "out"
    fill(folder, {**OLD, **FOREIGN, REPORT: json.dumps({"files": ["phase.tif", "stale.tif", "siren", "data", REPORT]})})
    return folder


def replace(folder: Path) -> None:
    with staged(folder, overwrite=True) as stage:
        fill(stage, {**NEW, REPORT: json.dumps({"files": ["phase.tif", "recipe.yaml", "pixels", REPORT]})})


def test_a_result_is_replaced_and_what_is_not_ours_stays(target: Path) -> None:
    """Also inside the folders of the result, and in a folder that the report lists but that is not a result."""
    replace(target)
    assert content(target) == {**NEW, **FOREIGN}
    assert not list(target.glob(PREFIX + "*"))


CRASH = """
import os, sys
from pathlib import Path
from tests.io.test_exchange import replace

left = int(sys.argv[2])
def guarded(function):
    def call(*args, **options):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return function(*args, **options)
    return call

for name in ("rename", "mkdir", "rmdir", "unlink", "write_text"):
    setattr(Path, name, guarded(getattr(Path, name)))
os.fsync = guarded(os.fsync)
replace(Path(sys.argv[1]))
"""


def test_a_crash_at_any_moment_leaves_the_old_or_the_new_result(target: Path, tmp_path: Path) -> None:
    complete = content(target)
    for moment in range(1000):
        folder = tmp_path / str(moment)
        fill(folder, {**complete, REPORT: (target / REPORT).read_text()})
        done = subprocess.run([sys.executable, "-c", CRASH, str(folder), str(moment)], check=False)
        recover(folder)
        assert content(folder) in (complete, {**NEW, **FOREIGN}), moment
        assert (folder / REPORT).is_file()
        assert not list(folder.glob(PREFIX + "*"))
        if done.returncode == 0:
            break
        assert done.returncode == 9
    assert moment > 20
    assert content(folder) == {**NEW, **FOREIGN}


@pytest.mark.parametrize(("number", "works"), [(errno.EINVAL, True), (errno.ENOSPC, False)])
def test_a_disk_that_is_full_is_not_one_that_cannot_wait(
    number: int, works: bool, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(target)

    def fsync(file: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    if works:
        replace(target)
        assert content(target) == {**NEW, **FOREIGN}
    else:
        with pytest.raises(OutputError, match="No space left"):
            replace(target)
        assert content(target) == before
    assert not list(target.glob(PREFIX + "*"))


def test_a_file_that_cannot_be_moved_brings_all_back(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, move = content(target), Path.rename

    def rename(self: Path, place: Path) -> Path:
        if self.name == "stale.tif" and PREFIX not in str(self):
            raise PermissionError(1, "Operation not permitted")
        return move(self, place)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OutputError, match=r"Operation not permitted.*result is saved in .*out-2"):
        replace(target)
    assert content(target) == before
    assert content(target.with_name("out-2")) == NEW


def test_files_of_others_are_not_replaced(target: Path) -> None:
    fill(target, {"recipe.yaml": "mine"})
    before = content(target)
    with pytest.raises(OutputError, match=r"contains a recipe\.yaml that does not belong to a result"):
        replace(target)
    (target / "recipe.yaml").unlink()
    with (
        pytest.raises(OutputError, match=r"pixels/phase\.tif is there already.*saved in .*out-2"),
        staged(target, overwrite=True) as stage,
    ):
        fill(stage, NEW)
        fill(target, {"pixels/phase.tif": "mine"})
    del before["recipe.yaml"]
    assert content(target) == {**before, "pixels/phase.tif": "mine"}
    assert content(target.with_name("out-2")) == NEW


def test_a_folder_that_is_filled_meanwhile_is_kept(tmp_path: Path) -> None:
    for number, mess in enumerate((lambda path: fill(path, {"a": "mine"}), lambda path: path.write_text("mine"))):
        out = tmp_path / f"{number}" / "out"
        with pytest.raises(OutputError, match=r"saved in .*out-2"), staged(out) as stage:
            fill(stage, NEW)
            out.parent.mkdir()
            mess(out)
        assert content(out.parent) in ({"out/a": "mine"} | BESIDE, {"out": "mine"} | BESIDE)


BESIDE = {f"out-2/{name}": text for name, text in NEW.items()}


@pytest.mark.parametrize("kind", ["file", "folder", "glob"])
def test_inputs_are_not_replaced(kind: str, target: Path) -> None:
    source = {"file": target / "stale.tif", "folder": target, "glob": target / "*.tif"}[kind]
    with pytest.raises(OutputError, match="an input of this run"):
        check_output(target, True, [source])
    check_output(target, True, [target.parent])
    check_output(target, True, [target / "notes.txt"])  # not ours, and therefore in no danger


def test_two_processes_do_not_write_into_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    wait = (
        "import sys; from napari_diner.io.folder import reserved\n"
        "with reserved(sys.argv[1]): print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", wait, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(OutputError, match=f"Another run .process {other.pid} "):
            check_output(out, False)
        check_output(tmp_path / "another", False)
        other.kill()
        if os.name == "posix":
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # it has ended, but is not reaped
        else:
            other.wait()
        check_output(out, False)
    assert not list(tmp_path.iterdir())
    with reserved(out), staged(out) as stage:
        fill(stage, NEW)
    assert content(out) == NEW


def test_a_stage_from_elsewhere_cannot_move_other_files(tmp_path: Path) -> None:
    fill(tmp_path, {"precious": "keep"})
    place = tmp_path / "download"
    place.mkdir()
    stage = open_stage(place, tmp_path)
    owner = json.loads((stage.path / "owner.json").read_text())
    (stage.path / "owner.json").write_text(json.dumps({**owner, "pid": 2**22 + 1}))
    (stage.path / "old").mkdir()
    (stage.path / "names.json").write_text(json.dumps(["../precious", str(tmp_path / "precious")]))
    sweep(place)
    assert content(tmp_path) == {"precious": "keep"}


def test_what_is_not_a_stage_is_not_swept(tmp_path: Path) -> None:
    fill(tmp_path, {f"{PREFIX}a/owner.json": "[]", f"{PREFIX}b/file": "mine"})
    before = content(tmp_path)
    assert stages(tmp_path) == []
    sweep(tmp_path)
    assert content(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interruption_does_not_stop_an_exchange(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    move = Path.rename

    def rename(self: Path, place: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return move(self, place)

    monkeypatch.setattr(Path, "rename", rename)
    replace(target)
    assert content(target) == {**NEW, **FOREIGN}
