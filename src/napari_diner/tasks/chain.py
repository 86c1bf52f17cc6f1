"""Several jobs of one kind as one run: each begins with what the previous one has found."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_diner.io.arrays import NamedArray
from napari_diner.solvers.solver import Budget, Solver
from napari_diner.solvers.step import Step
from napari_diner.tasks.job import Job, RunRecord, Stage, StageRecord


@dataclass(frozen=True)
class ChainState:
    """State of a chain between its stages."""

    number: int
    """Number of the current part, from zero."""
    inner: Any
    """State of the current part."""
    done: tuple[Any, ...] = ()
    """What is kept of the previous parts, see `Chain.kept`."""


class Chain(Job[ChainState]):
    """Parts, such as the recordings of a series or the tiles of a field, one after the other.

    Parameters
    ----------
    count
        Number of parts.
    first
        The job of the first part.
    """

    def __init__(self, count: int, first: Job[Any]) -> None:
        self.count = count
        self._present: tuple[int, Job[Any]] = 0, first
        self._entered: tuple[ChainState, ChainState] | None = None

    @abstractmethod
    def build(self, number: int) -> Job[Any]:
        """Return the job of a part."""

    @abstractmethod
    def following(self, number: int, previous: Any) -> Any:
        """Return the initial state of a part, given the final state of the previous one."""

    @abstractmethod
    def later_stages_of(self, number: int) -> Sequence[Stage[Any]]:
        """Return the stages of a part after the first one; their number is the same for all."""

    @abstractmethod
    def kept(self, state: ChainState) -> Any:
        """Return what is kept of a part when the next one begins."""

    @abstractmethod
    def prefix(self, number: int) -> str:
        """Return what the names of the stages of a part begin with."""

    def part(self, number: int) -> Job[Any]:
        """Return the job of a part; the last one is cached."""
        if self._present[0] != number:
            self._present = number, self.build(number)
        return self._present[1]

    def begin(self) -> ChainState:
        """Return the state before the first part."""
        return ChainState(0, self.part(0).begin())

    def stages(self) -> Sequence[Stage[ChainState]]:
        """Return the stages of all parts in turn; each part is prepared when its turn comes."""
        return self._stages

    @functools.cached_property
    def _stages(self) -> Sequence[Stage[ChainState]]:
        stages = [self._within(0, place, stage) for place, stage in enumerate(self.part(0).stages())]
        if self.count > 1:
            later = list(enumerate(self.later_stages_of(0)))
            stages += [self._within(number, place, stage) for number in range(1, self.count) for place, stage in later]
        return stages

    def _within(self, number: int, place: int, alike: Stage[Any]) -> Stage[ChainState]:
        """Return a stage of a part as one of the chain; `alike` is the corresponding stage of the first."""

        def own() -> Stage[Any]:
            return (self.later_stages_of(number) if number else self.part(number).stages())[place]

        def absorb(state: ChainState, answer: Any) -> ChainState:
            entered = self._enter(state, number)
            return replace(entered, inner=own().absorb(entered.inner, answer))

        def solver(state: ChainState, budget: Budget) -> Solver[Any] | None:
            entered = self._enter(state, number)
            return own().solver(entered.inner, budget)

        def show(state: ChainState, answer: Any) -> ChainState:
            entered, stage = self._enter(state, number), own()
            return replace(entered, inner=(stage.show or stage.absorb)(entered.inner, answer))

        def early(state: ChainState, solver: Any) -> ChainState:
            entered = self._enter(state, number)
            return replace(entered, inner=own().ended_early(entered.inner, solver))

        return Stage(
            f"{self.prefix(number)}{alike.name}",
            solver,
            absorb,
            share=(number + alike.share) / self.count,
            essential=alike.essential,
            may_end=alike.may_end,
            show=show,
            early=early,
            alike={0: 1, 1: self.count - 1}.get(number, 0),
            part=number,
        )

    def _enter(self, state: ChainState, number: int) -> ChainState:
        """Return the initial state of a part, given the final state of the previous one."""
        if state.number == number:
            return state
        if self._entered is None or self._entered[0] is not state:
            kept = (*state.done, self.kept(state))
            self._entered = state, ChainState(number, self.following(number, state.inner), kept)
        return self._entered[1]

    def preview(self, state: ChainState) -> tuple[NamedArray, ...]:
        """Return a preview of the current part."""
        return self.part(state.number).preview(state.inner)

    def losses(self, state: ChainState, step: Step) -> Mapping[str, float]:
        """Return the figures to plot for the current part."""
        if self._entered is not None and self._entered[0] is state:
            # the first stage of the next part is running: the job of the last one would have to be made again
            state = self._entered[1]
        return self.part(state.number).losses(state.inner, step)

    def records(self, record: RunRecord, number: int) -> list[StageRecord]:
        """Return the entries of the stages of a part, with their own names."""
        prefix = self.prefix(number)
        return [
            replace(stage, name=stage.name.removeprefix(prefix))
            for stage in record.stages
            if stage.name.startswith(prefix)
        ]
