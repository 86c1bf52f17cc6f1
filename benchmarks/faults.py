"""What is left when the place of a result or of its data fails: nothing of the user's is lost.

Each command runs in a process of its own while something happens to its files: before it starts, or at the k-th
operation on them, for every k.

- A disk of a few megabytes is full after so many bytes, or becomes read-only.
- A folder may not be written by the user, or files are immutable.
- The output is removed, filled by somebody else, becomes a file, or its report is damaged.
- The data are removed, replaced by others, or cut off.
- A second run into the same folder begins while the first one stands still, or is killed there.

The folder must then hold the old result or the new one, complete, with all files of the user; a result that was
computed must be somewhere; what the command says must be true, and one line; and its exit code 0 or 2.

    python benchmarks/faults.py [--every 5] [--commands fit,compare] [--faults disk,output]

Needs Linux. As root it also mounts disks, makes files immutable and runs commands as another user.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import functools
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attempts import (
    NOTES,
    Command,
    Fault,
    commands,
    copy,
    end,
    is_elsewhere,
    is_made,
    left,
    stages,
    start,
    state,
    sweep,
    untrue,
    warm_up,
)

MINE = "mine\n"
"""Content of files of the user's."""
DISK_BYTES, BLOCK = 8 * 2**20, 4096
Flag = Any
"""A truth value that processes share."""
Trial = tuple[str, str, str]
"""What was tried, what is wrong with the outcome or an empty text, and what the command has said."""


@dataclass(frozen=True)
class Case:
    """A command, what it replaces, and what it makes."""

    command: Command
    old: Path | None
    """The older result."""
    names: frozenset[str]
    """Files of the new result, and of the user's beside it."""
    sources: Path
    """The data."""
    operations: int
    """How many operations on files of the output it takes."""
    every: int

    @property
    def moments(self) -> range:
        """The operations at which something happens."""
        return range(0, self.operations, self.every)

    def fresh(self, place: Path) -> Path:
        """Return the output of an attempt inside an unused folder, with the older result."""
        out = place / "results" / self.command.output
        out.parent.mkdir(parents=True, exist_ok=True)
        if self.old is not None:
            copy(self.old, out)
        return out

    def verdict(self, out: Path, code: int, said: Path) -> str:
        """Return what is wrong: anything but the old or the new result, or words that are not true."""
        words = said.read_text(errors="replace")
        result = left(out, {} if self.old is None else state(self.old), self.names, in_parts=self.command.in_parts)
        problem = "mixed or damaged" if result.mixed else self._words(code, words)
        problem = problem or untrue(code, words, result, beside=is_elsewhere(words, out, self.names))
        sweep(out)
        return problem or ("leaves a stage" if stages(out.parent) else "")

    def verdict_on_new(self, out: Path, code: int, said: Path, *, computed: bool) -> str:
        """Return what is wrong where the older result is gone already."""
        words = said.read_text(errors="replace")
        there = is_made(out, self.names)
        elsewhere = is_elsewhere(words, out, self.names)
        if computed and not (there or elsewhere):
            return "result lost"
        if code == 0 and not there:
            return "says that it is done"
        if "saved in" in words and not elsewhere:
            return "says that it is saved"
        return self._words(code, words)

    def _words(self, code: int, words: str) -> str:
        if code not in (0, 2):
            return f"exit code {code}"
        if any(word in words for word in ("TRACEBACK", "Traceback", "unexpected error")):
            return "traceback"
        sentences = [line for line in words.splitlines() if line.startswith(("napari-diner: ", "failed: "))]
        return "" if code == 0 or self.command.in_parts or len(sentences) == 1 else "not one sentence"


