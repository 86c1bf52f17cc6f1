"""What becomes of results where nobody listens, and of Ctrl-C while a command starts.

A command gets Ctrl-C at moments from the first millisecond to its end: no traceback may appear. Then each command
that writes runs with a standard output that is closed, full, or a broken pipe: its result must be saved, and nothing
but a sentence said about the output.

    python benchmarks/terminals.py [--commands fit,compare] [--moments 50]

Needs Linux.
"""

from __future__ import annotations

import argparse
import collections
import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attempts import end, is_made, start, state
from faults import Case, Trial, cases

SAMPLE = ("simulate", "image", "--height-px", "16", "--width-px", "16", "-q")


def terminal(case: Case, place: Path) -> Iterator[Trial]:
    """Close or fill the terminal."""
    for name, prepare in TERMINALS.items():
        out, said = case.fresh(place / name), place / "said.txt"
        code = end(start(case.command.words, out, said, prepare=prepare))
        is_new = is_made(out, case.names) and (case.old is None or state(out) != state(case.old))
        problem = "" if is_new or "errors" in name else "result lost"
        problem = problem or ("" if code in (0, 1, 2) else f"exit code {code}")
        words = said.read_text(errors="replace")
        is_fault = any(word in words for word in ("TRACEBACK", "Traceback", "unexpected error"))
        yield name, problem or ("traceback" if is_fault else ""), words


def _onto(target: str, *numbers: int) -> None:
    for number in numbers:
        if target:
            os.dup2(os.open(target, os.O_WRONLY), number)
        else:  # as Python finds it when it starts
            os.close(number)
            setattr(sys, ("stdin", "stdout", "stderr")[number], None)


def _broken_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)


TERMINALS: dict[str, Callable[[], None]] = {
    "closed": functools.partial(_onto, "", 1),
    "full": functools.partial(_onto, "/dev/full", 1),
    "broken pipe": _broken_pipe,
    "closed, and errors": functools.partial(_onto, "", 1, 2),
    "full, and errors": functools.partial(_onto, "/dev/full", 1, 2),
}
"""What happens to a terminal."""


def interruptions(folder: Path, moments: int) -> Iterator[tuple[float, int, str]]:
    """Interrupt a command at so many moments; yield each in seconds, the exit code, and what the command has said."""
    command = [sys.executable, "-c", "from napari_diner.cli import main; main()", *SAMPLE, "-o"]
    began = time.monotonic()
    subprocess.run([*command, folder / "whole"], check=True)
    duration = time.monotonic() - began
    for number in range(moments):
        moment = 0.001 + duration * number / moments
        with subprocess.Popen([*command, folder / f"{number}"], stderr=subprocess.PIPE, text=True) as process:
            time.sleep(moment)
            process.send_signal(signal.SIGINT)
            _, words = process.communicate()
        yield moment, process.returncode, words


def main() -> None:
    """Print two tables: outputs that take nothing, and exit codes after Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", default="", help="separated by commas; all if left out")
    parser.add_argument("--moments", type=int, default=50, help="moments of Ctrl-C")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where this program runs in the background
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        codes: collections.Counter[int] = collections.Counter()
        for moment, code, words in interruptions(folder, options.moments):
            codes[code] += 1
            if "Traceback" in words:
                print(f"    traceback after {moment:.3f} s: {' '.join(words.split())[-300:]}")
        print(f"Ctrl-C     {options.moments} tried, exit codes {dict(codes)}", flush=True)
        for name, kind, case in cases(folder, [name for name in options.commands.split(",") if name], 1):
            trials = list(terminal(case, folder / f"{name}-{kind}"))
            wrong = [trial for trial in trials if trial[1]]
            print(f"{name:10} {kind:9} {len(trials):4} tried, {len(wrong):3} wrong", flush=True)
            for what, problem, said in wrong:
                print(f"    {what}: {problem}: {' '.join(said.split())[:300]}", flush=True)


if __name__ == "__main__":
    main()
