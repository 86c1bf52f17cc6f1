"""Checkpoints: what a run has reached, as a file from which another process goes on."""

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
from napari_diner.io.weights import WeightsFile
from napari_diner.tasks.job import Job, StageRecord
from napari_diner.tasks.packing import Bytes, pack, unpack
from napari_diner.tasks.recipe import is_file

_FORMAT = "napari-diner checkpoint 1"
# settings that may be changed on the way
_FREE = ("checkpoint_seconds", "max_seconds", "input_sha256")
# a checkpoint that takes long to write is written less often, so that no more than this part of the time goes into it
_MOST_TIME = 0.05
# so many settings that differ are named
_LISTED = 5
# age at which a file in a folder for the checkpoints of many runs is removed
_FORGOTTEN_S = 30 * 86400.0


@dataclass
class SavedStage:
    """How far a stage has come."""

    number: int
    """Its place among the stages of the job, from zero."""
    began_s: float
    """The clock of the run when the stage began."""
    seconds: float
    """The clock now, or when the stage ended."""
    record: StageRecord
    """What it has done, for the report."""
    steps: int = 0
    """Steps of its solver."""
    ended: bool = False
    """Whether it is done."""
    state: Mapping[str, object] | None = None
    """State of its solver, see `Resumable`; None for a solver that has none."""


@dataclass
class Saved:
    """How far a run has come."""

    stages: list[SavedStage] = field(default_factory=list)
    """Stages that have begun, in order; of one without a state that has not ended, nothing is known."""
    timed_out: bool = False
    """Whether a stage was ended by the time limit."""
    threads: list[int] = field(default_factory=list)
    """Numbers of threads that it has had."""
    resumed_after_s: list[float] = field(default_factory=list)
    """Where it was resumed before, on the clock of the run."""

    @property
    def seconds(self) -> float:
        """The clock of the run."""
        return self.stages[-1].seconds if self.stages else 0.0

    def stage(self, number: int) -> SavedStage | None:
        """Return a stage by its place among the stages of the job."""
        return next((stage for stage in self.stages if stage.number == number), None)


class Checkpoint:
    """The file for the checkpoints of one run, and the run's identity: task, settings, data and version.

    Parameters
    ----------
    path
        Of the file, which need not exist; or a folder, in which each run has a file of its own.
    resume
        Whether to go on from it: what does not fit is refused. With a folder, a fitting one is taken if there is one.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        self.path = Path(path).expanduser().absolute()
        self.resume = resume
        self.interval_s = 0.0
        self.notes: list[str] = []
        """What is worth knowing: what the run begins with, and that no checkpoint could be written."""
        self.is_private = False
        """Whether it only serves to go on after a crash: a run that is ended in any other way removes it."""
        self._identity: dict[str, object] = {}
        self._settings: dict[str, object] = {}
        self._due = 0.0
        self._loaded: tuple[dict[str, Any], dict[str, Bytes]] | None = None

    def bind(self, job: Job[Any], data: object) -> None:
        """Take note of the run that it is for, and read the checkpoint that the run goes on from.

        Parameters
        ----------
        job
            The work.
        data
            The data of the task, as it has assembled them.

        Raises
        ------
        InputError
            If the run is to go on from a checkpoint of another run, or from a damaged one.
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
        elif self.resume and self.path.exists():
            self._loaded = self._read()
        elif self.resume:
            self.notes.append("there is no checkpoint to go on from; the run starts from the beginning")
        elif self.path.exists() and self.interval_s > 0:
            self.notes.append(
                "there is a checkpoint of a run that was interrupted; unless this run is told to resume it, its own "
                "checkpoints replace it"
            )
        if self._loaded is not None:
            content, _ = self._loaded
            self.notes.append(
                f"the run goes on from its checkpoint of {content['written']}, after {content['seconds']:.0f} s"
            )

    def _choose_file(self, job: Job[Any]) -> None:
        """Choose the file of this run in the folder, and read what a crash has left there."""
        for old in self.path.glob("*.checkpoint*"):
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > _FORGOTTEN_S:
                    old.unlink()
        digest = zlib.crc32(json.dumps(self._identity, sort_keys=True).encode())
        self.path = self.path / f"{job.task}-{job.checksum[:12]}-{digest:08x}.checkpoint"
        self.is_private = True
        with contextlib.suppress(InputError):
            self._loaded = self._read() if self.path.exists() else None

    def load(self, job: Job[Any]) -> Saved:
        """Return what the run goes on from: nothing if it starts from the beginning.

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
        """Begin to count the time to the next checkpoint."""
        self._due = time.monotonic() + self.interval_s

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return self.interval_s > 0 and time.monotonic() >= self._due

    def write(self, saved: Saved) -> None:
        """Replace the file in one step; a failure is a warning."""
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        began = time.monotonic()
        new = self.path.with_name(f"{self.path.name}.new")
        arrays: dict[str, Bytes] = {}
        content = {**self._identity, "written": time.strftime("%Y-%m-%d %H:%M"), "seconds": saved.seconds}
        try:
            text = json.dumps({**content, "run": pack(saved, arrays)})
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file(arrays, new, {"format": _FORMAT, "run": text, "crc32": str(_checksum(text, arrays))})
            replace_synced(new, self.path)
        except (OSError, SafetensorError, TypeError) as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            reason = error.strerror if isinstance(error, OSError) else one_line(str(error))
            note = f"a checkpoint could not be written to {self.path.parent} ({reason})"
            self.notes += [note] if note not in self.notes else []
        now = time.monotonic()
        self._due = now + max(self.interval_s, (now - began) / _MOST_TIME)

    def remove(self) -> None:
        """Remove the file, and what a crash has left of the one that was being written."""
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
            raise self._refused("it is damaged, or no checkpoint")
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
            f"The run cannot go on from the checkpoint {self.path}: {reason}; leave out {{field}} to start from the "
            "beginning",
            "resume",
        )


def _settings(model: BaseModel, prefix: str = "") -> dict[str, object]:
    """Return the settings that decide a result by their keys; names of files do not, but what is in them."""
    settings: dict[str, object] = {}
    for name, described in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            settings |= _settings(value, f"{prefix}{name}.")
        elif prefix + name not in _FREE and not is_file(described, value):
            settings[prefix + name] = value
    # as they are read back
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
