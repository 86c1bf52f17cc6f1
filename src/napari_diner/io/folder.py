"""Atomic writing of result folders, without losing existing files."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from napari_diner.errors import DinerError, InputError, OutputError
from napari_diner.io.exchange import (
    PREFIX,
    Stage,
    exchange,
    existing,
    home_of,
    is_for,
    open_stage,
    replace_synced,
    stage_of,
    stages,
    sweep,
    sync,
    undisturbed,
)
from napari_diner.io.ome_zarr import zarr_files
from napari_diner.io.places import bounded_name, inputs_among, local_path, resolved, unused_folder
from napari_diner.io.texts import read_json

REPORT = "report.json"
RECIPE = "recipe.yaml"
WEIGHTS = "model.safetensors"
_KINDS = {".tif", ".npy", ".yaml", ".json", ".safetensors", ".png", ".txt", ".csv"}
_SPACE_MARGIN = 1.05
_MOST_WAIT_S = 0.3
_MANIFEST = "# files of this sample: "


def check_output(folder: str | Path, overwrite: bool, inputs: Collection[Path] = ()) -> None:
    """Check that results can be written to a folder, before computing them.

    Parameters
    ----------
    folder
        The folder, which need not exist.
    overwrite
        Whether results of napari-diner in it may be replaced.
    inputs
        Files and folders that the results are computed from; they are never replaced.

    Raises
    ------
    OutputError
        If the folder is not empty and may not be overwritten, is a file, cannot be written, contains inputs or foreign
        files that would be replaced, or is in use by another run.
    """
    with _explained(folder):
        target = resolved(folder)
        if target.exists() and not target.is_dir():
            raise OutputError(f"The output {folder} is a file; name a folder")
        home = existing(target)
        if not home.is_dir():
            raise OutputError(f"The output folder {folder} would be inside {home}, which is a file; choose another one")
        if not os.access(home, os.W_OK | os.X_OK):
            raise OutputError(f"The output folder {folder} cannot be written; choose one where you may write")
        for place in {home, target.parent} if target.parent.is_dir() else {home}:
            sweep(place)
        for stage in _others(target):
            raise OutputError(
                f"Another run (process {stage.pid} on {stage.host}) is writing into {folder}; choose another "
                f"folder, or remove {stage.path} if that run has ended"
            )
        if _is_filled(target) and not overwrite:
            raise OutputError(f"The output folder {folder} exists; choose another one or add {{field:overwrite}}")
        own = owned(target)
        for name in (REPORT, RECIPE):
            if os.path.lexists(target / name) and name not in own:
                raise OutputError(
                    f"The output folder {folder} contains a {name} that does not belong to a result; choose another one"
                )
        protected = inputs_among(target, own, inputs)
        if protected:
            raise OutputError(
                f"The output folder {folder} contains {sorted(protected)[0]}, an input of this run; choose another one"
            )


def check_space(folder: str | Path, needed: float, what: str = "The result needs") -> None:
    """Check that files of `needed` bytes fit the disk of a folder, which need not exist; `what` begins the message.

    Raises
    ------
    OutputError
        If they do not.
    """
    with _explained(folder):
        disk = shutil.disk_usage(existing(resolved(folder)))
    # some file systems tell no size
    if disk.total and needed * _SPACE_MARGIN > disk.free:
        raise OutputError(
            f"{what} about {needed / 1e6:,.1f} MB, but only {disk.free / 1e6:,.1f} MB are free on the disk "
            f"of {folder}; free space or choose another folder"
        )


def checkpoint_path(folder: str | Path) -> Path:
    """Return the file for the checkpoints of a run that writes into a folder: hidden beside it if possible."""
    target = resolved(folder)
    place = target.parent if os.access(existing(target.parent), os.W_OK | os.X_OK) else target
    return place / bounded_name(PREFIX, target.name, ".checkpoint", room=4)  # written with four more characters


@contextlib.contextmanager
def reserved(folder: str | Path, overwrite: bool = False, inputs: Collection[Path] = ()) -> Iterator[None]:
    """Keep other processes from writing into a folder while results for it are computed; see `check_output`."""
    target = resolved(folder)
    while True:
        check_output(folder, overwrite, inputs)
        with _explained(folder):
            stage = open_stage(home_of(target), target)
        try:
            if not _others(target):
                yield
                return
        finally:
            stage.remove()
        # two runs began at the same moment; the one that returns first goes on, and the other one is refused
        time.sleep(random.uniform(0, _MOST_WAIT_S))


def _others(target: Path) -> list[Stage]:
    """Return the stages of other processes for results that go to `target`."""
    others = [stage for place in {existing(target), target.parent} for stage in stages(place) if not stage.is_mine]
    # only their owners can remove those of dead processes
    return [stage for stage in others if is_for(stage, target) and (stage.is_own or not stage.is_dead)]


@contextlib.contextmanager
def staged(folder: str | Path, overwrite: bool = False, inputs: Collection[Path] = ()) -> Iterator[Path]:
    """Yield a temporary folder whose content is moved to `folder` when the block succeeds.

    A new folder appears as a whole. In an existing folder, the files of the old result are replaced or
    removed, and other files are kept; if a file cannot be replaced, the old result stays complete. If the block
    fails, nothing is left behind.

    Parameters
    ----------
    folder, overwrite, inputs
        See `check_output`.

    Raises
    ------
    OutputError
        As `check_output`, or if the disk is full. If the folder can no longer be written at the end, the result is
        saved beside it, or in the folder for temporary files, and the message names the place.
    """
    check_output(folder, overwrite, inputs)
    with _staged(folder, overwrite, inputs) as place:
        yield place


def write_computed(
    folder: str | Path,
    write: Callable[[Path], object],
    overwrite: bool = False,
    inputs: Collection[Path] = (),
    problem: DinerError | None = None,
) -> None:
    """Write results computed for a folder, as in `staged`, or elsewhere if that fails.

    Parameters
    ----------
    folder, overwrite, inputs
        See `check_output`, which was successful when the work began.
    write
        Writes them into a folder.
    problem
        The error that ended the work early. What there is goes beside a complete result instead of replacing it.

    Raises
    ------
    OutputError
        If they are saved elsewhere; the message gives the place.
    DinerError
        Like `problem`; the message gives the place.
    """
    if problem is not None:
        target = resolved(folder)
        place = unused_folder(target.parent, target.name) if is_complete(target) else Path(folder)
        write_computed(place, write, overwrite, inputs)
        raise type(problem)(f"{problem.message}; the result so far is saved in {place}", problem.field)
    try:
        with _staged(folder, overwrite, inputs) as stage:
            write(stage)
    except _NotWrittenError as error:
        try:
            place = _temporary(resolved(folder))
        except OSError:  # all disks are full
            raise error from None
        try:
            write(place)
        except OSError:
            shutil.rmtree(place, ignore_errors=True)
            raise error from None
        raise OutputError(_saved(error, place)) from None


class _NotWrittenError(OutputError):
    """The file system refused to write a file."""


@contextlib.contextmanager
def _staged(folder: str | Path, overwrite: bool, inputs: Collection[Path]) -> Iterator[Path]:
    with _explained(folder):
        target = resolved(folder)
        stage = open_stage(home_of(target), target)
    try:
        with _explained(folder):
            yield stage.new
            sync(stage.new)
    except BaseException:
        stage.remove()
        raise
    with undisturbed():
        try:
            with _explained(folder):
                check_output(folder, overwrite, inputs)
                if target.is_dir():
                    exchange(stage, target, owned(target) if overwrite else (), REPORT)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    stage.new.rename(target)
        except OutputError as error:
            place = _saved_elsewhere(stage, target)
            if place is None:
                raise
            if place != target:  # it is in its place if the old result has been removed in the meantime
                raise OutputError(_saved(error, place)) from None
        finally:
            stage.remove()


def _saved(error: OutputError, place: Path) -> str:
    """Return the message for results saved elsewhere: the problem, and the place instead of the cure."""
    return f"{error.message.rpartition('; ')[0]}; the result is saved in {place}"


def _saved_elsewhere(stage: Stage, target: Path) -> Path | None:
    """Move new results to an unused folder beside the intended one, or to one for temporary files; return it."""
    place = unused_folder(target.parent, target.name)
    with contextlib.suppress(OSError):
        stage.new.rename(place)
        return place
    with contextlib.suppress(OSError):
        return Path(shutil.copytree(stage.new, _temporary(target), dirs_exist_ok=True))
    return None


def _temporary(target: Path) -> Path:
    """Return a new folder among the temporary files."""
    return Path(tempfile.mkdtemp(prefix=bounded_name("napari-diner-", target.name, "-", room=8)))


def replaced(path: Path, write: Callable[[Path], object], *, overwrite: bool = True) -> None:
    """Write a file beside its place and move it there, so that it is never visible in part.

    Raises
    ------
    OutputError
        If it cannot be written, or is there already and not to be overwritten.
    """
    path = local_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        stage = open_stage(path.parent, path)
        try:
            write(stage.new / path.name)
            with undisturbed():
                if not overwrite and os.path.lexists(path):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
                replace_synced(stage.new / path.name, path)
                stage.remove()
        except BaseException:
            stage.remove()
            raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"The output {path} cannot be written ({reason}); choose another one") from None


def destination(folder: Path) -> Path:
    """Return the final place of the content of a folder: the folder of the result if it is staged."""
    for place in (folder, *folder.parents):
        stage = stage_of(place)
        if stage is not None:
            return Path(stage.target) / folder.relative_to(place)
    return folder


def is_demo(folder: str | Path) -> bool:
    """Whether a folder contains a demonstration: a comparison with its sample."""
    report = _report(Path(folder))
    return "comparison" in report and "sample" in _listed(Path(folder))


def is_complete(folder: str | Path) -> bool:
    """Whether a folder contains the result of a run that came to its end."""
    report = _report(Path(folder))
    return "files" in report and not report.get("partial")


def is_unfinished(folder: str | Path) -> bool:
    """Whether a folder contains the result of a run that did not come to its end."""
    return bool(_report(Path(folder)).get("partial"))


def recover(folder: str | Path) -> None:
    """Restore the files of a result after a process died while replacing them."""
    with contextlib.suppress(OSError):
        target = Path(folder).resolve()
        for place in (target, target.parent):
            sweep(place)


def with_manifest(recipe: str, names: Iterable[str]) -> str:
    """Return the recipe of a sample with the names of the sample's files in a comment, for replacing the sample."""
    return f"{_MANIFEST}{', '.join(sorted({*names, RECIPE}))}\n{recipe}"


