"""Frames whose rows or columns do not fit each other: stripes, and halves of a frame recorded at different times."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array
from napari_diner.preprocess.soundness import numbered

Vector = npt.NDArray[np.float64]

_FEWEST_FRAMES, _FEWEST_LINES = 3, 32
"""Number of frames in which one can differ from most, and of lines that make its statistics certain."""
_VISIBLE = 0.01
"""Stripes that matter, relative to the mean of a frame."""
_STRONGER, _LONGER, _SIGMAS = 3.0, 2.5, 8.0
"""Power of stripes of a frame, and length over which they are the same, in those of most frames; this length scatters
with the number of lines."""
_MOSTLY = 0.5
"""The same length relative to lines that hold little but stripes."""
_TORN = 1.35
"""Difference of adjacent lines relative to that of next but one, in that of most frames, and of the other direction."""
_ANY_DETAIL = 1.1
"""The same difference, which is below 0.7 for detail that a camera resolves, and 1 for noise."""
_FRINGE_PX = 18.0
"""Length of stripes from which they are no fringes of small parts of a sample, which appear across the light only, nor
shadows of deep samples along it, which reach 15."""
_PARTS, _THROUGHOUT = 4, 0.45
"""Parts of lines, and power of stripes common to them from which they are no shadows, which a sample casts along the
light: −0.1 to 0.4 for these, and 0.57 to 1 for stripes."""


def uneven_lines(frames: Array, *, oblique: bool = False, named: Collection[int] = ()) -> list[tuple[list[int], str]]:
    """Return frames with stripes, or with odd and even lines that do not fit each other: numbers from zero, a warning.

    The second difference of lines is the same along them only where there are stripes. Adjacent lines differ more than
    those next but one only if they do not belong together, as after a displacement between the two halves of an
    interlaced frame. Either is compared with that of most frames, as samples may have lines, too.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    oblique
        Whether the light comes from another direction in each frame, along which its detail is finer.
    named
        Frames that are left out, as they have another fault that looks alike.
    """
    if len(frames) < _FEWEST_FRAMES or min(frames.shape[1:]) < _FEWEST_LINES:
        return []
    found: list[tuple[list[int], str]] = []
    striped: set[int] = set()
    for axis, name in ((0, "rows"), (1, "columns")):
        power, length = np.array([_stripes(frame, axis) for frame in frames]).T
        longer = max(_LONGER, 1 + _SIGMAS * (2 / frames.shape[1 + axis]) ** 0.5) * np.median(length)
        # stripes cannot be longer than the lines
        longer = min(longer, max(_MOSTLY * frames.shape[2 - axis], _TORN * float(np.median(length))))
        visible = max(_VISIBLE**2, _STRONGER * float(np.median(power)))
        odd = np.flatnonzero((power > visible) & (length > max(longer, _FRINGE_PX if oblique else 0.0)))
        if oblique:
            odd = np.array([number for number in odd if _common(frames[number], axis) > _THROUGHOUT], int)
        odd = odd[~np.isin(odd, [*named])]
        striped |= set(odd.tolist())
        if 0 < odd.size <= len(frames) // 2:
            text = (
                f"{numbered(odd)} {'has' if odd.size == 1 else 'have'} stripes along the {name}, unlike the others, as "
                "from the electronics of a camera or other light (leave_out drops frames)"
            )
            found.append((odd.tolist(), text))
    torn = np.array([[_torn(frame, axis) for axis in (0, 1)] for frame in frames]).T
    for own, other, name in ((*torn, "rows"), (*torn[::-1], "columns")):
        ratio = own / other
        odd = np.flatnonzero((own > _TORN * np.median(own)) & (ratio > _TORN * np.median(ratio)))
        odd = odd[~np.isin(odd, [*striped, *named]) & (own[odd] > (_ANY_DETAIL if oblique else 0.0))]
        if 0 < odd.size <= len(frames) // 2:
            text = (
                f"odd and even {name} of {numbered(odd)} do not fit each other, unlike in the others, as in an "
                "interlaced frame of a sample that moves (leave_out drops frames)"
            )
            found.append((odd.tolist(), text))
    return found


def _lines(frame: Array, axis: int) -> Vector:
    """Return the lines of a frame relative to its mean, (lines, pixels)."""
    values: Vector = frame.astype(np.float64)
    return (values if axis == 0 else values.T) / (float(values.mean()) or 1.0)


def _stripes(frame: Array, axis: int) -> tuple[float, float]:
    """Return the power of the means of lines in their second differences, and the pixels over which these are alike."""
    second = _second_differences(frame, axis)
    power = float(np.mean(second.mean(1) ** 2))
    return power, power * second.shape[1] / max(float(np.mean(second**2)), 1e-300)


def _common(frame: Array, axis: int) -> float:
    """Return the power of the means of lines that is common to parts of them, relative to all of it."""
    parts = np.array([part.mean(1) for part in np.array_split(_second_differences(frame, axis), _PARTS, axis=1)])
    own, both = float(np.mean(parts**2)), float(np.mean(parts.mean(0) ** 2))
    return (_PARTS * both - own) / ((_PARTS - 1) * max(both, 1e-300))


def _second_differences(frame: Array, axis: int) -> Vector:
    lines = _lines(frame, axis)
    second: Vector = lines[1:-1] - (lines[2:] + lines[:-2]) / 2
    return second


def _torn(frame: Array, axis: int) -> float:
    """Return the mean square difference of adjacent lines relative to that of those next but one."""
    lines = _lines(frame, axis)
    return float(np.mean((lines[1:] - lines[:-1]) ** 2) / max(float(np.mean((lines[2:] - lines[:-2]) ** 2)), 1e-300))
