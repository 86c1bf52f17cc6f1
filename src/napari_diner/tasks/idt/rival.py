"""The volume that a representation is compared with: its start, or that of the closed form."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from napari_diner.tasks.unexplained import Unexplained

CLOSED_FORM = "the closed form"
PREVIOUS = "the volume of the previous recording"
# share beyond noise from which it matters, and how much more a representation leaves: sound ones leave up to 1.6 times
# as much as voxels
_LEAST, _CLEARLY = 0.001, 2.0


@dataclass(frozen=True)
class Rival:
    """The volume before the descent of a representation."""

    volume: Tensor
    """Contrast, (2, Z, Y, X)."""
    is_multiply_scattering: bool
    """Whether it explains the data by multiple scattering."""
    source: str
    """What it is from: a solver, `CLOSED_FORM` or `PREVIOUS`."""


@dataclass(frozen=True)
class Comparison:
    """A representation and the volume before it, by the same frames."""

    solver: str
    """Name of the representation."""
    own: Unexplained
    """What it leaves unexplained."""
    rival: Unexplained
    """What the volume before it leaves unexplained."""
    source: str
    """What that is from, see `Rival`."""

    def warnings(self) -> list[str]:
        """Return a warning if the representation explains clearly less."""
        if self.own.share <= _CLEARLY * self.rival.share:
            return []
        role = self.source if self.source == CLOSED_FORM else "its start"
        return self.own.behind(self.rival, self.solver, self.source, "choose the solver voxels", role, _LEAST)
