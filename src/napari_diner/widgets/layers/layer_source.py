"""Comparison of a layer with its file."""

from __future__ import annotations

import numpy as np
from napari.layers import Image

from napari_diner.errors import DinerError
from napari_diner.io.signals import probe_signal, read_signal
from napari_diner.tasks.stored_array import same
from napari_diner.widgets.layers.layer_metadata import source_of
from napari_diner.widgets.layers.layer_part import data_of

MOST_BYTES = 2**28
"""Largest file in bytes to read again while the user waits; of larger ones, only headers are compared."""


def comes_from_file(layer: Image) -> bool:
    """Return whether a layer has the same data as its file, apart from axes of length one.

    A run checks it in its thread, whatever the size.
    """
    source, data = source_of(layer), data_of(layer)
    if source is None:
        return False
    try:
        info = probe_signal(source)
        # colours with opacity are read without it if all pixels are opaque
        if _long(data.shape) not in (_long(info.shape), _long((*info.shape[:-1], 3))):
            return False
        if info.nbytes > MOST_BYTES or not isinstance(data, np.ndarray):
            return True
        return same(np.squeeze(read_signal(info)), np.squeeze(data))
    except DinerError:
        return False


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)
