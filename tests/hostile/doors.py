"""Front doors for a file or an option, as in the command line, up to the first step of the work."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from cyclopts import App

HARD = ["--wavelength-um", "0.5", "--pixel-size-um", "0.5", "--device", "cpu"]
BASE = {
    "lensless": [*HARD, "--distances-um", "4,6,8"],
    "focus": [*HARD, "--near-um", "2", "--far-um", "10"],
    "idt": [*HARD, "--na", "0.3", "--ring.na", "0.25", "--slice-count", "2"],
    "fit": ["--epochs", "1", "--device", "cpu"],
}
"""Options with which a small stack of three frames is complete for each task."""

SUFFIXES = {"measure": ".csv", "render": ".tif", "directions": ".yaml"}
"""Names of the outputs of commands that write a file."""
WATCHED_S = 1.5
_START = {"run_into": 2, "compare_into": 1}
"""Which argument of the body of a command starts the work."""


def arguments_for(path: Path, stack: Path) -> list[list[str]]:
    """Return the commands that read a file, by its suffix."""
    listed = ["idt", str(stack), *HARD, "--na", "0.3", "--slice-count", "2"]
    lensless = ["lensless", str(stack), *BASE["lensless"]]
    match path.suffix:
        case ".yaml":
            return [["run", str(path)], ["lensless", str(stack), "--recipe", str(path), *BASE["lensless"]]]
        case ".csv":
            distances = ["lensless", str(stack), *HARD, "--distances-um", str(path)]
            return [distances, [*listed, "--illuminations", str(path)]]
        case ".json":
            return [[*listed, "--illuminations", str(path)], ["load", str(path)]]
        case ".safetensors":
            return [["weights", str(path)]]
        case _:
            others = [[*lensless, "--mask", str(path)], [*lensless, "--preprocess.dark", str(path)]]
            idt = ["idt", str(path), *BASE["idt"]]
            return [["lensless", str(path), *BASE["lensless"]], ["fit", str(path), *BASE["fit"]], idt, *others]


def enter(arguments: list[str], output: Path) -> int:
    """Go through a door, and begin the work; return the exit code.

    The doors other than commands of the application are ``load``, for the folder of a result, and ``weights``, for a
    model file.
    """
    from napari_diner.cli import app

    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        if arguments[0] in ("load", "weights"):
            return _read(arguments)
        build = app.build_app

        def begin(*given: object, **options: object) -> object:
            work = _built(build)(*given, **options)
            if not callable(work):
                return work
            start = _START.get(work.func.__name__)
            if start is None:
                return work()
            with work.args[start]():  # reads the data and returns the run
                return 0

        # the work itself would take minutes; all that stands before its first step is done
        app.build_app = lambda: begin  # type: ignore[assignment,return-value]
        try:
            with _interrupted(WATCHED_S if arguments[0] == "watch" else 0):
                return app.execute([*arguments, "-o", f"{output}{SUFFIXES.get(arguments[0], '')}"])
        except KeyboardInterrupt:
            return 0
        finally:
            app.build_app = build


@functools.cache
def _built(build: Callable[[], App]) -> App:
    """Return the application, which takes as long to build as most commands take to be refused."""
    return build()


@contextlib.contextmanager
def _interrupted(seconds: float) -> Iterator[None]:
    """Press Ctrl-C after some seconds; never if zero."""
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _read(arguments: list[str]) -> int:
    import napari_diner as nd
    from napari_diner.errors import DinerError
    from napari_diner.tasks.fit.model import FitModel

    path = Path(arguments[1])
    try:
        if arguments[0] == "weights":
            FitModel.open(path)
        else:
            folder = path.parent / f"{path.stem}.result"
            folder.mkdir(exist_ok=True)
            (folder / "report.json").write_bytes(path.read_bytes())
            (folder / "recipe.yaml").write_text("task: fit\n")
            nd.load(folder)
    except DinerError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def main() -> None:
    """Read commands from standard input, one a line as JSON, and write what each did."""
    import napari_diner.tasks.fit.job
    import napari_diner.tasks.idt.job
    import napari_diner.tasks.lensless.job  # noqa: F401 (imported before anything is measured)

    process, output = psutil.Process(), sys.stdout
    print(json.dumps({"ready": process.memory_info().rss}), file=output, flush=True)
    for line in sys.stdin:
        item = json.loads(line)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak
        before = process.memory_info().rss
        start, busy = time.monotonic(), time.process_time()
        said, fault = io.StringIO(), ""
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                code = enter(item["arguments"], Path(item["output"]))
        except BaseException as error:
            code, fault = 1, f"{type(error).__name__}: {error}"
        message = said.getvalue()
        report = {
            "id": item["id"],
            "code": code,
            "seconds": time.monotonic() - start,
            "busy": time.process_time() - busy,
            "rss": _peak(process) - before,
            "longest": max(map(len, message.splitlines()), default=0),
            "control": bool(re.search(r"[\x00-\x09\x0b-\x1f\x7f]", message)),
            "message": (fault or message)[:300],
        }
        print(json.dumps(report), file=output, flush=True)


def _peak(process: psutil.Process) -> int:
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        return int(process.memory_info().rss)


if __name__ == "__main__":
    main()
