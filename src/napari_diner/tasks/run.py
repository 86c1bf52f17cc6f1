"""A reconstruction in progress: iterate it, ask it for the best result so far, close it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_diner.errors import DinerError, OutOfMemoryError
from napari_diner.io.arrays import NamedArray
from napari_diner.processors import Threads
from napari_diner.tasks.recipe import Recipe

_ESTIMATE_AFTER_S = 1.0


@dataclass(frozen=True)
class Progress:
    """Where a reconstruction stands.

    Parameters
    ----------
    stage
        What is being done, in a word or two, e.g. ``"gauss-newton"`` or ``"start: alternating"``.
    iteration, iterations
        Steps done in this stage, and the most that it will take.
    losses
        The current value of each quantity worth plotting, e.g. ``{"loss": 1e-4, "measurement_psnr_db": 40.1}``.
    elapsed_s, remaining_s
        Seconds of computing so far (pauses are not counted), and an estimate of those to come, or None.
    preview
        A few images of the current estimate, at most a few times a second; otherwise empty.
    contender
        In a comparison, whose step it was; otherwise empty.
    """

    stage: str
    iteration: int
    iterations: int
    losses: Mapping[str, float]
    elapsed_s: float
    remaining_s: float | None
    preview: tuple[NamedArray, ...] = ()
    contender: str = ""


@dataclass(frozen=True)
class Result:
    """What a reconstruction found, with all that is needed to trust and to repeat it.

    Parameters
    ----------
    task
        The task's name, e.g. ``"lensless"``.
    arrays
        The images found, e.g. amplitude, phase and residual.
    recipe
        The recipe with everything resolved.
    report
        Metrics, timings, versions, seed, device, checksum of the input: the content of ``report.json``.
    weights
        Parameters of the representation by name, for ``model.safetensors``.
    header
        What ``model.safetensors`` says of them besides the recipe.
    partial
        Whether the run was ended before it was done.
    """

    task: str
    arrays: tuple[NamedArray, ...]
    recipe: Recipe
    report: Mapping[str, Any]
    weights: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)
    partial: bool = False

    def __getitem__(self, name: str) -> NamedArray:
        """Return the array called `name`."""
        for array in self.arrays:
            if array.name == name:
                return array
        raise KeyError(name)


class Clock:
    """Counts the seconds between `start` and `stop`, over many such spans."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    def start(self) -> None:
        """Begin to count."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Stop counting; what was counted is kept."""
        self._total = self.seconds
        self._since = None

    @property
    def seconds(self) -> float:
        """Seconds counted so far."""
        return self._total + (time.perf_counter() - self._since if self._since is not None else 0.0)


class Reconstruction(ABC):
    """A run that its owner drives: the dock, the command line and the tests all iterate this same object.

    Iterate it for `Progress`; to pause, do not ask for the next; to cancel, stop asking. `result` gives the best so
    far at any time. Leave its ``with`` block and the device memory is free.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.finished = False
        self._steps: Generator[Progress, None, None] | None = None
        self._threads = Threads()

    @abstractmethod
    def _run(self) -> Generator[Progress, None, None]:
        """Do the work, yielding after each step."""

    @abstractmethod
    def _snapshot(self) -> Result:
        """Return the best result so far, marked partial unless `finished`."""

    @abstractmethod
    def _release(self) -> None:
        """Drop every reference to device memory."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Progress:
        if self._steps is None:
            self._steps = self._run()
        self._threads.share()
        shortage = False
        self.clock.start()
        try:
            return next(self._steps)
        except StopIteration:
            self.finished = True
            raise
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            shortage = True
        finally:
            self.clock.stop()
        # raised here, outside the handler, so that the traceback no longer holds the tensors that filled the memory
        assert shortage
        self.close()
        raise OutOfMemoryError(
            "The device ran out of memory; crop the stack, choose the solver 'alternating', or set device to cpu"
        )

    def result(self) -> Result:
        """Return the best result so far.

        Raises
        ------
        DinerError
            If nothing has been computed yet.
        """
        if self._steps is None:
            raise DinerError("There is no result yet; let the reconstruction take a step first")
        return self._snapshot()

    def close(self) -> None:
        """End the run and free its memory; `result` cannot be asked for after this."""
        if self._steps is not None:
            self._steps.close()
        self._threads.restore()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def remaining_s(done: float, spent_s: float, limit_s: float | None = None) -> float | None:
    """Estimate the seconds to come when a part `done` of the work took `spent_s`, and at most `limit_s` are left.

    None at first: the first moments hold what is done only once, and an estimate from them would frighten.
    """
    estimate = spent_s * (1 - done) / done if done > 0 and spent_s > _ESTIMATE_AFTER_S else None
    if limit_s is None:
        return estimate
    return max(limit_s, 0.0) if estimate is None else min(max(limit_s, 0.0), estimate)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception of torch or Python means that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
