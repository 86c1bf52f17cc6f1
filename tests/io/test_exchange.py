"""The files of a folder are exchanged as a whole: at any moment of a crash, the old ones or the new ones are there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_diner.errors import OutputError
from napari_diner.io import exchange
from napari_diner.io.exchange import PREFIX, open_stage, stages, sweep
from napari_diner.io.folder import REPORT, check_output, recover, replaced, reserved, staged, write_computed

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


CRASHES = """
import os, shutil, sys
from pathlib import Path
from napari_diner.io import exchange
from tests.io.test_exchange import replace

target, way = Path(sys.argv[1]), sys.argv[2]
left = 0
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
for name in ("fsync", "link", "rmdir", "unlink"):
    setattr(os, name, guarded(getattr(os, name)))
exchange.swap = guarded(exchange.swap)
if way == "by files":
    exchange.can_swap = lambda folder: False

code, moment = 9, 0
while code == 9:
    folder = target.parent / f"{moment}"
    shutil.copytree(target, folder)
    child = os.fork()
    if child == 0:
        left = moment
        replace(folder)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    moment += 1
print(code, moment)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes as POSIX has them")
@pytest.mark.parametrize("way", ["by files", "as a whole"])
def test_a_crash_at_any_moment_leaves_the_old_or_the_new_result(way: str, target: Path) -> None:
    """By files, once the folder is used again; as a whole, at once."""
    complete = content(target)
    done = subprocess.run(
        [sys.executable, "-c", CRASHES, str(target), way], check=True, stdout=subprocess.PIPE, text=True
    )
    code, moments = map(int, done.stdout.split())
    assert code == 0 and moments > 20
    for moment in range(moments):
        folder = target.parent / f"{moment}"
        if way == "by files":
            recover(folder)
        assert content(folder) in (complete, {**NEW, **FOREIGN}), moment
        assert (folder / REPORT).is_file()
        recover(folder)
    assert content(folder) == {**NEW, **FOREIGN}
    assert not list(target.parent.rglob(PREFIX + "*"))


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
    monkeypatch.setattr(exchange, "can_swap", lambda folder: False)

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


def write_new(folder: Path) -> None:
    fill(folder, NEW)


