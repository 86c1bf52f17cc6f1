"""Distinct values of data, with their numbers of occurrences."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.fit.layout import Array

# a table of distinct values is worth its index only if it is this much shorter than the data
_WORTHWHILE = 0.5


def unique_samples(
    samples: Array,
) -> tuple[Array, npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.int64]] | None:
    """Find the distinct values of samples.

    Parameters
    ----------
    samples
        Values of any real type, (*shape, outputs).

    Returns
    -------
    values
        The distinct values, (U, outputs), in the type of `samples`.
    index
        For each sample its row in `values`, (*shape), in the smallest unsigned type that holds U − 1.
    counts
        How often each occurs, (U,).

    Or None if samples are rarely equal, or have so many numbers that a search for equal ones does not pay.
    """
    codes, width = _codes(samples)
    present: Array
    if codes is None:
        return None
    if width <= 3:
        # few codes can be counted directly, which is many times faster than sorting
        counts = np.bincount(codes.ravel(), minlength=1)
        present = np.flatnonzero(counts)
        counts = counts[present]
        if not _pays(len(present), codes.size):
            return None
        row = np.zeros(int(present[-1]) + 1, dtype=_index_type(len(present)))
        row[present] = np.arange(len(present))
        index = row[codes]
    else:
        present, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
        if not _pays(len(present), codes.size):
            return None
        index = inverse.astype(_index_type(len(present)))
    return _decoded(present, samples.shape[-1], samples.dtype), index.reshape(samples.shape[:-1]), counts


def _codes(samples: Array) -> tuple[Array | None, int]:
    """Return one unsigned number for the bytes of each sample, (*shape), and the number of bytes."""
    width = samples.dtype.itemsize * samples.shape[-1]
    if width > 8:
        return None, width
    kind = np.dtype(f"u{1 if width == 1 else 2 if width == 2 else 4 if width <= 4 else 8}").type
    parts = samples.view(np.dtype(f"u{samples.dtype.itemsize}"))
    codes: Array = np.zeros(samples.shape[:-1], dtype=kind)
    for channel in range(samples.shape[-1]):
        codes |= parts[..., channel].astype(kind) << kind(8 * samples.dtype.itemsize * channel)
    return codes, width


def _decoded(codes: Array, outputs: int, dtype: np.dtype[Any]) -> Array:
    """Return the values of codes, (U, outputs)."""
    parts = [codes >> codes.dtype.type(8 * dtype.itemsize * channel) for channel in range(outputs)]
    # narrowing keeps the lowest bits
    return np.stack([part.astype(f"u{dtype.itemsize}") for part in parts], -1).view(dtype)


def _pays(distinct: int, samples: int) -> bool:
    return distinct <= _WORTHWHILE * samples


def _index_type(count: int) -> npt.DTypeLike:
    return np.uint8 if count <= 1 << 8 else np.uint16 if count <= 1 << 16 else np.uint32
