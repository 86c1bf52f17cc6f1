"""Preview of a fit in progress."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from napari_diner.io.arrays import NamedArray
from napari_diner.representations.diner import Diner
from napari_diner.representations.lattice import Lattice
from napari_diner.tasks.fit.layout import Layout
from napari_diner.tasks.fit.model import Fitted

_TABLE_PIXELS = 512
# a network of coordinates has to be evaluated at every pixel shown
_NETWORK_PIXELS = 256
# spread of the values shown, relative to that of the data, below which there is nothing to see yet
_FLAT = 0.1


@torch.no_grad()
def preview(fitted: Fitted, targets: Tensor) -> NamedArray | None:
    """Return the middle plane of the current representation, thinned out to a few hundred pixels a side.

    A DINER is read off its lattice. Axes are ``"YX"``, with ``"S"`` behind or ``"C"`` before them if a sample has
    several outputs. As long as the plane is a flat colour, although that of the data is not, there is no preview.

    Parameters
    ----------
    fitted
        The representation.
    targets
        The values to fit, (C, K).
    """
    representation, layout = fitted.representation, fitted.layout
    coarse = _TABLE_PIXELS if isinstance(representation, Diner) else _NETWORK_PIXELS
    rows, columns, stride = _plane(layout, coarse)
    flat = rows[:, None] + columns
    if fitted.index is not None:
        flat = fitted.index.reshape(-1)[flat]
    indices = torch.from_numpy(flat.reshape(-1).astype(np.int64))
    device = next(representation.parameters()).device
    if isinstance(representation, Diner):
        lattice = Lattice.covering(representation.hash_table, representation.settings.lattice_size)
        keys = representation.hash_table[indices.to(device)]
        outputs = lattice.read(lattice.evaluate(representation.backbone), keys).T
    else:
        outputs = representation.sample(indices.to(device))
    if _spread(outputs) < _FLAT * _spread(targets[:, indices.to(device)].T):
        return None
    samples = layout.to_values(outputs.cpu().numpy()).reshape(*flat.shape, layout.outputs)
    scale = [layout.scale_um[layout.axes.index(axis)] * stride for axis in "YX"]
    if layout.channel is None:
        return NamedArray("reconstruction", samples[..., 0], "YX", (scale[0], scale[1]))
    if layout.axes[layout.channel] == "S":
        return NamedArray("reconstruction", samples, "YXS", (scale[0], scale[1], 1.0))
    return NamedArray("reconstruction", np.moveaxis(samples, -1, 0), "CYX", (1.0, scale[0], scale[1]))


def _spread(values: Tensor) -> float:
    """Return the standard deviation of values (K, C) from the mean of their column."""
    return float((values - values.mean(0)).square().mean().sqrt())


def _plane(layout: Layout, limit: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the flat indices of the rows of the middle plane, those of its columns relative to it, and the stride."""
    shape, axes = layout.sample_shape, layout.sample_axes
    steps = np.cumprod((1, *shape[:0:-1]))[::-1]
    y, x = axes.index("Y"), axes.index("X")
    stride = -(-max(shape[y], shape[x]) // limit)
    origin = sum(int(steps[place]) * (size // 2) for place, size in enumerate(shape) if place not in (y, x))
    rows = origin + np.arange(0, shape[y], stride) * int(steps[y])
    return rows, np.arange(0, shape[x], stride) * int(steps[x]), stride
