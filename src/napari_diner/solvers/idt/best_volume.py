"""The answer of iterative solvers for voxels."""

from __future__ import annotations

from torch import Tensor

from napari_diner.solvers.solver import Resumable


class BestVolume(Resumable):
    """A solver whose answer is the volume with the smallest loss so far."""

    _best: Tensor
    _best_loss: float

    @property
    def objective(self) -> float:
        """Loss of the best volume so far."""
        return self._best_loss

    def result(self) -> Tensor:
        """Return the best volume so far: real, (2, Z, Y, X), with the required signs."""
        return self._best

    current = result
