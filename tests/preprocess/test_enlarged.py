"""Frames whose pixels are repeated."""

from __future__ import annotations

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.preprocess.enlarged import enlarged
from napari_diner.preprocess.odd_frames import odd_frames


@pytest.mark.parametrize(("rows", "columns", "first"), [(2, 2, 0), (3, 3, 0), (1, 2, 1), (4, 1, 0)])
def test_a_frame_that_was_binned_and_enlarged_is_named(rows: int, columns: int, first: int) -> None:
    frames = np.asarray(nd.sample("lensless", height_px=48, width_px=48, seed=3).data.data, np.float32)
    assert enlarged(frames) == []
    small = frames[2][::rows, ::columns]
    frames[2] = np.roll(np.repeat(np.repeat(small, rows, 0), columns, 1), first, 1)
    ((numbers, text),) = enlarged(frames)
    assert numbers == [2]
    assert text.startswith(f"frame 3 repeats each value in {max(rows, columns)} neighbouring pixels")
    assert 2 in odd_frames(frames).numbers
    # coarse steps of dark frames, all of which were enlarged
    assert enlarged(np.round(frames[[0, 1, 3]] * 3)) == []
    assert enlarged(np.repeat(np.repeat(frames, 2, 1), 2, 2)) == []
