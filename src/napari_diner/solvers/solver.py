"""The protocol that every solver follows, and the time that it may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from napari_diner.solvers.step import Step

Answer = TypeVar("Answer", covariant=True)


class Solver(Protocol[Answer]):
    """Anything that approaches an answer step by step: argmin of Eq. 4b, a calibration, the choice of a weight.

    The owner iterates `steps`, and may stop at any time: not asking for the next step is all that it takes. `result`
    and `current` may be called between any two steps and do not disturb them.
    """

    def steps(self) -> Iterator[Step]:
        """Do the work; the iterator is exhausted once the solver has converged or done all of its iterations."""

    def result(self) -> Answer:
        """Return the best answer so far."""

    def current(self) -> Answer:
        """Return the present answer by the fastest way, for a preview."""


@runtime_checkable
class HasState(Protocol):
    """A part of a solver that can go on from an earlier state of itself, such as an `Unknown`."""

    def state(self) -> Mapping[str, object]:
        """Return the state."""

    def restore(self, state: Mapping[str, object], /) -> None:
        """Take over a state."""


class Resumable:
    """A solver that can go on from an earlier state of itself, also in another process.

    A state is asked for after the steps that are `Step.resumable`, and once the solver has ended. Values are numbers,
    texts, arrays, tensors, data classes, and lists, tuples and mappings of those. They are not copied: a state is good
    until the next step.

    Examples
    --------
    >>> other = GaussNewton(problem, start, settings)
    >>> other.restore(solver.state())
    """

    kept: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that make up the state; those that are resumable themselves contribute theirs."""
    answer: ClassVar[tuple[str, ...]] = ()
    """Names of those that `result` needs once the solver has ended."""

    def state(self, *, ended: bool = False) -> Mapping[str, object]:
        """Return the state; only what `result` needs if the solver has ended."""
        values = {name: getattr(self, name) for name in (self.answer if ended else self.kept)}
        for name, value in values.items():
            if isinstance(value, HasState):
                values[name] = value.state(ended=ended) if isinstance(value, Resumable) else value.state()
        return values

    def restore(self, state: Mapping[str, object]) -> None:
        """Take over a state of a solver that was made with the same arguments; `steps` goes on from there."""
        for name, value in state.items():
            present = getattr(self, name)
            if isinstance(present, HasState) and isinstance(value, Mapping):
                present.restore(value)
            else:
                setattr(self, name, value)


class Immediate(Generic[Answer]):
    """A solver that has its answer from the start, and takes no steps.

    Parameters
    ----------
    answer
        The answer.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def steps(self) -> Iterator[Step]:
        """Take no steps."""
        return iter(())

    def result(self) -> Answer:
        """Return the answer."""
        return self._answer

    current = result


@dataclass(frozen=True)
class Budget:
    """The time that a solver may take, on the clock of its run (which stands still while the run is paused)."""

    elapsed: Callable[[], float] = time.perf_counter
    """The clock, in seconds."""
    ends_at: float | None = None
    """Its reading at which the time is up; None for no limit."""

    @classmethod
    def lasting(cls, seconds: float | None, elapsed: Callable[[], float] = time.perf_counter) -> Budget:
        """Return the budget that begins now and lasts so many seconds; None for no limit."""
        return cls(elapsed, None if seconds is None else elapsed() + seconds)

    @property
    def left_s(self) -> float | None:
        """Seconds left, at least zero; None for no limit."""
        return None if self.ends_at is None else max(self.ends_at - self.elapsed(), 0.0)

    @property
    def is_spent(self) -> bool:
        """Whether the time is up."""
        return self.ends_at is not None and self.elapsed() >= self.ends_at
