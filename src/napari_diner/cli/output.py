"""Options that commands share, and how every run and comparison is saved and summarised."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, Token

from napari_diner.cli.options import option_name
from napari_diner.cli.terminal import Watch, doing, print_rows, print_table, progress_display, unprintable, warn
from napari_diner.errors import DinerError, OutputError
from napari_diner.io.folder import (
    REPORT,
    check_space,
    destination,
    replaced,
    reserved,
    write_computed,
)
from napari_diner.io.places import inputs_among, local_path
from napari_diner.tasks.report import Row
from napari_diner.tasks.task import AnyTask

if TYPE_CHECKING:
    from napari_diner.tasks.comparison import Comparison, ComparisonRun
    from napari_diner.tasks.preflight import Finding
    from napari_diner.tasks.recipe import Recipe
    from napari_diner.tasks.result import Result
    from napari_diner.tasks.run import AnyRun

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells: 128 + SIGINT."""


def _place(_: object, tokens: Sequence[Token]) -> Path:
    """Return the path of an output, which an unset variable of a shell would make the working folder."""
    if not tokens[0].value:
        raise ValueError("it is empty, as from a variable that is not set")
    return Path(tokens[0].value)


FLAG = Parameter(negative=(), show_default=False)
OUTPUT = Parameter(name=("--output", "-o"), converter=_place)
Quiet = Annotated[bool, FLAG, Parameter(name=("--quiet", "-q"), help="Show only errors.")]
ReplaceFile = Annotated[bool, FLAG, Parameter(help="Replace an existing file.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Where results are saved and what is shown."""

    output: Annotated[Path, OUTPUT, Parameter(help="Folder for the results.")]
    quiet: Quiet = False
    overwrite: Annotated[
        bool, FLAG, Parameter(help="Replace results in an existing folder; other files in it are kept.")
    ] = False


@dataclass(frozen=True)
class Resuming(Common):
    """Where the result of a run is saved, what is shown, and whether an earlier run is resumed."""

    resume: bool = False


@Parameter(name="*")
@dataclass(frozen=True)
class Running:
    """What to do with a task: run it into a folder, or only check it."""

    output: Annotated[
        Path | None, OUTPUT, Parameter(help="Folder for the results; needed unless --check is given.")
    ] = None
    quiet: Quiet = False
    overwrite: Annotated[
        bool, FLAG, Parameter(help="Replace results in an existing folder; other files in it are kept.")
    ] = False
    resume: Annotated[
        bool, FLAG, Parameter(help="Continue an interrupted run into this folder from its last checkpoint.")
    ] = False
    check: Annotated[
        bool, FLAG, Parameter(help="Only check data and settings, and estimate time and memory; run nothing.")
    ] = False

    @property
    def folder(self) -> Resuming:
        """Where to run.

        Raises
        ------
        OutputError
            If there is no folder.
        """
        if self.output is None:
            raise OutputError("Name a folder for the results with {field:output}, or add {field:check}")
        return Resuming(self.output, self.quiet, self.overwrite, self.resume)


@contextmanager
def results_in(output: Path, overwrite: bool, inputs: Collection[Path] = ()) -> Iterator[Callable[..., None]]:
    """Reserve a folder for the results that the block computes; see `write_computed` for the parameters and errors.

    Yields a function that saves the results, given one that writes them, and the error that ended the work early, if
    there was one; it is raised with the place of the results. An interruption after that reports that they are saved.
    """
    saved = False

    def save(write: Callable[[Path], object], problem: DinerError | None = None) -> None:
        nonlocal saved
        write_computed(output, write, overwrite, inputs, problem)
        saved = True

    try:
        with reserved(output, overwrite, inputs):
            yield save
            sys.stdout.flush()
    except (KeyboardInterrupt, OSError) as error:
        raise (_told(error, output) if saved else error) from None


@contextmanager
def file_written(output: Path, write: Callable[[Path], object], overwrite: bool) -> Iterator[None]:
    """Write a file as `replaced` does; whoever interrupts the block afterwards is told that it is saved."""
    replaced(output, write, overwrite=overwrite)
    try:
        yield
        sys.stdout.flush()
    except (KeyboardInterrupt, OSError) as error:
        raise _told(error, output) from None


def _told(error: KeyboardInterrupt | OSError, output: Path) -> BaseException:
    """Return the exception to raise instead of an interruption, or a failure to print, after a result is saved."""
    place = f"the result is saved in {output}"
    if isinstance(error, KeyboardInterrupt):
        return KeyboardInterrupt(place)
    return error if isinstance(error, BrokenPipeError) else OutputError(f"{unprintable(error)}; {place}")


def run_into(folder: Common, task: AnyTask, start: Callable[[], AnyRun], inputs: Collection[Path] = ()) -> int:
    """Run a task, save the result and print a summary; return the exit code.

    Parameters
    ----------
    folder
        Folder for the result.
    task
        The task.
    start
        Reads the data and returns the run; called after the folder has been checked.
    inputs
        Files that the result is computed from; never replaced.

    Raises
    ------
    DinerError
        If the data, the recipe or the folder cannot be used.
    KeyboardInterrupt
        If the run was interrupted before there was a result, or twice.
    """
    with results_in(folder.output, folder.overwrite, inputs) as save:
        with start() as run, Watch(progress_display(quiet=folder.quiet)) as watch:
            check_space(folder.output, run.result_bytes)
            if not folder.quiet:
                print_findings(run.job.findings(), run.warnings)
                warn(run.warnings)
                warn(run.notes, "note")
                warn(filter(None, [run.memory]), "memory")
            for progress in run:
                if not watch.goes_on(progress):
                    break
            if run.finished or run.problem is not None:
                watch.clear()  # also without a step, as the last one may have been taken before it was resumed
            else:
                watch.end()
            from napari_diner.tasks.saving import write_result

            try:
                result = run.result()
                save(lambda place: write_result(result, place, task.write_extras(result, place)), result.problem)
            except DinerError as error:
                # an interrupted run may have no usable result
                if watch.stopped and not isinstance(error, OutputError):
                    raise KeyboardInterrupt from None
                raise
        if not folder.quiet:
            is_kept = run.checkpoint is not None and run.checkpoint.path.is_file()
            _print_summary(task, result, folder.output, is_resumable=is_kept)
    return INTERRUPTED if result.partial else 0


def print_findings(findings: Sequence[Finding], warnings: Collection[str]) -> None:
    """Print the checks before a run that are not among its warnings; the good ones in one line."""
    good = ", ".join(line.aspect for line in findings if line.level == "good")
    warn([f"{good}: as they should be"] if good else [], "checked")
    warn(
        [
            f"{line.aspect}: {line.sentence}"
            for line in findings
            if line.level != "good" and line.sentence not in warnings
        ],
        "check",
    )


def check_only(task: AnyTask, recipe: Recipe, *, quiet: bool = False) -> int:
    """Print what can be said about a run before it; return the exit code: 1 if it is bad."""
    from napari_diner.tasks.preflight import preflight, worst

    with doing(quiet=quiet) as tell:
        lines = preflight(task, recipe, describe=lambda error: error.describe(option_name), tell=tell)
    words = {"good": "good", "doubtful": "DOUBTFUL", "bad": "BAD"}
    print_rows(Row(f"{words[line.level]:8}  {line.aspect}", line.sentence) for line in lines)
    return int(worst(lines) == "bad")


def _print_summary(task: AnyTask, result: Result, output: Path, *, is_resumable: bool) -> None:
    rows = task.summary_rows(result.report)
    memory, planned = (result.report.get(name) for name in ("peak_memory_mb", "planned_memory_mb"))
    remark = "" if planned is None else f" ({planned:,.0f} MB planned)"
    rows += [] if memory is None else [Row("peak memory", f"{memory:,.0f} MB{remark}")]
    rows += [Row("note", text) for text in result.report["notes"]]
    rows += [Row("warning", text) for text in result.report["warnings"]]
    if result.partial:
        more = "; --resume --overwrite continues from the last checkpoint" if is_resumable else ""
        rows.append(Row("note", f"interrupted: this is the best result so far{more}"))
    print_rows([*rows, Row("folder", str(output))])
    next_step = task.next_step(output)
    if next_step:
        print(next_step)


def compare_into(folder: Common, comparing: Callable[[], ComparisonRun], inputs: Collection[Path] = ()) -> int:
    """Run and save a comparison, and print its table; return the exit code. See `run_into` for the parameters.

    Raises
    ------
    DinerError
        If the data, the recipe, a contender or the folder cannot be used.
    KeyboardInterrupt
        If it was interrupted before there was anything to compare, or twice.
    """
    with results_in(folder.output, folder.overwrite, inputs) as save:
        run = comparing()
        check_space(folder.output, run.result_bytes)
        comparison, complete = finish(run, quiet=folder.quiet)
        save(lambda place: write_comparison(comparison, place, partial=not complete))
        if not folder.quiet:
            print_comparison(comparison)
            print(f"folder: {folder.output}")
    return 0 if complete else INTERRUPTED


def finish(comparing: ComparisonRun, *, quiet: bool) -> tuple[Comparison, bool]:
    """Run a comparison; return it, and whether it was completed."""
    with Watch(progress_display(quiet=quiet)) as watch, comparing:
        if not quiet:
            warn(filter(None, [comparing.memory]), "memory")
        for progress in comparing:
            if not watch.goes_on(progress):
                break
        watch.end()
        return comparing.result(), not watch.stopped


def print_comparison(comparison: Comparison) -> None:
    """Print the table of a comparison and its winner."""
    print_table(*comparison.rows())
    print("\n" + "\n".join(comparison.notes()))


def write_comparison(comparison: Comparison, folder: Path, *, partial: bool, others: Sequence[str] = ()) -> None:
    """Write a comparison: a folder for each contender, and at the top the winner's result, the table and the figure.

    Parameters
    ----------
    comparison
        What to write.
    folder
        A staged folder.
    partial
        Whether the comparison was interrupted.
    others
        Further files and folders in it that belong to the comparison.
    """
    from napari_diner.cli.terminal import table_text
    from napari_diner.tasks.comparison import MEMORY
    from napari_diner.tasks.saving import to_json, write_result
    from napari_diner.tasks.sharing import without_folders

    for name, result in comparison.results.items():
        (folder / name).mkdir()
        write_result(result, folder / name)
    winner = comparison.results[comparison.winner]
    write_result(winner, folder)
    comparison.save_figure(folder / "comparison.png")
    text = "\n".join([table_text(*comparison.rows()), "", *comparison.notes()])
    memory = {name: comparison.report[name] for name in MEMORY}
    report = {**winner.report, **memory, "partial": partial, "comparison": comparison.report}
    names = sorted({entry.name for entry in folder.iterdir()} | {REPORT, "comparison.txt", *others})
    texts = {REPORT: to_json({**report, "files": names}), "comparison.txt": text + "\n"}
    for name, content in texts.items():
        shown = without_folders(content, winner.recipe, destination(folder))
        (folder / name).write_text(shown, encoding="utf-8", errors="replace")


def check_file(
    path: Path, overwrite: bool, kind: str, suffixes: tuple[str, ...], inputs: Collection[Path] = ()
) -> None:
    """Check that an output file can be written, and is no input, before anything is computed."""
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"The output {path} must be a {kind} file; give it a name that ends in {suffixes[0]}")
    path = local_path(path)
    if path.is_dir():
        raise OutputError(f"The output {path} is a folder; name a file")
    if path.exists() and not overwrite:
        raise OutputError(f"The output {path} exists; choose another name or add {{field:overwrite}}")
    if path.exists() and inputs_among(Path(os.path.realpath(path.parent)), [path.name], inputs):
        raise OutputError(f"The output {path} is an input of this command; choose another name")
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"The output {path} cannot be written; choose a folder where you may write")
