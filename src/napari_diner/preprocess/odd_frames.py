"""Frames that are faulty in themselves, whatever their geometry: some, unlike the others, or all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array
from napari_diner.preprocess.doubled import doubled
from napari_diner.preprocess.enlarged import enlarged
from napari_diner.preprocess.rows import uneven_lines
from napari_diner.preprocess.seams import seams
from napari_diner.preprocess.soundness import only_noise

Mask = npt.NDArray[np.bool_]


class OddFrames(NamedTuple):
    """Faulty frames, and what is wrong with them."""

    numbers: tuple[int, ...] = ()
    """Numbers of those that are unlike the others, from zero, in ascending order."""
    warnings: tuple[str, ...] = ()
    """Sentences about them."""


def odd_frames(frames: Array, *, oblique: bool = False, valid: Mask | None = None) -> OddFrames:
    """Return the frames with stripes, repeated pixels, lines that do not fit each other, or of nothing but noise.

    What these show says nothing about distances, directions or displacements, so that these cannot be doubted because
    of such frames. Faults of all frames, such as seams and second images, are only told.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    oblique
        Whether the light comes from another direction in each frame.
    valid
        True at pixels that count, (N, Y, X), for faults of all frames; None if all do.
    """
    repeated = enlarged(frames)
    coarse = _all_of(numbers for numbers, _ in repeated)
    found = [*only_noise(frames), *uneven_lines(frames, oblique=oblique, named=coarse), *repeated]
    texts = [*(text for _, text in found), *seams(frames, valid), *doubled(frames, valid)]
    return OddFrames(_all_of(numbers for numbers, _ in found), tuple(texts))


def _all_of(groups: Iterable[Iterable[int]]) -> tuple[int, ...]:
    return tuple(sorted({number for group in groups for number in group}))
