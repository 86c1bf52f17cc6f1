"""Contents of a result folder after a signal, or a failure of the disk, at every file operation.

Each command that writes runs many times in a process of its own, into a new folder and over an older result. At its
k-th operation on a file or folder of the output, for every k, the process gets a signal, or the operation fails. The
folder must then hold the old result or the new one, complete; what the command says must be true; and its exit code
must be one of those that are documented.

    python benchmarks/kills.py [--every 5] [--commands lensless,simulate] [--ways SIGTERM,ENOSPC] [--folders new]

Needs ``os.fork``. ``--every 5`` tries only each fifth operation.
"""

from __future__ import annotations

import argparse
import collections
import errno
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from attempts import (
    NOTES,
    Command,
    Fault,
    Left,
    commands,
    copy,
    end,
    is_elsewhere,
    left,
    stages,
    start,
    state,
    sweep,
    untrue,
    warm_up,
)

WAYS = ("SIGKILL", "SIGINT", "SIGINT twice", "SIGTERM", "ENOSPC", "EACCES")
ALLOWED = {
    "SIGKILL": {-9},
    "SIGINT": {0, 130},
    "SIGINT twice": {0, 130},
    "SIGTERM": {0, 130},
    "ENOSPC": {0, 2},
    "EACCES": {0, 2},
}


def strike_of(way: str) -> Callable[[], None]:
    """Return what happens to a process."""

    def fail() -> None:
        number = getattr(errno, way)
        raise OSError(number, os.strerror(number))

    def send() -> None:
        name, *again = way.split()
        for _ in range(1 + len(again)):
            os.kill(os.getpid(), getattr(signal, name))

    return fail if way.startswith("E") else send


def verdict(code: int, way: str, words: str, result: Left, *, beside: bool) -> str:
    """Return what is wrong after an attempt; empty if nothing is."""
    if result.mixed:
        return "mixed or damaged"
    if code not in ALLOWED[way]:
        return f"exit code {code}"
    return untrue(code, words, result, beside=beside)


def attempts(
    command: Command, before: Path | None, place: Path, every: int, way: str
) -> Iterator[tuple[int, str, str]]:
    """Yield each moment, what is wrong after a fault at that moment, and what the command has said."""
    said, first = place / "said.txt", place / "reference" / command.output
    first.parent.mkdir(parents=True)
    old = {} if before is None else state(before)
    if before is not None:
        copy(before, first)
    without = Fault(first.parent, -1, strike_of(way))
    if end(start(command.words, first, said, without)) != 0:
        raise SystemExit(said.read_text())
    names = set(state(first))
    for moment in range(0, without.operations, every):
        out = place / f"{moment}" / command.output
        out.parent.mkdir()
        if before is not None:
            copy(before, out)
        code = end(start(command.words, out, said, Fault(out.parent, moment, strike_of(way))))
        words = said.read_text(errors="replace")
        beside = is_elsewhere(words, out, names)  # removed first: it may be in the same folder
        result = left(out, old, names, in_parts=command.in_parts)
        sweep(out)
        problem = verdict(code, way, words, result, beside=beside) or ("leaves a stage" if stages(out.parent) else "")
        if not problem and left(out, old, names, in_parts=command.in_parts) != result:
            problem = "recovery changes the result"
        yield moment, problem, words
        shutil.rmtree(out.parent)


def main() -> None:
    """Print a table: attempts and faults for each command, folder and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--commands", default="")
    parser.add_argument("--ways", default=",".join(WAYS), help="ways to stop a command, separated by commas")
    parser.add_argument("--folders", nargs="+", choices=["new", "overwrite"], default=["new", "overwrite"])
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    total: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tried = commands(folder)
        for name in options.commands.split(",") if options.commands else tried:
            command = tried[name]
            warm_up(command, folder / f"{name}-warm")
            before = folder / f"{name}-before" / command.output
            before.parent.mkdir()
            if end(start(command.earlier or command.words, before, folder / "said.txt")) != 0:
                raise SystemExit(f"{name}: {(folder / 'said.txt').read_text()}")
            if before.is_dir():
                (before / NOTES).write_text("mine\n")
            for kind, old in (("new", None), *([("overwrite", before)] if command.replaces else [])):
                if kind not in options.folders:
                    continue
                for way in options.ways.split(","):
                    place = folder / f"{name}-{kind}-{way}"
                    faults: dict[int, str] = {}
                    count = 0
                    for moment, fault, words in attempts(command, old, place, options.every, way):
                        count += 1
                        if fault:
                            faults[moment] = f"{fault}: {' '.join(words.split())[:200]}"
                    total["tried"] += count
                    total["faults"] += len(faults)
                    print(f"{name:10} {kind:9} {way:12} {count:4} tried, {len(faults):3} wrong", flush=True)
                    for moment, fault in list(faults.items())[:3]:
                        print(f"    at operation {moment}: {fault}", flush=True)
    print(f"{total['tried']} tried, {total['faults']} wrong")


if __name__ == "__main__":
    main()
