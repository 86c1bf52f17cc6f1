"""Run malformed files and option values through the front doors, and count the outcomes.

    python -m tests.hostile --files 1000 --values 3000 [--parts damaged,option] [--seed 1]

Held means: done (0) or refused in one sentence (2), within two seconds and 150 MB more than before, and no line of the
message longer than 1000 characters. Each worker is a process of its own, which is ended if it takes more than ten
seconds or 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import tifffile

from tests.hostile.bombs import bombs
from tests.hostile.doors import arguments_for
from tests.hostile.files import STACK, mutants
from tests.hostile.others import other_commands
from tests.hostile.values import commands

INTERRUPTED = 130
SECONDS, BYTES = 2.0, 150 * 10**6
LAST_SECONDS, LAST_BYTES = 10.0, 1500 * 10**6


@dataclass
class Worker:
    """A process that goes through doors, and is replaced when it had to be ended."""

    process: subprocess.Popen[str] | None = None

    def ask(self, item: dict[str, object]) -> dict[str, object]:
        """Return what became of a command."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.hostile.doors"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self._answer(120, None)
        self.process.stdin.write(json.dumps(item) + "\n")
        self.process.stdin.flush()
        return self._answer(LAST_SECONDS, LAST_BYTES) or {"code": 1, "message": "ended: no answer, or too much memory"}

    def _answer(self, seconds: float, most: float | None) -> dict[str, object] | None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.process.stdout], [], [], 0.05)[0]:
                line = self.process.stdout.readline()
                if line:
                    return json.loads(line)
                break
            if most and psutil.Process(self.process.pid).memory_info().rss > most:
                break
        self.stop()
        return None

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            with self.process as process:
                process.kill()
            self.process = None


@dataclass
class Counts:
    """Outcomes of commands."""

    held: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def add(self, arguments: list[str], answer: dict[str, object]) -> None:
        """Judge an answer."""
        problems = []
        telling = [word[:60] for word in arguments if word not in ("--overwrite", "--quiet")]
        shown = repr(" ".join(telling[:2] + telling[2:][-2:]))
        busy = min(float(answer.get("busy", 0)), float(answer.get("seconds", 0)))
        self.slowest = max(self.slowest, (busy, shown))
        if answer["code"] not in (0, 2) and [answer["code"], arguments[0]] != [INTERRUPTED, "watch"]:
            problems.append(f"exit {answer['code']}")
        if busy > SECONDS:
            problems.append(f"{busy:.1f} s")
        if answer.get("rss", 0) > BYTES:
            problems.append(f"{answer['rss'] / 1e6:.0f} MB")
        if answer.get("longest", 0) > 1000 or answer.get("control"):
            problems.append("message")
        if problems:
            self.failed.append(f"{', '.join(problems)}: {shown}: {str(answer['message'])[:200]!r}")
        else:
            self.held[f"exit {answer['code']}"] += 1

    def __str__(self) -> str:
        total = sum(self.held.values()) + len(self.failed)
        longest = f"the longest took {self.slowest[0]:.1f} s: {self.slowest[1]}"
        return (
            f"{total} tried, {sum(self.held.values())} held ({dict(self.held)}), {len(self.failed)} failed; {longest}"
        )


def measure(items: Iterable[list[str]], output: Path, worker: Worker) -> Counts:
    """Go through doors with commands, one after the other."""
    counts = Counts()
    for number, arguments in enumerate(items):
        counts.add(arguments, worker.ask({"id": number, "arguments": arguments, "output": str(output)}))
    return counts


def main() -> None:
    """Print the counts and what failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--values", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default="bombs,damaged,option,other", help="what the names of the parts begin with")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = folder / "stack.tif"
        tifffile.imwrite(stack, STACK, photometric="minisblack")
        parts = {
            "bombs": (arguments for path in bombs(folder / "bombs") for arguments in arguments_for(path, stack)[:2]),
            "damaged files": (
                commands_[number % len(commands_)]
                for number, path in enumerate(mutants(folder / "damaged", chosen.files, chosen.seed))
                for commands_ in [arguments_for(path, stack)]
            ),
            "option values": commands(str(stack), chosen.values, chosen.seed),
            "other commands' options": other_commands(folder / "others", chosen.values, chosen.seed),
        }
        worker = Worker()
        for title, items in parts.items():
            if title.split()[0] not in chosen.parts.split(","):
                continue
            counts = measure(items, folder / "output", worker)
            print(f"{title}: {counts}", flush=True)
            for line in counts.failed:
                print(f"  {line}", flush=True)
        worker.stop()


if __name__ == "__main__":
    main()
