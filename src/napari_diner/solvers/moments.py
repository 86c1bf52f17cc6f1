"""The state of Adam for one parameter, for steps that are taken outside the optimiser."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_diner.representations.interpolation import Moments


def next_moments(optimizer: torch.optim.Adam, parameter: Tensor) -> Moments:
    """Return the moments of a parameter for its next step, which is counted; they start at zero as in torch.

    The optimiser itself skips parameters without gradient.
    """
    (group,) = optimizer.param_groups
    state = optimizer.state[parameter]
    if not state:
        state["step"] = torch.zeros(())
        state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
    state["step"] += 1
    return Moments(
        state["exp_avg"], state["exp_avg_sq"], int(state["step"]), float(group["lr"]), group["betas"], group["eps"]
    )
