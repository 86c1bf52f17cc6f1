"""What the commands that compare have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from napari_diner.cli.common import INTERRUPTED, Common
from napari_diner.cli.terminal import Interruption, follow
from napari_diner.io.folder import REPORT, check_output, staged

if TYPE_CHECKING:
    from napari_diner.tasks.comparison import Comparison, ComparisonRun

Found = TypeVar("Found", bound="Comparison")

Seconds = Annotated[float, Parameter(help="Time for each of them.")]


def names_in(text: str | None) -> list[str] | None:
    """Return the names in a list with commas, or None if there is no list."""
    return None if text is None else [name.strip() for name in text.split(",")]


def compare_into(folder: Common, start: Callable[[], ComparisonRun[Any]]) -> int:
    """Run a comparison, save it, print its table; return the exit code.

    Parameters
    ----------
    folder
        Where the comparison goes.
    start
        Reads the data and gives the comparison; asked only once the folder is known to be good.

    Raises
    ------
    DinerError
        If the data, the recipe, a contender or the folder cannot be used.
    KeyboardInterrupt
        If it was interrupted before there was anything to compare, or twice.
    """
    check_output(folder.output, folder.overwrite)
    comparison, complete = finish(start(), quiet=folder.quiet)
    with staged(folder.output, folder.overwrite) as stage:
        write_comparison(comparison, stage, partial=not complete)
    if not folder.quiet:
        print(f"{comparison.table()}\nfolder: {folder.output}")
    return 0 if complete else INTERRUPTED


def finish(comparing: ComparisonRun[Found], *, quiet: bool) -> tuple[Found, bool]:
    """Run a comparison; return it, and whether it came to its end."""
    with Interruption() as stop, comparing:
        if not follow(comparing, stop, quiet=quiet):
            raise KeyboardInterrupt
        return comparing.result(), not stop.asked


def write_comparison(comparison: Comparison, folder: Path, *, partial: bool) -> None:
    """Write a comparison: a folder for each contender, and at the top the winner's result, the table and the figure.

    What the folder holds already belongs to it from then on.
    """
    from napari_diner.tasks.saving import to_json, write_result

    for name, result in comparison.results.items():
        (folder / name).mkdir()
        write_result(result, folder / name)
    winner = comparison.results[comparison.winner]
    write_result(winner, folder)
    comparison.save_figure(folder / "comparison.png")
    (folder / "comparison.txt").write_text(comparison.table() + "\n", encoding="utf-8")
    report = {**winner.report, "partial": partial, "comparison": comparison.report}
    names = sorted({entry.name for entry in folder.iterdir()} | {REPORT})
    (folder / REPORT).write_text(to_json({**report, "files": names}), encoding="utf-8")
