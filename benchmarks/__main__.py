"""All speed benchmarks one after the other, with a table of what each took.

    python -m benchmarks all --quick -o results        # small data, a few minutes on two processor cores
    python -m benchmarks all --full -o results         # the sizes of the documentation, hours
    python -m benchmarks image idt --quick -o results

Each writes its text, figure and JSON to a folder of its own, and is a program of its own: see their help for more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# program: arguments for a quick run, arguments for a full one
SUITE: dict[str, tuple[list[str], list[str]]] = {
    "image": (["--seconds", "5", "--representations", "diner-siren,siren"], []),
    "video": (["--epochs", "50", "--seconds", "8", "--runs", "3", "--skip-published"], []),
    "widths": (["--size", "192", "--seconds", "4"], []),
    "lensless": ([], []),
    "steps": (["--only", "noisy", "--backbones", "mlp"], []),
    "steps_physics": (["--idt-size", "64"], ["--idt-size", "256", "--idt-slices", "40"]),
    "idt": (["--phase", "0.3", "--size", "32", "--slices", "12"], []),
    "comparators": (["--seconds", "3", "--size", "64", "--frames", "6"], ["--seconds", "60", "--frames", "30"]),
    "accelerator": (
        ["--parts", "image", "idt", "--image-size", "192", "--epochs", "200", "--idt-size", "32"],
        [],
    ),
}
QUICK_NAMES = ("image", "widths", "idt", "comparators", "accelerator")


def program(name: str) -> Path:
    """Return the file of a program, or its folder if it has several."""
    return HERE / name if (HERE / name).is_dir() else HERE / f"{name}.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=["all", *SUITE], help="programs to run")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--quick", action="store_true", help="small data")
    size.add_argument("--full", action="store_true", help="the sizes of the documentation")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda; for programs that have a choice")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for suite.json and those of the programs"
    )
    arguments = parser.parse_args()
    everything = QUICK_NAMES if arguments.quick else SUITE
    names = [name for name in SUITE if name in (everything if "all" in arguments.names else arguments.names)]
    rows = []
    for name in names:
        options = SUITE[name][0 if arguments.quick else 1]
        if name in ("image", "video", "widths", "accelerator"):
            options = [*options, "--device", arguments.device]
        print(f"== {name} {' '.join(options)}", flush=True)
        began = time.perf_counter()
        folder = arguments.output / name
        code = subprocess.run([sys.executable, program(name), *options, "-o", folder], check=False).returncode
        rows.append({"name": name, "options": options, "seconds": time.perf_counter() - began, "exit": code})
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "suite.json").write_text(json.dumps(rows, indent=2), encoding="utf-8")
    for row in rows:
        print(f"{row['name']:12s} {row['seconds']:7.1f} s  {'done' if row['exit'] == 0 else 'failed'}")
    return max((row["exit"] for row in rows), default=0)


if __name__ == "__main__":
    sys.exit(main())
