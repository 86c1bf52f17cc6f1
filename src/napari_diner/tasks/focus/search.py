"""The search for the sharpest distance of a field, as a solver."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from torch import Tensor

from napari_diner.physics.optics import Optics
from napari_diner.preprocess.focus import Focus, search
from napari_diner.preprocess.settings import FocusSettings
from napari_diner.solvers.step import Step


class FocusSearch:
    """The search for the distance at which a field is sharpest; a `Solver`.

    Parameters
    ----------
    field
        Complex field, or amplitude, (Y, X).
    near_um, far_um
        Range of distances, as for parallel light.
    optics
        Light and pixels.
    settings
        Metric and first step.
    """

    def __init__(self, field: Tensor, near_um: float, far_um: float, optics: Optics, settings: FocusSettings) -> None:
        self._search = search(field, near_um, far_um, optics, settings.metric, settings.step_um)
        self._focus: Focus | None = None

    def steps(self) -> Iterator[Step]:
        """Try one distance after the other."""
        self._focus = yield from _as_steps(self._search)

    def result(self) -> Focus | None:
        """Return the peak of the sharpness; None until the search is done."""
        return self._focus

    current = result


def _as_steps(search: Generator[tuple[int, int], None, Focus]) -> Generator[Step, None, Focus]:
    while True:
        try:
            done, total = next(search)
        except StopIteration as end:
            focus: Focus = end.value
            return focus
        yield Step(done, total)
