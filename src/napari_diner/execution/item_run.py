"""Running one item of a batch, unless it is complete, without letting its errors stop the others."""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_diner.errors import TRACEBACK, DinerError, InputError
from napari_diner.execution.items import Item
from napari_diner.io.files import find_files
from napari_diner.io.folder import (
    REPORT,
    check_output,
    check_space,
    checkpoint_path,
    is_unfinished,
    recover,
    write_computed,
)
from napari_diner.io.formats import located
from napari_diner.io.texts import read_json
from napari_diner.tasks.recipe import input_files, renamed_files
from napari_diner.tasks.registry import task_of
from napari_diner.tasks.report import Report

if TYPE_CHECKING:
    from napari_diner.tasks.run import AnyRun

State = Literal["waiting", "running", "done", "unchanged", "failed"]
THUMBNAIL = "thumbnail.png"


@dataclass(frozen=True)
class Record:
    """State of an item."""

    name: str
    """Name of the item."""
    source: str
    """Source of its data."""
    state: State = "waiting"
    """State; ``"unchanged"`` if a result of the same data and recipe already existed."""
    message: str = ""
    """Name of the running stage, or reason of the failure."""
    seconds: float = 0.0
    """Seconds of computing."""
    remaining_s: float | None = None
    """Estimated remaining seconds, if it is running."""
    warnings: tuple[str, ...] = ()
    """Warnings."""
    figures: Mapping[str, float | int | str] = field(default_factory=dict)
    """The figures of its report by which the task compares results."""
    place: str = ""
    """Process that computes it."""

    @property
    def is_over(self) -> bool:
        """Whether the item has ended."""
        return self.state in ("done", "unchanged", "failed")


def run_item(item: Item, output: Path, *, overwrite: bool = False) -> Generator[Record, None, None]:
    """Run an item and save its result; yield a record for each step and a final one.

    To cancel, close the iterator: nothing but its checkpoint is saved then, from which the next run of the item
    continues, as after a crash. A result is saved as a whole.

    Parameters
    ----------
    item
        The item.
    output
        The output folder of the batch.
    overwrite
        Whether a result of other data or another recipe in the folder of the item may be replaced.
    """
    record = Record(item.name, item.source, "running", "reading", place=str(os.getpid()))
    yield record
    try:
        if item.problem:
            raise DinerError(item.problem)
        yield from _run(item, record, item.folder(output), overwrite)
    except DinerError as error:
        # keys, as in the plan
        yield replace(record, state="failed", message=str(error))
    except MemoryError:
        yield replace(
            record, state="failed", message="The memory is full; crop or bin the frames, or use fewer workers"
        )
    except Exception as error:
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        yield replace(record, state="failed", message=f"unexpected error, {type(error).__name__}: {error}")


def _run(item: Item, record: Record, folder: Path, overwrite: bool) -> Iterator[Record]:
    task, inputs = task_of(item.recipe), input_files(item.recipe)
    from napari_diner.tasks.checkpoint import Checkpoint

    attached = _attached(item)
    checkpoint = Checkpoint(checkpoint_path(folder), is_private=True)
    with task.start(item.recipe, checkpoint=checkpoint) as run:
        identity = _identity(run, attached)
        done = _done(folder, run, identity)
        if done is not None:
            yield _ended(record, "unchanged", done, task.columns)
            return
        overwrite = overwrite or is_unfinished(folder)
        check_output(folder, overwrite, inputs)
        check_space(folder, run.result_bytes)
        record = replace(record, warnings=tuple(run.warnings))
        for step in run:
            message = f"{step.stage} {step.iteration}/{step.iterations}"
            yield replace(record, message=message, seconds=step.elapsed_s, remaining_s=step.remaining_s)
        from napari_diner.execution.thumbnail import write_picture
        from napari_diner.tasks.saving import write_result

        result = run.result()
        result = replace(result, report={**result.report, "batch": identity})

        def write(stage: Path) -> None:
            extras = task.write_extras(result, stage)
            write_picture(result.arrays, stage / THUMBNAIL)
            write_result(result, stage, [*extras, THUMBNAIL])

        write_computed(folder, write, overwrite, inputs, result.problem)
        yield _ended(record, "done", result.report, task.columns)


def version_of(item: Item, output: Path) -> tuple[int, ...] | None:
    """Return what tells the result of an item from another one that replaces it; None if there is no result."""
    try:
        status = (output / item.name / REPORT).stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def saved(item: Item, output: Path, before: tuple[int, ...] | None) -> Record | None:
    """Return the record of a result saved since `version_of` returned `before`, if there is one."""
    if version_of(item, output) == before:
        return None
    try:
        values = read_json(output / item.name / REPORT)
    except InputError:
        return None
    if not isinstance(values, dict) or values.get("partial"):
        return None
    return _ended(Record(item.name, item.source), "done", values, task_of(item.recipe).columns)


def _ended(record: Record, state: State, report: Report, columns: Mapping[str, str]) -> Record:
    """Return the record of a result."""
    figures = {name: report[name] for name in columns if isinstance(report.get(name), float | int | str)}
    seconds, warnings = report.get("seconds"), report.get("warnings")  # anything if the file was changed
    return replace(
        record,
        state=state,
        message="",
        seconds=float(seconds) if isinstance(seconds, float | int) else 0.0,
        warnings=tuple(map(str, warnings)) if isinstance(warnings, list | tuple) else (),
        figures=figures,
    )


def _identity(run: AnyRun, attached: Sequence[str]) -> dict[str, object]:
    """Return what determines a result besides its data: the completed recipe, and the other files that it names.

    Locations of files do not count, only their content.
    """
    recipe = run.job.recipe
    values = recipe.model_dump(mode="json", exclude={task_of(recipe).source_field, "input_sha256"})
    text = json.dumps(renamed_files(type(recipe), values, lambda name: Path(name).name), sort_keys=True)
    return {"recipe_sha256": hashlib.sha256(text.encode()).hexdigest(), "attached_sha256": list(attached)}


def _done(folder: Path, run: AnyRun, identity: Mapping[str, object]) -> Report | None:
    """Return the report in a folder if it belongs to a complete result of the same recipe and data."""
    if not folder.is_dir():
        return None
    recover(folder)
    try:
        report = read_json(folder / REPORT)
    except InputError:
        return None
    if not isinstance(report, dict) or report.get("partial") or report.get("input_sha256") != run.job.checksum:
        return None
    names = report.get("files")
    whole = isinstance(names, list) and all((folder / str(name)).exists() for name in names)
    return report if whole and report.get("batch") == identity else None


def _attached(item: Item) -> list[str]:
    """Return the SHA-256 of the files that a recipe names besides the data, such as masks and references.

    Raises
    ------
    InputError
        If there is no such file.
    """
    source = task_of(item.recipe).source_field
    paths = input_files(item.recipe.model_copy(update={source: None}))
    files = [located(name)[0] for path in paths for name in find_files(path)]
    return [_checksum(file) for file in files if file.is_file()]


def _checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
