"""Distinct values and their counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_diner.tasks.fit.unique import unique_samples


@pytest.mark.parametrize(
    ("dtype", "channels", "levels"),
    [
        (np.uint8, 1, 256),
        (np.uint8, 3, 5),
        (np.uint8, 4, 4),
        (np.int8, 2, 9),
        (np.uint16, 1, 300),
        (np.uint16, 3, 6),
        (np.int32, 2, 20),
        (np.float32, 1, 50),
        (np.float32, 2, 9),
        (np.float64, 1, 50),
    ],
)
def test_values_index_and_counts_are_the_data(dtype: Any, channels: int, levels: int) -> None:
    rng = np.random.default_rng(0)
    palette = np.sort(rng.integers(-100 if np.dtype(dtype).kind == "i" else 0, 120, levels)).astype(dtype)
    if np.dtype(dtype).kind == "f":
        palette /= 7
    samples = rng.choice(palette, (23, 57, channels))
    found = unique_samples(samples)
    assert found is not None
    values, index, counts = found
    assert values.dtype == dtype
    assert np.array_equal(values[index], samples)
    assert len(np.unique(values, axis=0)) == len(values) == len(counts)
    assert np.array_equal(counts, np.bincount(index.ravel()))
    assert index.dtype == (np.uint8 if len(values) <= 256 else np.uint16)


def test_channels_may_stand_anywhere_in_memory() -> None:
    stack = np.random.default_rng(0).integers(0, 4, (3, 20, 30)).astype(np.uint8)
    samples = np.moveaxis(stack, 0, -1)
    found = unique_samples(samples)
    assert found is not None
    assert np.array_equal(found[0][found[1]], samples)


def test_it_is_given_up_where_it_does_not_pay() -> None:
    rng = np.random.default_rng(0)
    assert unique_samples(rng.random((30, 30, 1), np.float32)) is None
    assert unique_samples(rng.integers(0, 2, (30, 30, 5)).astype(np.uint16)) is None  # ten bytes a sample
    assert unique_samples(rng.integers(0, 256, (30, 30, 3)).astype(np.uint8)) is None
