"""Starting values: make a representation return the estimate of another solver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner, chunk_size
from napari_diner.representations.pixels import Pixels
from napari_diner.representations.unknown import Unknown, Values
from napari_diner.solvers.adam import AdamDescent
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.settings import AdamSettings
from napari_diner.solvers.solver import Budget, Resumable
from napari_diner.solvers.step import Step

# range of keys in which the first layer of each backbone varies slowly: a SIREN multiplies them by its frequency
_KEY_SPAN = {"siren": 0.1, "finer": 0.1, "mlp": 1.0}
_CHART_STEPS = 400
_CHART_SAMPLES = 2048
_KEY_STEPS = 8
# passes over all samples, and samples per step, for a network of coordinates
_EPOCHS = 60
_BATCH = 8192


class StartingValues(Resumable):
    """Makes the representations of an unknown return an estimate; a `Solver`.

    Pixels and tables represent it exactly, see `fit_values`; networks of coordinates are fitted to it by Adam.

    Parameters
    ----------
    unknown
        Changed in place.
    estimate
        The estimate.
    learning_rate
        Step size of Adam.
    generator
        Source of random keys and of the order of batches, on the CPU.
    budget
        Time for fitting networks.
    """

    answer = ("unknown",)

    def __init__(
        self,
        unknown: Unknown,
        estimate: Tensor,
        learning_rate: float,
        generator: torch.Generator,
        budget: Budget | None = None,
    ) -> None:
        self.unknown, self.estimate = unknown, estimate
        self.settings = AdamSettings(iterations=_EPOCHS, learning_rate=learning_rate, patience=None)
        self.generator, self.budget = generator, budget
        self._begun = 0

    @property
    def may_end(self) -> bool:
        """Whether each part has values: with an amplitude alone, the estimate would be lost."""
        return self._begun == len(self.unknown.parts)

    def steps(self) -> Iterator[Step]:
        """Fit one representation after the other; its misfit is no loss of the task, and is not reported."""
        count = len(self.unknown.parts)
        for number, (part, values) in enumerate(
            zip(self.unknown.parts, self.unknown.targets(self.estimate), strict=True), start=1
        ):
            self._begun = number
            if holds_values(part):
                fit_values(part, values, self.generator)
                yield Step(number, count)
                continue
            problem = ValueProblem(values.flatten(1).contiguous())
            size = min(_BATCH, max(256, problem.targets.shape[1] // 4))
            descent = AdamDescent(
                problem, Values(part), self.settings, self.budget, batch_size=size, generator=self.generator
            )
            for step in descent.steps():
                yield Step(number, count, within=step.done)

    def result(self) -> Unknown:
        """Return the unknown."""
        return self.unknown

    current = result


def holds_values(representation: Representation) -> bool:
    """Return whether a representation can represent any values exactly."""
    if isinstance(representation, Diner):
        return representation.settings.table_width >= representation.outputs
    return isinstance(representation, Pixels)


def fit_values(representation: Representation, values: Tensor, generator: torch.Generator | None = None) -> None:
    """Make a representation return the given values, to the precision of its numbers.

    Pixels store the values. For a DINER, a few hundred steps of Adam first train the network to be a chart that returns
    a value for a key whose leading coordinates are that value, rescaled to a box. Then each key k is moved by chord
    steps ``k ← k + c (y − f_θ(k))``, with the slope 1/c of the chart, until the network returns its value y
    exactly. At every step, the error falls by the chart's relative deviation from a straight line.

    Parameters
    ----------
    representation
        A `Diner` with keys at least as wide as its outputs, or `Pixels`; changed in place.
    values
        Target values, (outputs, *shape).
    generator
        Source of the random keys on which the chart is learnt, on the processor.

    Raises
    ------
    ValueError
        If the representation cannot hold arbitrary values, such as keys narrower than the outputs.
    """
    if isinstance(representation, Pixels):
        with torch.no_grad():
            representation.values.copy_(values)
        return
    if not isinstance(representation, Diner) or not holds_values(representation):
        raise ValueError("only pixels, and keys at least as wide as the outputs, can hold arbitrary values")
    colours = values.reshape(representation.outputs, -1).T.contiguous()
    low, high = colours.amin(0), colours.amax(0)
    centre, half = (low + high) / 2, (high - low) / 2
    # a constant image needs a box with differences above rounding errors
    half = half.maximum(1e-5 * centre.abs()).clamp_min(1e-12)
    _learn_chart(representation, centre, half, generator)
    _place_keys(representation, colours, centre, half)


def _learn_chart(diner: Diner, centre: Tensor, half: Tensor, generator: torch.Generator | None) -> None:
    """Train the network to be the chart, on keys drawn uniformly from a box slightly larger than that of the values."""
    optimizer = torch.optim.Adam(diner.backbone.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _CHART_STEPS)
    span, spare = _KEY_SPAN[diner.settings.backbone], diner.settings.table_width - diner.outputs
    for _ in range(_CHART_STEPS):
        place = (torch.rand(_CHART_SAMPLES, diner.outputs, generator=generator) * 2.4 - 1.2).to(centre.device)
        keys = nn.functional.pad(span * place, (0, spare))
        optimizer.zero_grad()
        loss = (diner.backbone(keys) - place).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    # trained in units of the values' range, so that offset and contrast do not matter; the linear
    # last layer then gets the range
    last = cast(nn.Linear, diner.backbone[-1])
    with torch.no_grad():
        last.weight.mul_(half[:, None])
        last.bias.mul_(half).add_(centre)


@torch.no_grad()
def _place_keys(diner: Diner, values: Tensor, centre: Tensor, half: Tensor) -> None:
    """Set the keys to their positions in the chart, then move them until the network returns the values."""
    outputs, span = diner.outputs, _KEY_SPAN[diner.settings.backbone]
    diner.hash_table.zero_()
    size = chunk_size(diner.hash_table)
    for keys, targets in zip(diner.hash_table.split(size), values.split(size), strict=True):
        keys[:, :outputs] = span * (targets - centre) / half
        for _ in range(_KEY_STEPS):
            keys[:, :outputs] += span * (targets - diner.backbone(keys)) / half
