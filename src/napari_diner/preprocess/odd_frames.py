"""Frames that are faulty in themselves, unlike the others, whatever their geometry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from napari_diner.io.arrays import Array
from napari_diner.preprocess.enlarged import enlarged
from napari_diner.preprocess.rows import uneven_lines
from napari_diner.preprocess.soundness import only_noise


class OddFrames(NamedTuple):
    """Faulty frames, and what is wrong with them."""

    numbers: tuple[int, ...] = ()
    """Numbers from zero, in ascending order."""
    warnings: tuple[str, ...] = ()
    """Sentences about them."""


def odd_frames(frames: Array, *, oblique: bool = False) -> OddFrames:
    """Return the frames with stripes, repeated pixels, lines that do not fit each other, or of nothing but noise.

    What they show says nothing about distances, directions or displacements, so that these cannot be doubted because
    of such frames.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    oblique
        Whether the light comes from another direction in each frame.
    """
    repeated = enlarged(frames)
    coarse = _all_of(numbers for numbers, _ in repeated)
    found = [*only_noise(frames), *uneven_lines(frames, oblique=oblique, named=coarse), *repeated]
    return OddFrames(_all_of(numbers for numbers, _ in found), tuple(text for _, text in found))


def _all_of(groups: Iterable[Iterable[int]]) -> tuple[int, ...]:
    return tuple(sorted({number for group in groups for number in group}))
