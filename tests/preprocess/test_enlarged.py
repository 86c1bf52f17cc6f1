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
    assert enlarged(frames) == enlarged(np.repeat(np.repeat(frames, 2, 1), 2, 2)) == []
    small = frames[2][::rows, ::columns]
    frames[2] = np.roll(np.repeat(np.repeat(small, rows, 0), columns, 1), first, 1)
    ((numbers, text),) = enlarged(frames)
    assert numbers == [2]
    assert text.startswith(f"frame 3 repeats each value in {max(rows, columns)} neighbouring pixels")
    assert 2 in odd_frames(frames).numbers
    # as if the camera had been set to bin halfway
    half = frames.copy()
    half[3:] = np.repeat(np.repeat(frames[3:, ::2, ::2], 2, 1), 2, 2)
    ((numbers, text),) = enlarged(half)
    assert numbers == [*range(2, len(frames))] and text.startswith("frames 3, 4, 5 and")
    assert len(odd_frames(half).warnings) == 1
    # coarse steps of dark frames
    assert enlarged(np.round(frames[[0, 1, 3]] * 3)) == []