def owned(folder: Path) -> set[str]:
    """Return the files in a folder that belong to results, as paths relative to it with slashes.

    These are the files listed in a report or in the recipe of a sample, of the kinds written here. In listed
    folders, only files in their own lists count.
    """
    names = set()
    for name in _listed(folder):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            names |= {f"{name}/{inner}" for inner in (zarr_files(path) if path.suffix == ".zarr" else owned(path))}
        elif path.suffix in _KINDS and os.path.lexists(path):
            names.add(name)
    return names


def _report(folder: Path) -> Mapping[str, object]:
    try:
        report = read_json(folder / REPORT)
    except InputError:
        return {}
    return report if isinstance(report, dict) else {}


def _listed(folder: Path) -> list[str]:
    """Return the names listed in the report in a folder, or in the recipe of a sample."""
    names = _report(folder).get("files")
    if not isinstance(names, list):
        names = []
        with contextlib.suppress(OSError, UnicodeDecodeError), (folder / RECIPE).open(encoding="utf-8") as file:
            line = file.readline(10_000)
            names = line.removeprefix(_MANIFEST).strip().split(", ") if line.startswith(_MANIFEST) else []
    # a report could name any path: only entries of the folder itself count
    return [name for name in names if isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name]


def _is_filled(folder: Path) -> bool:
    """Whether a folder exists and contains anything besides stages."""
    return folder.is_dir() and any(not entry.name.startswith(PREFIX) for entry in folder.iterdir())


@contextlib.contextmanager
def _explained(folder: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _NotWrittenError(f"The output folder {folder} cannot be written ({reason}); choose another one") from None
