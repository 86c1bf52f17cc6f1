"""Checkpoints: the state of a run as a file from which another process can continue."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from napari_diner import __version__
from napari_diner.errors import InputError, one_line
from napari_diner.io.exchange import replace_synced
from napari_diner.io.places import expanded
from napari_diner.io.weights import WeightsFile, write_weights
from napari_diner.tasks.job import Job, StageRecord
from napari_diner.tasks.packing import Bytes, pack, unpack
from napari_diner.tasks.recipe import is_file

_FORMAT = "napari-diner checkpoint 1"
# settings that may differ between checkpoint and run
_FREE = ("checkpoint_seconds", "max_seconds", "input_sha256", "save_as")
# largest part of the time for checkpoints; slow ones are written less often
_MOST_TIME = 0.05
# number of differing settings to name
_LISTED = 5
# age at which files in a shared folder of checkpoints are removed
_FORGOTTEN_S = 30 * 86400.0


@dataclass
class SavedStage:
    """State of a stage."""

    number: int
    """Its position among the stages of the job, from zero."""
    began_s: float
    """Time on the clock of the run when the stage started."""
    seconds: float
    """Time now, or when the stage ended."""
    record: StageRecord
    """Its entry of the report."""
    steps: int = 0
    """Number of steps of its solver."""
    ended: bool = False
    """Whether it is done."""
    state: Mapping[str, object] | None = None
    """State of its solver, see `Resumable`; None if the solver has none."""


@dataclass
class Saved:
    """State of a run."""

    stages: list[SavedStage] = field(default_factory=list)
    """Started stages, in order; an unfinished stage without a state is omitted."""
    timed_out: bool = False
    """Whether a stage was ended by the time limit."""
    threads: list[int] = field(default_factory=list)
    """Numbers of threads that it has used."""
    resumed_after_s: list[float] = field(default_factory=list)
    """Times at which it was resumed, on the clock of the run."""

    @property
    def seconds(self) -> float:
        """Time on the clock of the run."""
        return self.stages[-1].seconds if self.stages else 0.0

    def stage(self, number: int) -> SavedStage | None:
        """Return a stage by its position among the stages of the job."""
        return next((stage for stage in self.stages if stage.number == number), None)


class Checkpoint:
    """The file for the checkpoints of one run, and the run's identity: task, settings, data and version.

    Parameters
    ----------
    path
        Path of the file, which need not exist; or of a folder with a file for each run.
    resume
        Whether to continue from it; a checkpoint of another run is an error.
    is_private
        Whether it only serves to continue after a crash: a checkpoint of this run is used if there is one, others are
        ignored, and a run that ends in any other way removes it. So are those in a folder.
    """

    def __init__(self, path: str | Path, *, resume: bool = False, is_private: bool = False) -> None:
        self.path = expanded(path).absolute()
        self.resume, self.is_private = resume, is_private
        self.interval_s = 0.0
        self.notes: list[str] = []
        """Notes: where the run starts, and failures to write a checkpoint."""
        self._identity: dict[str, object] = {}
        self._settings: dict[str, object] = {}
        self._due = 0.0
        self._loaded: tuple[dict[str, Any], dict[str, Bytes]] | None = None

    def bind(self, job: Job[Any], data: object) -> None:
        """Identify the run, and read the checkpoint that it continues from.

        Parameters
        ----------
        job
            The work.
        data
            The data of the task, as assembled.

        Raises
        ------
        InputError
            If the checkpoint to continue from belongs to another run, or is damaged.
        """
        self.interval_s = job.recipe.checkpoint_seconds
        self._settings = _settings(job.recipe)
        self._identity = {
            "version": __version__,
            "task": job.task,
            "device": job.device.type,
            "data": [job.checksum, _fingerprint(data)],
            "settings": self._settings,
        }
        if self.path.is_dir():
            self._choose_file(job)
        if self.is_private:
            with contextlib.suppress(InputError):
                self._loaded = self._read() if self.path.exists() else None
        elif self.resume and self.path.exists():
            self._loaded = self._read()
        elif self.resume:
            self.notes.append("there is no checkpoint to continue from; the run starts from the beginning")
        elif self.path.exists() and self.interval_s > 0:
            self.notes.append(
                "there is a checkpoint of an interrupted run; unless this run resumes it, its own "
                "checkpoints replace it"
            )
        if self._loaded is not None:
            content, _ = self._loaded
            self.notes.append(
                f"the run continues from its checkpoint of {content['written']}, after {content['seconds']:.0f} s"
            )

    def _choose_file(self, job: Job[Any]) -> None:
        """Choose the file of this run in the folder."""
        for old in self.path.glob("*.checkpoint*"):
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > _FORGOTTEN_S:
                    old.unlink()
        digest = zlib.crc32(json.dumps(self._identity, sort_keys=True).encode())
        self.path = self.path / f"{job.task}-{job.checksum[:12]}-{digest:08x}.checkpoint"
        self.is_private = True

    def load(self, job: Job[Any]) -> Saved:
        """Return the state to continue from: None if the run starts from the beginning.

        Raises
        ------
        InputError
            If the checkpoint is damaged.
        """
        if self._loaded is None:
            return Saved()
        (content, arrays), self._loaded = self._loaded, None
        try:
            saved = unpack(content["run"], arrays, job.device)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise self._refused(f"it is damaged ({type(error).__name__})") from None
        if not isinstance(saved, Saved):
            raise self._refused("it is damaged")
        return saved

    def start(self) -> None:
        """Start the interval to the next checkpoint."""
        self._due = time.monotonic() + self.interval_s

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return self.interval_s > 0 and time.monotonic() >= self._due

    def write(self, saved: Saved) -> None:
        """Replace the file in one step; a failure is a warning."""
        began = time.monotonic()
        new = self.path.with_name(f"{self.path.name}.new")
        arrays: dict[str, Bytes] = {}
        content = {**self._identity, "written": time.strftime("%Y-%m-%d %H:%M"), "seconds": saved.seconds}
        try:
            text = json.dumps({**content, "run": pack(saved, arrays)})
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)  # never through a link
            write_weights(new, arrays, {"format": _FORMAT, "run": text, "crc32": str(_checksum(text, arrays))})
            replace_synced(new, self.path)
        except (OSError, TypeError) as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            reason = error.strerror if isinstance(error, OSError) else one_line(str(error))
            note = f"a checkpoint could not be written to {self.path.parent} ({reason})"
            self.notes += [note] if note not in self.notes else []
        now = time.monotonic()
        self._due = now + max(self.interval_s, (now - began) / _MOST_TIME)

    def remove(self) -> None:
        """Remove the file, and what a crash has left of an unfinished one."""
        for path in (self.path, self.path.with_name(f"{self.path.name}.new")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Any], dict[str, Bytes]]:
        """Return the content of the file and its arrays."""
        try:
            file = WeightsFile(self.path)
            arrays = {name: file.read(name).astype(np.uint8, copy=False) for name in file.shapes}
            text = file.header["run"]
            content: dict[str, Any] = json.loads(text)
            intact = file.header["format"] == _FORMAT and file.header["crc32"] == str(_checksum(text, arrays))
        except (InputError, ValueError, KeyError):
            intact = False
        if not intact:
            raise self._refused("it is damaged or not a checkpoint")
        self._check(content)
        return content, arrays

    def _check(self, content: Mapping[str, Any]) -> None:
        ours = self._identity
        settings, present = content["settings"], self._settings
        for name, what in (("task", "another task"), ("version", "another version of napari-diner")):
            if content[name] != ours[name]:
                raise self._refused(f"it is of {what} ({content[name]}, not {ours[name]})")
        if content["data"] != ours["data"]:
            raise self._refused("it is of other data")
        names = sorted(key for key in {*settings, *present} if settings.get(key) != present.get(key))
        if names:
            more = ", …" if len(names) > _LISTED else ""
            raise self._refused(f"it is of other settings ({', '.join(names[:_LISTED])}{more})")
        if content["device"] != ours["device"]:
            raise self._refused(f"it was computed on {content['device']}, not on {ours['device']}")

    def _refused(self, reason: str) -> InputError:
        return InputError(
            f"The run cannot continue from the checkpoint {self.path}: {reason}; leave out {{field}} to start from the "
            "beginning",
            "resume",
        )


def _settings(model: BaseModel, prefix: str = "") -> dict[str, object]:
    """Return the settings that determine a result, by their keys; names of files do not, only their contents."""
    settings: dict[str, object] = {}
    for name, described in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            settings |= _settings(value, f"{prefix}{name}.")
        elif prefix + name not in _FREE and not is_file(described, value):
            settings[prefix + name] = value
    # in the form in which they are read back
    plain: dict[str, object] = json.loads(json.dumps(settings, default=str))
    return plain


def _fingerprint(data: object) -> int:
    """Return a checksum of all arrays among data."""
    total = 0
    for array in _arrays(data):
        total = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, total)
    return total


def _arrays(data: object) -> Iterator[npt.NDArray[Any]]:
    if isinstance(data, np.ndarray):
        yield data
    elif dataclasses.is_dataclass(data):
        for described in dataclasses.fields(data):
            yield from _arrays(getattr(data, described.name))
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
        for item in data:
            yield from _arrays(item)


def _checksum(text: str, arrays: Mapping[str, Bytes]) -> int:
    total = zlib.crc32(text.encode())
    for name in sorted(arrays):
        total = zlib.crc32(arrays[name].data, total)
    return total
