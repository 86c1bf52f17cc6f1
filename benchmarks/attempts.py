"""Shared helpers of the benchmarks of faults: commands that write, run in a process of their own, and what is left."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import yaml
from PIL import Image
from safetensors import safe_open

OPERATIONS = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.listdir", "os.chmod", "os.utime"}
"""Events that are operations on files."""
STAGE = ".napari-diner-"
"""How the names of folders begin in which results are written before they are in their place."""

NOTES = "notes.txt"
"""A file of the user's in the folder of an older result."""


@dataclass(frozen=True)
class Command:
    """A command that writes."""

    words: tuple[str, ...]
    """Its words, without the output."""
    earlier: tuple[str, ...] = ()
    """The words that made an older result, which it replaces; the same if empty."""
    output: str = "out"
    """Name of the folder or file that it writes."""
    in_parts: bool = False
    """Whether the files and folders in the output are results of their own, which need not be replaced together."""
    replaces: bool = True
    """Whether it can replace an older result."""


def commands(folder: Path) -> dict[str, Command]:
    """Return all commands that write, on small samples that are made first."""
    from napari_diner.cli.app import execute
    from napari_diner.tasks.registry import task

    # a demonstration as short as the others
    fit = task("fit")
    type(fit).demo = dataclasses.replace(
        fit.demo, seconds=0.05, contenders=fit.demo.contenders[:2], settings={"height_px": 16, "width_px": 16}
    )
    idt_sample = ("--height-px", "16", "--width-px", "16", "--slices", "4", "--frames", "8")
    for name, settings in {
        "lensless": ("--height-px", "32", "--width-px", "32", "--distances-um", "300,400"),
        "idt": idt_sample,
        "image": ("--height-px", "16", "--width-px", "16"),
    }.items():
        execute(["simulate", name, "-o", str(folder / name), "-q", *settings])
    stack, volume = str(folder / "lensless" / "recipe.yaml"), str(folder / "idt" / "recipe.yaml")
    image, fitted = str(folder / "image" / "image.tif"), str(folder / "fitted")
    # what is imported here need not be imported by each attempt
    execute(["run", stack, "-o", str(folder / "imported"), "-q", "--max-seconds", "0.1"])
    execute(["fit", image, "--epochs", "2", "-o", fitted, "-q"])
    labels = folder / "labels.tif"
    tifffile.imwrite(labels, np.pad(np.ones((8, 8), np.uint8), 12))
    arrivals = folder / "arrivals"
    arrivals.mkdir()
    for name in "ab":
        shutil.copy(image, arrivals / f"{name}.tif")
    for epochs in (2, 3):
        plan = {"recipe": {"task": "fit", "epochs": epochs}, "items": [{"source": str(arrivals), "each": "file"}]}
        (folder / f"plan-{epochs}.yaml").write_text(yaml.safe_dump(plan))
        (folder / f"fit-{epochs}.yaml").write_text(yaml.safe_dump(plan["recipe"]))
    short = ("--max-seconds", "0.1")
    batches = tuple(("batch", str(folder / f"plan-{epochs}.yaml"), "--workers", "1") for epochs in (2, 3))
    watches = tuple(
        ("watch", str(arrivals), "--recipe", str(folder / f"fit-{epochs}.yaml"), "--idle", "0.1") for epochs in (2, 3)
    )
    sample = ("simulate", "lensless", "--height-px", "32", "--width-px", "32")
    optics = ("--wavelength-um", "0.532", "--pixel-size-um", "1.12")
    measured = ("measure", str(folder / "imported"), "--labels", str(labels))
    one_step = ("--gauss-newton.iterations", "1", "--gauss-newton.warm-up", "1")
    return {
        "simulate": Command(sample, (*sample, "--seed", "1")),
        "lensless": Command(("lensless", "--recipe", stack, *one_step)),
        "run": Command(("run", stack, *short)),
        "focus": Command(("focus", str(folder / "lensless" / "stack.tif"), *optics, "--distances-um", "300,400")),
        "idt": Command(("run", volume, *short)),
        "fit": Command(("fit", image, "--epochs", "2")),
        "compare": Command(
            ("compare", "lensless", "--recipe", stack, "--contenders", "gauss-newton", "--seconds", "0.1")
        ),
        "demo": Command(("demo", "fit")),
        "batch": Command(batches[1], batches[0], in_parts=True),
        "watch": Command(watches[1], watches[0], in_parts=True),
        "render": Command(("render", fitted, "--zoom", "2"), ("render", fitted), output="out.tif"),
        "measure": Command(measured, (*measured, "--refraction-increment", "0.2"), output="out.csv"),
        "directions": Command(("directions", "--recipe", volume), output="out.yaml", replaces=False),
        "slices": Command(("slices", "--recipe", volume), output="out.yaml", replaces=False),
    }


