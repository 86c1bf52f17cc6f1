"""Writing a folder of results: all of it or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.errors import OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.ometiff import write_array

REPORT = "report.json"
WEIGHTS = "model.safetensors"
PREFIX = ".napari-diner-"


def check_output(folder: str | Path, overwrite: bool) -> None:
    """Check that results can be written to a folder, before hours are spent on them.

    Raises
    ------
    OutputError
        If the folder holds something and may not be overwritten, is a file, or cannot be written.
    """
    path = Path(folder).expanduser()
    with _explained(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"The output {folder} is a file; name a folder")
        if path.is_dir() and any(path.iterdir()) and not overwrite:
            raise OutputError(f"The output folder {folder} exists; choose another one or add --overwrite")
        parent = _existing(path)
        if not parent.is_dir():
            raise OutputError(
                f"The output folder {folder} would lie inside {parent}, which is a file; choose another one"
            )
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputError(f"The output folder {folder} cannot be written; choose one where you may write")


@contextlib.contextmanager
def staged(folder: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder whose content becomes that of `folder` when the block ends well.

    A new folder appears at once and complete. In one that is overwritten, files are exchanged only after all new ones
    are complete, the report last; what its old report lists and the new results lack is removed, and files that are
    none of ours are kept. If the block fails, nothing is left behind.

    Raises
    ------
    OutputError
        As `check_output`, or if the disk is full.
    """
    check_output(folder, overwrite)
    target = Path(folder).expanduser().absolute()
    home = _existing(target)
    with _explained(target):
        stage = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
    try:
        with _explained(target):
            yield stage
            _give_usual_permissions(stage)
            if home == target:
                _exchange(stage, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write_folder(
    folder: str | Path,
    arrays: Iterable[NamedArray],
    files: Mapping[str, str],
    *,
    weights: Mapping[str, npt.NDArray[Any]] | None = None,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write results into a folder, all or nothing; see `staged`.

    Parameters
    ----------
    folder
        The folder; it and its parents are created.
    arrays
        Each is written to ``<name>.tif``.
    files
        Text files by name.
    weights
        Parameters by name for ``model.safetensors``; no such file if there are none.
    metadata
        Header of ``model.safetensors``.
    overwrite
        Whether a folder that holds something may be changed.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    with staged(folder, overwrite) as stage:
        write_contents(stage, arrays, files, weights=weights, metadata=metadata)


def write_contents(
    folder: Path,
    arrays: Iterable[NamedArray],
    files: Mapping[str, str],
    *,
    weights: Mapping[str, npt.NDArray[Any]] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write results into a folder that is there already and is nobody else's, such as a staged one."""
    for array in arrays:
        write_array(folder / f"{array.name}.tif", array)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    if weights:
        from safetensors.numpy import save

        contiguous = {name: np.ascontiguousarray(value) for name, value in weights.items()}
        # its save_file would make a file that only its owner can read
        (folder / WEIGHTS).write_bytes(save(contiguous, metadata=dict(metadata or {})))


def is_result(folder: str | Path) -> bool:
    """Tell whether a folder holds results of ours: a report that lists its files."""
    return bool(_listed(Path(folder)))


def _listed(folder: Path) -> list[str]:
    """Return the names that the report in a folder lists as its files."""
    try:
        names = json.loads((folder / REPORT).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    # a report could name anything: only entries of the folder itself count
    return [name for name in names if isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name]


def _exchange(stage: Path, target: Path) -> None:
    """Move all of `stage` into `target`, over what is there."""
    new = sorted(entry.name for entry in stage.iterdir())
    old = _listed(target)
    (target / REPORT).unlink(missing_ok=True)  # from here on the folder claims nothing, until the new report is there
    for name in sorted(set(old) - set(new)):
        _remove(target / name)
    for name in sorted(new, key=lambda name: name == REPORT):
        if (stage / name).is_dir() or (target / name).is_dir():
            _remove(target / name)
        (stage / name).replace(target / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _existing(path: Path) -> Path:
    """Return the nearest of a path and its parents that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _give_usual_permissions(folder: Path) -> None:
    """Open a temporary folder, private at first, as a folder made in the usual way is."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"The output folder {folder} cannot be written ({reason}); choose another one") from None
