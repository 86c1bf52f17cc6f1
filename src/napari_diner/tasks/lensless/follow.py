"""What a recording of a series takes over from the object of the previous one."""

from __future__ import annotations

from torch import Tensor

from napari_diner.physics.lensless.contrast_transfer import contrast_power
from napari_diner.solvers.lensless.linearised import by_frequency
from napari_diner.solvers.lensless.problem import PhaseProblem

# response, relative to the strongest, of frequencies that are halved
_FLOOR = 1e-2


def determined(problem: PhaseProblem, field: Tensor) -> Tensor:
    """Return the part of an object that the recordings determine.

    Frequencies f are multiplied by ``R/(R + ε max R)`` with the response ``R = Σ_z |C_z|² + |S_z|²`` to log-amplitude
    and phase together. Frequencies beyond the limits of the transfer functions have none: no recording corrects their
    errors, which a moving sample would leave behind and which would add up from one recording to the next. Slow phase
    is kept, as it is close to the previous one, and closer than the closed form of strong objects.

    Parameters
    ----------
    problem
        The present recording.
    field
        The previous object O, complex, (Y, X).
    """
    power = contrast_power(problem.model)
    response = power.amplitude + power.phase
    padding = problem.model.padding
    half = padding.padded_shape[1] // 2 + 1
    gain = (response / (response + _FLOOR * response.max()))[:, :half]
    mean = field.mean()
    return mean + by_frequency(padding, [gain, gain])(field - mean)
