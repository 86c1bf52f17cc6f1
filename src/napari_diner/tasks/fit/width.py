"""Numbers in each key of a DINER, and the network behind them, that suit the values and their channels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_diner.representations.settings import Backbone, suitable_width
from napari_diner.tasks.fit.layout import Array, Layout

MOST = 3
"""Numbers in a key at most."""
# boxes along each of three axes
_BOXES = 64
# boxes that hold this part of the values: with more of them than this, the folds of a surface lie too far apart to come
# within 45 dB of the values; see benchmarks/widths.py
_MOST_VALUES, _MOST_OF_A_SURFACE = 0.9, 6_000
_PART, _MOST_SAMPLES = 1 << 18, 1 << 22


def width_for(layout: Layout, data: Array) -> int:
    """Return how many numbers each key needs.

    A network maps keys of two numbers to a surface in the space of the channels, and a sample cannot come nearer to its
    values than the surface does. One or two channels need no more. Three or more get keys of three numbers if their
    values are spread over more than a surface, as those of noise, or if samples have three axes or more.

    Parameters
    ----------
    layout
        Arrangement and range of the data.
    data
        The data.
    """
    width = widest(layout.sample_shape, layout.outputs)
    if width < MOST or suitable_width(layout.sample_shape) == MOST:
        return width
    return MOST if filled_boxes(layout, data) > _MOST_OF_A_SURFACE else suitable_width(layout.sample_shape)


def backbone_for(width: int, outputs: int) -> Backbone:
    """Return the network that suits keys of so many numbers and samples of so many values.

    Where three numbers stand for three values, an MLP is nearly a linear map from one space to the other, in which each
    sample finds its place. On the surfaces that fewer numbers span, sines come closer to the values.
    """
    return "mlp" if width == outputs == MOST else "siren"


def widest(sample_shape: tuple[int, ...], outputs: int) -> int:
    """Return the most numbers that `width_for` gives to keys of data of this form."""
    usual = suitable_width(sample_shape)
    return MOST if outputs >= MOST and usual > 1 else min(usual, MOST - 1)


def filled_boxes(layout: Layout, data: Array) -> int:
    """Return how many of 64³ boxes over the range of the data hold nine tenths of the samples.

    At most some four million samples are counted. More than three channels are first projected onto their three
    principal components, and divided by the root of their number, as the error is.
    """
    samples = layout.to_samples(data).reshape(-1, layout.outputs)
    samples = samples[:: max(len(samples) // _MOST_SAMPLES, 1)]
    axes = _principal(layout, samples) * (MOST / layout.outputs) ** 0.5
    counts = np.zeros(_BOXES**3, np.int64)
    for start in range(0, len(samples), _PART):
        values = layout.normalised(samples[start : start + _PART]) @ axes + 0.5 * (1 - axes.sum(0))
        places = (values * _BOXES).clip(0, _BOXES - 1).astype(np.int64)
        box = (places[:, 0] * _BOXES + places[:, 1]) * _BOXES + places[:, 2]
        counts += np.bincount(box, minlength=len(counts))
    held = np.cumsum(np.sort(counts[counts > 0])[::-1])
    return int(np.searchsorted(held, _MOST_VALUES * len(samples))) + 1


def _principal(layout: Layout, samples: Array) -> npt.NDArray[np.float64]:
    """Return three orthogonal directions, (outputs, 3), along which samples, (n, outputs), vary most."""
    if layout.outputs == MOST:
        return np.eye(MOST)
    some = layout.normalised(samples[:: max(len(samples) // _PART, 1)])
    _, vectors = np.linalg.eigh(np.cov(some, rowvar=False))
    return np.asarray(vectors[:, -MOST:])
