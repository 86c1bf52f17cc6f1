"""A clock that a test sets."""

from __future__ import annotations

from napari_diner.solvers.solver import Budget


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def budget(self, seconds: float) -> Budget:
        """Return a budget of some seconds on this clock."""
        return Budget(lambda: self.seconds, self.seconds + seconds)
