"""The protocol of solvers, and their time budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from napari_diner.solvers.step import Step

Answer = TypeVar("Answer", covariant=True)


class Solver(Protocol[Answer]):
    """Anything that approaches an answer step by step: an argmin, a calibration, the choice of a weight.

    The owner iterates `steps`, and may stop iterating at any time. `result` and `current` may be called between any two
    steps and do not disturb them.
    """

    def steps(self) -> Iterator[Step]:
        """Iterate; the iterator ends when the solver has converged or done all of its iterations."""

    def result(self) -> Answer:
        """Return the best answer so far."""

    def current(self) -> Answer:
        """Return the current answer by the fastest method, for a preview."""


@runtime_checkable
class HasState(Protocol):
    """A part of a solver that can be restored to an earlier state, such as an `Unknown`."""

    def state(self) -> Mapping[str, object]:
        """Return the state."""

    def restore(self, state: Mapping[str, object], /) -> None:
        """Restore a state."""


class Resumable:
    """A solver that can be restored to an earlier state, also in another process.

    States are taken after steps that are `Step.resumable`, and at the end of the solver. Values are numbers,
    texts, arrays, tensors, data classes, and lists, tuples and mappings of those. They are not copied: a state is valid
    until the next step.

    Examples
    --------
    >>> other = GaussNewton(problem, start, settings)
    >>> other.restore(solver.state())
    """

    kept: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that form the state; resumable attributes contribute their own states."""
    answer: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that `result` needs after the end of the solver."""

    def state(self, *, ended: bool = False) -> Mapping[str, object]:
        """Return the state, limited to the needs of `result` if the solver has ended."""
        values = {name: getattr(self, name) for name in (self.answer if ended else self.kept)}
        for name, value in values.items():
            if isinstance(value, HasState):
                values[name] = value.state(ended=ended) if isinstance(value, Resumable) else value.state()
        return values

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore a state of a solver with the same arguments; `steps` continues from there."""
        for name, value in state.items():
            present = getattr(self, name)
            if isinstance(present, HasState) and isinstance(value, Mapping):
                present.restore(value)
            else:
                setattr(self, name, value)


class Immediate(Generic[Answer]):
    """A solver with a fixed answer that takes no steps.

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
    """The time budget of a solver, on the clock of its run (which stops while the run is paused)."""

    elapsed: Callable[[], float] = time.perf_counter
    """The clock, in seconds."""
    ends_at: float | None = None
    """Its reading at the deadline; None for no limit."""

    @property
    def left_s(self) -> float | None:
        """Seconds left, at least zero; None for no limit."""
        return None if self.ends_at is None else max(self.ends_at - self.elapsed(), 0.0)

    @property
    def is_spent(self) -> bool:
        """Whether the deadline has passed."""
        return self.ends_at is not None and self.elapsed() >= self.ends_at
