"""Writing a folder of results, atomically."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_diner.errors import OutputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.ometiff import write_array

REPORT = "report.json"
WEIGHTS = "model.safetensors"
PREFIX = ".napari-diner-"


def check_output(folder: str | Path, overwrite: bool) -> None:
    """Check that results can be written to a folder, before they are computed.

    Raises
    ------
    OutputError
        If the folder is not empty and may not be overwritten, is a file, or cannot be written.
    """
    path = Path(folder).expanduser()
    with _explained(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"The output {folder} is a file; name a folder")
        if path.is_dir() and any(path.iterdir()) and not overwrite:
            raise OutputError(f"The output folder {folder} exists; choose another one or add {{field}}", "overwrite")
        parent = _existing(path)
        if not parent.is_dir():
            raise OutputError(
                f"The output folder {folder} would be inside {parent}, which is a file; choose another one"
            )
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputError(f"The output folder {folder} cannot be written; choose one where you may write")


@contextlib.contextmanager
def staged(folder: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder whose content becomes that of `folder` when the block succeeds.

    A new folder appears complete. In a folder that is overwritten, files are exchanged only after all new ones are
    complete, the report last; files that its old report lists and the new results lack are removed, and other files are
    kept. If the block fails, nothing is left behind.

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


def write_contents(
    folder: Path,
    arrays: Iterable[NamedArray],
    files: Mapping[str, str],
    *,
    weights: Mapping[str, npt.NDArray[np.generic]] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write results into an existing folder, such as a `staged` one.

    Parameters
    ----------
    folder
        The folder.
    arrays
        Each is written to ``<name>.tif``.
    files
        Text files by name.
    weights
        Parameters by name for ``model.safetensors``, which is not written if there are none.
    metadata
        Header of ``model.safetensors``.
    """
    for array in arrays:
        write_array(folder / f"{array.name}.tif", array)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    if weights:
        from safetensors.numpy import save

        contiguous = {name: np.ascontiguousarray(value) for name, value in weights.items()}
        # save_file of safetensors would make the file readable by its owner only
        (folder / WEIGHTS).write_bytes(save(contiguous, metadata=dict(metadata or {})))


def is_result(folder: str | Path) -> bool:
    """Whether a folder holds results of napari-diner: a report that lists its files."""
    return bool(_listed(Path(folder)))


def _listed(folder: Path) -> list[str]:
    """Return the names of the files that the report in a folder lists."""
    try:
        names = json.loads((folder / REPORT).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    # a report could name any path: only entries of the folder itself count
    return [name for name in names if isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name]


def _exchange(stage: Path, target: Path) -> None:
    """Move the content of `stage` into `target`, replacing what is there."""
    new = sorted(entry.name for entry in stage.iterdir())
    old = _listed(target)
    (target / REPORT).unlink(missing_ok=True)  # without a report, an interrupted exchange is not taken for a result
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
    """Return the path or the nearest of its parents that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _give_usual_permissions(folder: Path) -> None:
    """Give a temporary folder, which is private, the permissions of an ordinary one."""
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