@contextlib.contextmanager
def disk(place: Path) -> Iterator[None]:
    """Mount a small disk on a folder."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def full(case: Case, place: Path) -> Iterator[Trial]:
    """Fill a disk so that so many bytes are free; or limit the length of files."""
    # two results, the old one and the staged one, and more for what is written beside them
    most = 3 * sum(len(content) for content in state(place / "reference" / "results" / case.command.output).values())
    for number, free in enumerate(range(0, most + 16 * BLOCK, case.every * BLOCK)):
        here = place / f"{number}"
        said = place / "said.txt"
        if os.geteuid() == 0:
            with disk(here / "results"):
                out = case.fresh(here)
                usage = shutil.disk_usage(here / "results")
                (here / "results" / "filler").write_bytes(bytes(max(usage.free - free, 0)))
                code = end(start(case.command.words, out, said))
                yield f"{free} bytes free", case.verdict(out, code, said), said.read_text(errors="replace")
        out = case.fresh(here / "limited")
        longest = BLOCK + free // 3  # the messages fit
        limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (longest, longest))
        code = end(start(case.command.words, out, said, prepare=limit))
        yield f"files of {longest} bytes", case.verdict(out, code, said), said.read_text(errors="replace")


def read_only(case: Case, place: Path) -> Iterator[Trial]:
    """Make a disk read-only, or a folder in which another user writes."""
    if os.geteuid() != 0:
        return
    for moment in case.moments:
        here, said = place / f"disk-{moment}", place / "said.txt"
        results = here / "results"
        with disk(results):
            out = case.fresh(here)
            remount = functools.partial(_quietly, "mount", "-o", "remount,ro", results)
            code = end(start(case.command.words, out, said, Fault(results, moment, remount)))
            _quietly("mount", "-o", "remount,rw", results)
            yield f"read-only at {moment}", case.verdict(out, code, said), said.read_text(errors="replace")
    for closed in ("results", f"results/{case.command.output}"):
        for moment in case.moments:
            here = place / f"{closed.replace('/', '-')}-{moment}"
            out = case.fresh(here)
            if not (here / closed).is_dir():
                continue
            close = functools.partial(os.chmod, here / closed, 0o555)
            code = end(start(case.command.words, out, said, Fault(out.parent, moment, close), _obey))
            (here / closed).chmod(0o755)
            yield f"{closed} closed at {moment}", case.verdict(out, code, said), said.read_text(errors="replace")


def immutable(case: Case, place: Path) -> Iterator[Trial]:
    """Make files and folders immutable, also for root."""
    if os.geteuid() != 0 or case.old is None:
        return
    names = sorted({*state(case.old)} - {NOTES})
    for name in dict.fromkeys((names[0], names[-1], NOTES, ".")):
        for moment in case.moments:
            here, said = place / f"{name.replace('/', '-')}-{moment}", place / "said.txt"
            out = case.fresh(here)
            if not (out / name).exists():
                continue
            protect = functools.partial(_quietly, "chattr", "+i", out / name)
            code = end(start(case.command.words, out, said, Fault(out.parent, moment, protect)))
            _quietly("chattr", "-R", "-i", here)
            yield f"{name} immutable at {moment}", case.verdict(out, code, said), said.read_text(errors="replace")


def output(case: Case, place: Path) -> Iterator[Trial]:
    """Change the output."""
    before = {} if case.old is None else state(case.old)
    for name, (happen, kept) in OUTPUTS.items():
        for moment in case.moments:
            here, said = place / f"{name}-{moment}", place / "said.txt"
            out = case.fresh(here)
            if case.command.output != "out" and kept not in ("", "."):
                continue  # it is a file
            saved = multiprocessing.RawValue("b", False)

            def strike(out: Path = out, happen: Callable[[Path], None] = happen, saved: Flag = saved) -> None:
                # what was saved before may be destroyed by others, and of a batch each part
                now = state(out)
                parts = [name for name in now if name.endswith("report.json")] if case.command.in_parts else []
                saved.value = (is_made(out, case.names) or bool(parts)) and now != before
                happen(out)

            fault = Fault(out.parent, moment, strike)
            code = end(start(case.command.words, out, said, fault))
            computed = 0 <= fault.reserved < moment and not case.command.in_parts
            problem = "" if saved.value else case.verdict_on_new(out, code, said, computed=computed)
            # the report and the recipe of the older result are ours
            if (
                kept
                and kept not in before
                and (not (out / kept).is_file() or (out / kept).read_bytes() != MINE.encode())
            ):
                problem = "a file of the user's is lost"
            yield f"{name} at {moment}", problem, said.read_text(errors="replace")


def _remove(out: Path) -> None:
    shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)


def _fill(out: Path, name: str = MINE.strip()) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_text(MINE)


def _become_file(out: Path) -> None:
    _remove(out)
    out.write_text(MINE)


OUTPUTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "removed": (_remove, ""),
    "filled": (_fill, "mine"),
    "a file": (_become_file, "."),
    "damaged report": (functools.partial(_fill, name="report.json"), "report.json"),
    "damaged recipe": (functools.partial(_fill, name="recipe.yaml"), "recipe.yaml"),
}
"""What happens to an output, and the file of the user's that has to stay."""


def data(case: Case, place: Path) -> Iterator[Trial]:
    """Remove, replace or cut off the data."""
    for name, happen in DATA.items():
        moment, last = 0, 1
        while moment < last:
            here, said = place / f"{name}-{moment}", place / "said.txt"
            out, copied = case.fresh(here), here / "data"
            shutil.copytree(case.sources, copied)
            words = tuple(word.replace(str(case.sources), str(copied)) for word in case.command.words)
            fault = Fault(copied, moment, functools.partial(_all, copied, happen))
            code = end(start(words, out, said, fault))
            last = fault.operations + 1  # it was not struck by the last
            yield f"data {name} at {moment}", case.verdict(out, code, said), said.read_text(errors="replace")
            shutil.rmtree(here)
            moment += case.every


