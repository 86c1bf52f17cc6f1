"""What a folder of results holds after a signal, or a failure of the disk, at every file operation.

Each command that writes runs many times in a process of its own, into a new folder and over an older result. At its
k-th operation on a file or folder of the output, for every k, the process gets a signal, or the operation fails. The
folder must then hold the old result or the new one, complete; what the command says must be true; and its exit code
must be one of those that are documented.

    python benchmarks/kills.py [--every 5] [--commands lensless,simulate]

Needs ``os.fork``. ``--every 5`` tries only each fifth operation.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tifffile
import yaml

EVENTS = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.listdir", "os.chmod", "os.utime"}
WAYS = ("SIGKILL", "SIGINT", "SIGINT twice", "SIGTERM", "ENOSPC", "EACCES")
ALLOWED = {
    "SIGKILL": {-9},
    "SIGINT": {0, 130},
    "SIGINT twice": {0, 130},
    "SIGTERM": {0, 130},
    "ENOSPC": {0, 2},
    "EACCES": {0, 2},
}


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the commands to try, without their output, on small samples that are made first."""
    from napari_diner.cli.app import execute

    for name, settings in {
        "lensless": ["--height-px", "32", "--width-px", "32", "--distances-um", "300,400"],
        "idt": ["--height-px", "16", "--width-px", "16", "--slices", "4", "--frames", "8"],
        "image": ["--height-px", "16", "--width-px", "16"],
    }.items():
        execute(["simulate", name, "-o", str(folder / name), "-q", *settings])
    stack = str(folder / "lensless" / "recipe.yaml")
    # what is imported here need not be imported by each attempt
    execute(["run", stack, "-o", str(folder / "imported"), "-q", "--max-seconds", "0.1"])
    quick = ["--gauss-newton.iterations", "1", "--gauss-newton.warm-up", "1"]
    return {
        "simulate": ["simulate", "lensless", "--height-px", "32", "--width-px", "32"],
        "lensless": ["lensless", "--recipe", stack, *quick],
        "run": ["run", stack, "--max-seconds", "0.1"],
        "focus": ["focus", "--recipe", stack, "--set", "task=focus", "--distances-um", "300,400"],
        "idt": ["run", str(folder / "idt" / "recipe.yaml"), "--max-seconds", "0.1"],
        "fit": ["fit", str(folder / "image" / "image.tif"), "--epochs", "2"],
        "compare": ["compare", "lensless", "--recipe", stack, "--contenders", "gauss-newton", "--seconds", "0.1"],
    }


class Fault:
    """Strikes at the k-th operation on files of a folder."""

    def __init__(self, folder: Path, moment: int, way: str) -> None:
        self.folder, self.left, self.way = str(folder.parent), moment, way
        self.operations = 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Take note of an event of the interpreter; see `sys.addaudithook`."""
        if event not in EVENTS or not any(self.folder in str(part) for part in arguments[:2]):
            return
        self.operations += 1
        if self.left < 0:
            return
        if self.left == 0 and self.way.startswith("E"):
            self.left = -1
            number = getattr(errno, self.way)
            raise OSError(number, os.strerror(number))
        self.left -= 1
        if self.left < 0:
            name, *again = self.way.split()
            for _ in range(1 + len(again)):
                os.kill(os.getpid(), getattr(signal, name))


def attempt(arguments: list[str], out: Path, moment: int, way: str, said: Path) -> int:
    """Run a command in a process of its own; return its exit code, negative for a signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code, fault = 1, Fault(out, moment, way)
    try:
        number = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(number, 1)
        os.dup2(number, 2)
        from napari_diner.cli import main

        sys.argv = ["napari-diner", *arguments, "-o", str(out), *(["--overwrite"] if out.exists() else [])]
        sys.addaudithook(fault)
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException as error:
        print(f"TRACEBACK {error!r}", flush=True)
        code = 99
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        said.with_suffix(".count").write_text(str(fault.operations))
        os._exit(code)


def state(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name; stages of a dead process do not count."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".napari-diner-" not in str(path)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def is_complete(folder: Path, names: set[str]) -> bool:
    """Tell whether a folder holds all files of a result, each of them whole."""
    if set(state(folder)) != names:
        return False
    try:
        for path in folder.rglob("*"):
            if path.suffix == ".tif":
                tifffile.imread(path)
            elif path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".yaml":
                yaml.safe_load(path.read_text(encoding="utf-8"))
    except Exception:
        return False
    return True


def verdict(code: int, way: str, words: str, *, old: bool, new: bool, beside: bool) -> str:
    """Return what is wrong after an attempt; empty if nothing is."""
    if not (old or new):
        return "mixed or damaged"
    if "TRACEBACK" in words or "Traceback" in words or "unexpected error" in words:
        return "traceback"
    if code not in ALLOWED[way]:
        return f"exit code {code}"
    if "nothing was written" in words and new and not old:
        return "says that nothing was written"
    if code == 0 and not new:
        return "says that it is done"
    if "saved in" in words and not (new or beside):
        return "says that it is saved"
    return ""


def attempts(
    arguments: list[str], before: Path | None, place: Path, every: int, way: str
) -> Iterator[tuple[int, str, str]]:
    """Yield each moment, what is wrong after a fault at that moment, and what the command has said."""
    said, first = place / "said.txt", place / "reference" / "out"
    first.parent.mkdir(parents=True)
    old = {} if before is None else state(before)
    if before is not None:
        shutil.copytree(before, first)
    if attempt(arguments, first, -1, way, said) != 0:
        raise SystemExit(said.read_text())
    names, operations = set(state(first)), int(said.with_suffix(".count").read_text())
    for moment in range(0, operations, every):
        out = place / f"{moment}" / "out"
        out.parent.mkdir()
        if before is not None:
            shutil.copytree(before, out)
        code = attempt(arguments, out, moment, way, said)
        words = said.read_text(errors="replace")
        others = [path for path in out.parent.iterdir() if path.name.startswith("out-")]
        is_old = (state(out) if out.exists() else {}) == old
        is_new = out.exists() and not is_old and is_complete(out, names)
        beside = any(is_complete(path, names) for path in others)
        yield moment, verdict(code, way, words, old=is_old, new=is_new, beside=beside), words
        shutil.rmtree(out.parent)


def main() -> None:
    """Print a table: attempts and faults for each command, folder and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--commands", default="")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    total: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tried = commands(folder)
        for name in options.commands.split(",") if options.commands else tried:
            before = folder / f"{name}-before"
            if attempt(tried[name], before, -1, "SIGKILL", folder / "said.txt") != 0:
                raise SystemExit(f"{name}: {(folder / 'said.txt').read_text()}")
            for kind, old in (("new", None), ("overwrite", before)):
                for way in WAYS:
                    place = folder / f"{name}-{kind}-{way}"
                    faults: dict[int, str] = {}
                    count = 0
                    for moment, fault, words in attempts(tried[name], old, place, options.every, way):
                        count += 1
                        if fault:
                            faults[moment] = f"{fault}: {' '.join(words.split())[:200]}"
                    total["tried"] += count
                    total["faults"] += len(faults)
                    print(f"{name:9} {kind:9} {way:12} {count:4} tried, {len(faults):3} wrong", flush=True)
                    for moment, fault in list(faults.items())[:3]:
                        print(f"    at operation {moment}: {fault}", flush=True)
    print(f"{total['tried']} tried, {total['faults']} wrong")


if __name__ == "__main__":
    main()
