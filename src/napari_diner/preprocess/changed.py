"""Frames whose values are no longer the camera's: wrapped round, equalised, stretched, curved, rounded, compressed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.preprocess.blocks import compressed
from napari_diner.preprocess.equalised import equalised
from napari_diner.preprocess.few_levels import few_levels
from napari_diner.preprocess.soundness import numbered
from napari_diner.preprocess.stretched import stretched
from napari_diner.preprocess.tone_curve import tone_curve
from napari_diner.preprocess.wrapped import Wrapped, wrapped

CHANGED_CURE = "give frames whose values are not changed, see below"
"""What to do first if a result from such frames is doubtful."""
# part of the values, and of the range of their type, from which negative integers are no noise about zero
_NEGATIVE, _FAR = 0.2, 0.125


class Changed(NamedTuple):
    """What was done to frames."""

    warnings: tuple[str, ...] = ()
    """Sentences about it."""
    measures_light: bool = True
    """Whether the values are still proportional to the light, so that a result from them can be right."""


def changed(frames: Array) -> Changed:
    """Return what was done to the values of recorded frames, (N, Y, X), if it can be recognised.

    Raises
    ------
    InputError
        If they are unsigned numbers that were read as signed ones.
    """
    check_not_signed(frames)
    around = wrapped(frames)
    if around is not None and around.low < 0:
        raise InputError(f"The {sentence_of(around)}")
    # the worst first: values that wrapped round fill their range, too
    lost = [f"the {sentence_of(around)}"] if around is not None else equalised(frames) or stretched(frames)
    lost = lost or tone_curve(frames)
    return Changed((*(lost or few_levels(frames)), *compressed(frames)), not lost)


def check_not_signed(frames: Array) -> None:
    """Check that integers are not mostly far below zero, as those of bright frames that were read as signed ones.

    Raises
    ------
    InputError
        If they are.
    """
    if frames.dtype.kind != "i" or frames.dtype.itemsize > 2:
        return
    share, bits = float(np.mean(frames < 0)), 8 * frames.dtype.itemsize
    if share > _NEGATIVE and float(frames.min()) < -_FAR * 2**bits:
        raise InputError(
            f"{share:.0%} of the values of the frames are negative integers, down to {frames.min():,}, as unsigned "
            f"numbers of {bits} bits that were read as signed ones; read them as unsigned, which adds {2**bits:,} to "
            "the negative ones"
        )


def sentence_of(around: Wrapped, what: str = "") -> str:
    """Return what is to be said about values that wrapped round.

    Parameters
    ----------
    around
        The range, and the frames.
    what
        Name of the data; the frames with such values if empty.
    """
    bits = round(around.high - around.low + 1).bit_length() - 1
    ends = f"{around.low:,g} and {around.high:,g}"
    jump = f"values of {what or numbered(around.frames)} jump between {ends} from pixel to pixel"
    if around.low < 0:
        return (
            f"{jump}, as unsigned numbers of {bits} bits do that were read as signed ones; read them as unsigned, "
            f"which adds {2**bits:,} to the negative ones"
        )
    return (
        f"{jump}, as numbers do that wrapped round at the end of their range, such as a sum or difference of images in "
        f"{bits} bits; compute it with more bits"
    )