def _all(folder: Path, happen: Callable[[Path], None]) -> None:
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        happen(path)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _replace(path: Path) -> None:
    path.with_suffix(".other").write_text(MINE)
    path.with_suffix(".other").replace(path)


DATA: dict[str, Callable[[Path], None]] = {"removed": Path.unlink, "replaced": _replace, "cut off": _cut}
"""What happens to files of data."""


def two(case: Case, place: Path) -> Iterator[Trial]:
    """Begin a second run while the first stands still, and then goes on or is killed."""
    for way in (signal.SIGCONT, signal.SIGKILL):
        for moment in case.moments:
            here = place / f"{way.name}-{moment}"
            out, says = case.fresh(here), [here / f"{number}.txt" for number in range(3)]
            fault = Fault(out.parent, moment, functools.partial(os.kill, 0, signal.SIGSTOP))
            first = start(case.command.words, out, says[0], fault, os.setpgrp)
            os.waitpid(first, os.WUNTRACED)
            second = end(start(case.command.words, out, says[1]))
            os.kill(first, way)
            code = end(first)
            problem = case.verdict(out, second, says[1])
            refused = "Another run" in says[1].read_text()
            if 0 <= fault.reserved < moment and not refused and not _is_file(case) and moment < case.operations - 1:
                problem = problem or "the second run was let in"
            if way == signal.SIGCONT:
                problem = problem or case.verdict(out, code, says[0])
            elif code != -way:
                problem = problem or f"exit code {code}"
            third = end(start(case.command.words, out, says[2])) if way == signal.SIGKILL else 0
            problem = problem or ("" if third == 0 or not case.command.replaces else f"exit code {third} afterwards")
            problem = problem or ("" if is_made(out, case.names) else "no result")
            yield f"{way.name} at {moment}", problem, " ".join(file.read_text() for file in says if file.exists())


def _quietly(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _obey() -> None:
    """Let root obey permissions as other users do, by giving up the capabilities that override them."""
    header, parts = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    library = ctypes.CDLL(None)
    library.capget(header, parts)
    for place in range(3):  # of effective, permitted and inheritable ones, those below 32
        parts[place] &= ~0b1110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
    if library.capset(header, parts):
        raise OSError("the capabilities cannot be changed")


def _is_file(case: Case) -> bool:
    return case.command.output != "out"


FAULTS: dict[str, Callable[[Case, Path], Iterator[Trial]]] = {
    "full": full,
    "read-only": read_only,
    "immutable": immutable,
    "output": output,
    "data": data,
    "two": two,
}


def cases(folder: Path, names: list[str], every: int) -> Iterator[tuple[str, str, Case]]:
    """Yield the commands, each into a new folder and over an older result."""
    sources = folder / "sources"
    sources.mkdir()
    tried = commands(sources)
    for name in names or tried:
        command = tried[name]
        warm_up(command, folder / f"{name}-warm")
        before = folder / f"{name}-before" / command.output
        before.parent.mkdir()
        said = folder / "said.txt"
        if end(start(command.earlier or command.words, before, said)) != 0:
            raise SystemExit(f"{name}: {said.read_text()}")
        if before.is_dir():
            (before / NOTES).write_text(MINE)
        for kind, old in (("new", None), *([("overwrite", before)] if command.replaces else [])):
            place = folder / f"{name}-{kind}"
            case = Case(command, old, frozenset(), sources, 0, every)
            out = case.fresh(place / "reference")
            fault = Fault(out.parent, -1, lambda: None)
            if end(start(command.words, out, said, fault)) != 0:
                raise SystemExit(f"{name}: {said.read_text()}")
            yield name, kind, Case(command, old, frozenset(state(out)), sources, fault.operations, every)
            shutil.rmtree(place)


def main() -> None:
    """Print a table: attempts and faults for each command, folder and kind of fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="try only each so many operations")
    parser.add_argument("--commands", default="", help="separated by commas; all if left out")
    parser.add_argument("--faults", default=",".join(FAULTS), help="kinds, separated by commas")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    total: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # also for another user
        for name, kind, case in cases(folder, [name for name in options.commands.split(",") if name], options.every):
            for fault in options.faults.split(","):
                trials = list(FAULTS[fault](case, folder / f"{name}-{kind}"))
                wrong = [(what, problem, said) for what, problem, said in trials if problem]
                total[f"{fault}: tried"] += len(trials)
                total[f"{fault}: wrong"] += len(wrong)
                print(f"{name:10} {kind:9} {fault:10} {len(trials):4} tried, {len(wrong):3} wrong", flush=True)
                for what, problem, said in wrong[:3]:
                    print(f"    {what}: {problem}: {' '.join(said.split())[:300]}", flush=True)
    for fault in options.faults.split(","):
        print(f"{fault:10} {total[f'{fault}: tried']} tried, {total[f'{fault}: wrong']} wrong")


if __name__ == "__main__":
    main()