@pytest.mark.parametrize("mess", ["filled", "a file", "damaged"])
def test_a_result_that_is_computed_is_saved_beside_what_came_in_between(mess: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = {"filled": {"out/a": "mine"}, "a file": {"out": "mine"}, "damaged": {"out/recipe.yaml": "mine"}}[mess]
    with reserved(out, overwrite=mess == "damaged"):
        fill(tmp_path, files)
        with pytest.raises(OutputError, match=r"^The output .*; the result is saved in .*out-2$"):
            write_computed(out, write_new, overwrite=mess == "damaged")
    assert content(tmp_path) == files | BESIDE


def test_a_result_that_is_computed_is_saved_elsewhere_if_the_disk_is_full(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(target)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def write(folder: Path) -> None:
        write_new(folder)
        if target.parent in folder.parents and "temporary" not in str(folder):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"No space left on device.; the result is saved in ") as caught:
        write_computed(target, write, overwrite=True)
    assert content(Path(caught.value.message.rpartition(" in ")[2])) == NEW
    assert content(target) == before


def test_a_file_that_may_not_be_removed_stays_where_it_is(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were immutable: neither linked nor moved."""
    before = content(target)

    def forbidden(call: Callable[..., object]) -> Callable[..., object]:
        def guarded(path: Path, *others: object, **options: object) -> object:
            if Path(path) == target / "stale.tif":
                raise PermissionError(errno.EPERM, "Operation not permitted")
            return call(path, *others, **options)

        return guarded

    monkeypatch.setattr(os, "link", forbidden(os.link))
    monkeypatch.setattr(Path, "rename", forbidden(Path.rename))
    with pytest.raises(OutputError, match=r"Operation not permitted.*result is saved in .*out-2"):
        replace(target)
    assert content(target) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes as POSIX has them")
def test_what_a_crash_leaves_of_a_single_file_is_swept(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        replaced(tmp_path / "a.tif", lambda path: os._exit(9))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert list(tmp_path.iterdir())
    replaced(tmp_path / "a.tif", lambda path: path.write_text("new"))
    assert content(tmp_path) == {"a.tif": "new"}


BESIDE = {f"out-2/{name}": text for name, text in NEW.items()}


@pytest.mark.parametrize("kind", ["file", "folder", "glob"])
def test_inputs_are_not_replaced(kind: str, target: Path) -> None:
    source = {"file": target / "stale.tif", "folder": target, "glob": target / "*.tif"}[kind]
    with pytest.raises(OutputError, match="an input of this run"):
        check_output(target, True, [source])
    check_output(target, True, [target.parent])
    check_output(target, True, [target / "notes.txt"])  # not ours, and therefore in no danger


@pytest.mark.parametrize("kind", ["file", "folder", "glob"])
def test_nor_are_inputs_that_have_other_paths(kind: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that is mounted twice, or whose file names may be spelled in capitals."""
    other = target.parent / "OTHER"
    (other / "inner").mkdir(parents=True)
    os.link(target / "stale.tif", other / "stale.tif")
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: stat(target if path == other else path, **how))
    source = {"file": other / "stale.tif", "folder": other, "glob": other / "st*.tif"}[kind]
    with pytest.raises(OutputError, match=r"contains \w+\.tif, an input of this run"):
        check_output(target, True, [source])
    check_output(target, True, [other / "inner"])


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


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
@pytest.mark.parametrize(("folder", "seen"), [(None, True), (0o775, True), (0o700, False)])
def test_other_users_see_who_writes_if_they_may_enter_the_folder(
    folder: int | None, seen: bool, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    if folder is not None:
        out.mkdir()
        out.chmod(folder)
    before = os.umask(0o077)
    try:
        with reserved(out):
            (stage,) = stages(tmp_path)
            assert bool(stage.path.stat().st_mode & 0o001) == seen
            assert not stage.path.stat().st_mode & 0o066  # who does not know a name cannot look for it
            assert (stage.path / "owner.json").stat().st_mode & 0o044
    finally:
        os.umask(before)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes another user")
def test_two_users_do_not_write_into_one_folder() -> None:
    with tempfile.TemporaryDirectory() as name:
        shared = Path(name) / "shared"
        shared.mkdir()
        for place in (shared.parent, shared):
            place.chmod(0o777)
        stage = open_stage(shared, shared / "out")

        def refused() -> bool:
            child = os.fork()
            if child == 0:
                os.setuid(4321)
                try:
                    check_output(shared / "out", False)
                except OutputError:
                    os._exit(3)
                os._exit(0)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3

        assert refused()
        shared.chmod(0o1777)  # only the owner may remove it
        owner = json.loads((stage.path / "owner.json").read_text())
        (stage.path / "owner.json").write_text(json.dumps({**owner, "pid": 2**22 + 1}))
        assert not refused()


def test_a_stage_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(OutputError, match="No space left"), reserved(tmp_path / "out"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_stage_from_elsewhere_cannot_move_other_files(tmp_path: Path) -> None:
    fill(tmp_path, {"precious": "keep"})
    place = tmp_path / "download"
    place.mkdir()
    stage = open_stage(place, tmp_path)
    owner = json.loads((stage.path / "owner.json").read_text())
    (stage.path / "owner.json").write_text(json.dumps({**owner, "pid": 2**22 + 1}))
    (stage.path / "old").mkdir()
    fill(place, {"mine.tif": "keep"})
    names = ["../precious", str(tmp_path / "precious"), "mine.tif"]
    (stage.path / "names.json").write_text(json.dumps({name: [4, 1_700_000_000_000_000_000] for name in names}))
    sweep(place)
    assert content(tmp_path) == {"precious": "keep", "download/mine.tif": "keep"}


@pytest.mark.parametrize(
    "owner", ['{"pid": 1e400}', "[" * 100_000, '{"pid": 9' + "9" * 400 + "}", "\0", '{"pid": "1", "target": 7}']
)
def test_an_owner_that_no_process_wrote_stops_nobody(owner: str, tmp_path: Path) -> None:
    fill(tmp_path, {f"{PREFIX}{2**22 + 1}-a/owner.json": owner, f"{PREFIX}1-b/owner.json": owner, f"{PREFIX}x/f": ""})
    replace(tmp_path / "out")
    assert content(tmp_path / "out") == NEW


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes as POSIX has them")
def test_an_owner_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}1-a").mkdir()
    os.mkfifo(tmp_path / f"{PREFIX}1-a" / "owner.json")
    replace(tmp_path / "out")
    assert content(tmp_path / "out") == NEW


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


@pytest.mark.skipif("linux" not in sys.platform, reason="folders are exchanged as a whole on Linux and macOS")
@pytest.mark.parametrize("files", [{"": "mine"}, {"phase.tif": "mine", "stale.tif": "mine"}], ids=["file", "folder"])
def test_what_takes_the_place_of_a_folder_at_the_last_moment_is_kept(
    files: dict[str, str], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = exchange.swap

    def late(one: Path, other: Path) -> None:
        monkeypatch.setattr(exchange, "swap", swap)
        shutil.rmtree(target)
        fill(target, files)
        swap(one, other)

    monkeypatch.setattr(exchange, "swap", late)
    with pytest.raises(OutputError, match=r"something else has taken its place\); the result is saved in .*out-2"):
        replace(target)
    beside = {"out" + (name and f"/{name}"): text for name, text in files.items()}
    found = content(target.parent)
    assert found.pop(f"out-2/{REPORT}")
    assert found == {**beside, **BESIDE}


@pytest.mark.skipif("linux" not in sys.platform, reason="folders are exchanged as a whole on Linux and macOS")
def test_a_folder_is_exchanged_as_a_whole(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With files of others, links, empty folders and permissions; and what is written meanwhile is kept."""
    (target / "link").symlink_to("nowhere")
    (target / "empty").mkdir()
    target.chmod(0o750)
    before = target.stat().st_ino
    swap = exchange.swap

    def late(one: Path, other: Path) -> None:
        fill(target, {"late.txt": "mine"})
        swap(one, other)

    monkeypatch.setattr(exchange, "swap", late)
    replace(target)
    assert target.stat().st_ino != before and target.stat().st_mode & 0o777 == 0o750
    assert content(target) == {**NEW, **FOREIGN, "late.txt": "mine"}
    assert (target / "link").is_symlink() and (target / "empty").is_dir()
    assert sorted(path.name for path in target.parent.iterdir()) == ["out"]


def test_files_of_others_are_not_linked_by_the_thousand(target: Path) -> None:
    """As in a home folder, where that would take minutes."""
    (target / "cache").mkdir()
    for number in range(1000):
        (target / "cache" / str(number)).touch()
    before = target.stat().st_ino
    replace(target)
    assert target.stat().st_ino == before
    assert {name: text for name, text in content(target).items() if text} == {**NEW, **FOREIGN}
    assert len(list((target / "cache").iterdir())) == 1000


def test_a_shell_is_not_left_in_a_folder_that_is_gone(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(target)
    before = target.stat().st_ino
    replace(Path())
    assert target.stat().st_ino == before
    assert content(target) == {**NEW, **FOREIGN}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells where other processes are")
def test_nor_is_another_process_that_works_inside_the_folder(target: Path) -> None:
    before = (target / "data").stat().st_ino
    with subprocess.Popen(["cat"], cwd=target / "data", stdin=subprocess.PIPE) as shell:
        replace(target)
        assert (target / "data").stat().st_ino == before
        assert content(target) == {**NEW, **FOREIGN}
        assert Path(f"/proc/{shell.pid}/cwd").resolve() == target / "data"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives folders away")
def test_folders_of_other_users_stay_theirs(target: Path) -> None:
    os.chown(target / "data", 4321, -1)
    replace(target)
    assert (target / "data").stat().st_uid == 4321
    assert content(target) == {**NEW, **FOREIGN}


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_folder_for_all_is_never_another_one(target: Path) -> None:
    target.chmod(0o1777)
    before = target.stat().st_ino
    replace(target)
    assert target.stat().st_ino == before


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL, errno.EXDEV])
def test_a_file_system_that_cannot_exchange_folders(number: int, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def swap(one: Path, other: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(exchange, "swap", swap)
    replace(target)
    assert content(target) == {**NEW, **FOREIGN}
    assert sorted(path.name for path in target.parent.iterdir()) == ["out"]
