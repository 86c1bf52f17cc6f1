"""Rough registration of frames that are propagated back to the object's plane separately."""

from __future__ import annotations

import numpy as np
import torch
from skimage.registration import phase_cross_correlation
from torch import Tensor

from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.solvers.calibration.frame_geometry import Vector
from napari_diner.solvers.lensless.problem import PhaseProblem

_UPSAMPLING = 100


def register(problem: PhaseProblem, pixel_size_um: float) -> Vector:
    """Return the displacement of each frame relative to the model and to the middle frame.

    The square root of each frame is propagated back to the object. The twin image, as the phase at the sensor is
    unknown, differs from frame to frame, while the sample is the same, so that the peak of the cross-correlation gives
    the shift (Guizar-Sicairos et al., Opt. Lett. 33, 156 (2008)).

    Parameters
    ----------
    problem
        The frames, and the model with the current distances and shifts.
    pixel_size_um
        Distance between neighbouring pixels.

    Returns
    -------
    Vector
        (dy, dx), down and to the right, (N, 2), in µm; their mean is zero.
    """
    model = problem.model
    assert isinstance(model, MultiHeight)
    amplitudes = problem.filled_amplitudes()
    window = _window(model.shape).to(amplitudes)
    images = []
    for frame in range(model.frames):
        back = torch.zeros(model.padding.padded_shape, dtype=model.dtype, device=model.device)
        model.add_field_adjoint(back, model.whole(frame).mean_adjoint(amplitudes[frame]).to(model.dtype), frame)
        field = model.spectrum_adjoint(back)
        modulus = field.abs()
        images.append(((modulus / modulus.mean() - 1) * window).cpu().numpy())
    reference = images[model.frames // 2]
    shifts = np.zeros((model.frames, 2))
    for frame, image in enumerate(images):
        # scikit-image returns the shift that moves the image back onto the reference
        back, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
            reference, image, upsample_factor=_UPSAMPLING, normalization=None
        )
        shifts[frame] = -np.asarray(back)
    centred: Vector = (shifts - shifts.mean(0)) * pixel_size_um
    return centred


def _window(shape: tuple[int, int]) -> Tensor:
    """Return weights that fall to zero at the edges, which would favour a shift of zero: (Y, X)."""
    rows, columns = (torch.hann_window(size, periodic=False, dtype=torch.float64) for size in shape)
    return rows[:, None] * columns[None, :]