def warm_up(command: Command, place: Path) -> None:
    """Run a command once in this process, so that attempts, its children, start with what it imports and draw nothing.

    The files that are written stay the same, but for empty pictures; it takes a third of the time.
    """
    from matplotlib.figure import Figure

    from napari_diner.cli import app

    Figure.draw = lambda *_: None
    app.build_app = functools.cache(getattr(app.build_app, "__wrapped__", app.build_app))
    place.mkdir(parents=True)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = app.execute([*command.words, "-o", str(place / command.output)])
    if code != 0:
        raise SystemExit(said.getvalue())


class Fault:
    """Strikes at the k-th operation on files of a folder; an audit hook.

    Parameters
    ----------
    folder
        The folder.
    moment
        Which operation, from zero; none if negative.
    strike
        What happens then, in the process of the command.
    """

    def __init__(self, folder: Path, moment: int, strike: Callable[[], None]) -> None:
        self._folder, self._strike = str(folder), strike
        self._left: int | None = moment
        self._operations, self._reserved = multiprocessing.RawValue("i", 0), multiprocessing.RawValue("i", -1)

    @property
    def operations(self) -> int:
        """How many operations there were until the strike."""
        return int(self._operations.value)

    @property
    def reserved(self) -> int:
        """At which operation the first stage was made, which keeps other runs out; -1 if none was."""
        return int(self._reserved.value)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Take note of an event of the interpreter; see `sys.addaudithook`."""
        if self._left is None or event not in OPERATIONS:
            return
        if not any(self._folder in str(part) for part in arguments[:2]):
            return
        if event == "os.mkdir" and STAGE in str(arguments[0]) and self.reserved < 0:
            self._reserved.value = self.operations
        self._operations.value += 1
        self._left -= 1
        if self._left == -1:
            self._left = None  # what the strike does is not counted
            self._strike()


def start(
    words: Sequence[str], out: Path, said: Path, fault: Fault | None = None, prepare: Callable[[], object] = int
) -> int:
    """Start a command in a process of its own; return the number of the process.

    Parameters
    ----------
    words, out
        The command and what it is to write, which it may replace if it exists.
    said
        File for its output.
    fault
        What happens to it.
    prepare
        Called in the process first.
    """
    options = ["-o", str(out), *(["--overwrite"] if out.exists() else [])]

    def begin() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # also where this program runs in the background
        prepare()
        if fault is not None:
            sys.addaudithook(fault)

    return launch([*words, *options], said, begin)


def launch(arguments: Sequence[str], said: Path, prepare: Callable[[], object] = int) -> int:
    """Start a command with all its arguments in a process of its own; see `start`."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        number = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(number, 1)
        os.dup2(number, 2)
        from napari_diner.cli import main

        sys.argv = ["napari-diner", *arguments]
        prepare()
        main()
    except SystemExit as over:
        code = int(over.code or 0)
    except BaseException as error:
        print(f"TRACEBACK {error!r}", flush=True)
        code = 99
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def end(child: int) -> int:
    """Wait for a process; return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def state(place: Path) -> dict[str, bytes]:
    """Return the files of a folder by name, or a file; stages of a dead process do not count."""
    paths = [path for path in (place, *place.rglob("*")) if path.is_file() and STAGE not in str(path)]
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in paths}


def copy(place: Path, target: Path) -> None:
    """Copy a folder or a file."""
    if place.is_dir():
        shutil.copytree(place, target)
    else:
        shutil.copy(place, target)


def is_whole(path: Path) -> bool:
    """Tell whether a file can be read to its end."""
    try:
        match path.suffix:
            case ".tif":
                tifffile.imread(path)
            case ".png":
                Image.open(path).load()
            case ".safetensors":
                safe_open(path, "np")
            case ".json":
                json.loads(path.read_text(encoding="utf-8"))
            case ".yaml":
                return yaml.safe_load(path.read_text(encoding="utf-8")) is not None
            case _:
                return path.read_text(encoding="utf-8").endswith("\n")
    except Exception:
        return False
    return True


def is_complete(place: Path, names: Collection[str]) -> bool:
    """Tell whether a folder holds all files of a result, each of them whole, or whether a file is whole."""
    return {*state(place)} == {*names} and all(is_whole(place / name) for name in names)


@dataclass(frozen=True)
class Left:
    """What an output holds after an attempt."""

    old: bool
    """Whether it is the older result, or nothing if there was none."""
    new: bool
    """Whether it is the new result, complete."""
    mixed: bool
    """Whether something in it is neither."""


def left(out: Path, old: Mapping[str, bytes], names: Collection[str], *, in_parts: bool) -> Left:
    """Tell what an output holds.

    Parameters
    ----------
    out
        The output.
    old
        What it held before, from `state`.
    names
        Files of the new result.
    in_parts
        See `Command`.
    """
    now = state(out)
    new = is_complete(out, names) and now != old
    if not in_parts:
        return Left(now == old, new, mixed=not (now == old or new))
    files = {*now, *old, *names}
    parts = {_part(name, files) for name in files}
    # a new one may also be beside its place
    planned = {part: re.sub(r"-\d+$", "", part) for part in parts}
    wholes = [
        _of(now, part) == _of(old, part)
        or any(is_complete(out / part, _of(names, name)) for name in (part, planned[part]))
        for part in parts
    ]
    return Left(now == old, new, mixed=not all(wholes))


def _part(name: str, files: Collection[str]) -> str:
    """Return the result of its own that a file belongs to: its folder, or itself."""
    folder = name.rpartition("/")[0]
    return folder if f"{folder}/report.json" in files else name


def _of(files: Collection[str], part: str) -> dict[str, bytes]:
    """Return the files of a part by their names in it, with their contents if there are any."""
    contents = files if isinstance(files, Mapping) else dict.fromkeys(files, b"")
    inside = {name.removeprefix(f"{part}/"): contents[name] for name in files if name.startswith(f"{part}/")}
    return inside | ({".": contents[part]} if part in files else {})


def is_made(place: Path, names: Collection[str]) -> bool:
    """Tell whether all files of a result are in a folder, whole; those of others do not count."""
    return place.exists() and all(is_whole(place / name) for name in {*names} - {NOTES})


def is_elsewhere(words: str, out: Path, names: Collection[str]) -> bool:
    """Tell whether a complete result is where a command says that it is saved instead, and remove it."""
    match = re.search(r"the result is saved in (.*)$", words, re.MULTILINE)
    if match is None or Path(match[1]) == out:
        return False
    inner = [list(_of(names, part)) for part in {_part(name, names) for name in names}]
    is_there = any(is_made(Path(match[1]), files) for files in (names, *inner))
    shutil.rmtree(match[1], ignore_errors=True)
    return is_there


def sweep(out: Path) -> None:
    """Remove what a dead process has left of its work, as the next command does."""
    from napari_diner.io.folder import recover

    for folder in (out, *[path for path in out.rglob("*") if path.is_dir()]):
        recover(folder)


def stages(folder: Path) -> list[Path]:
    """Return the folders that are left in which results were being written; checkpoints do not count."""
    return [path for path in folder.rglob(f"{STAGE}*") if ".checkpoint" not in path.name]


def untrue(code: int, words: str, result: Left, *, beside: bool) -> str:
    """Return what is wrong with what a command has said, and with its exit code; empty if nothing is.

    Parameters
    ----------
    code, words
        Its exit code and its output.
    result
        What it has left.
    beside
        Whether the complete new result is elsewhere.
    """
    if any(word in words for word in ("TRACEBACK", "Traceback", "unexpected error")):
        return "traceback"
    if "nothing was written" in words and result.new:
        return "says that nothing was written"
    if code == 0 and not result.new:
        return "says that it is done"
    if "saved in" in words and not (result.new or beside):
        return "says that it is saved"
    return ""
