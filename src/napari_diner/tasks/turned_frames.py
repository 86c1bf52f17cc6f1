"""Frames that are flipped, turned or displaced against what the other frames let expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import fft

from napari_diner.preprocess.soundness import numbered
from napari_diner.tasks.unexplained import Unexplained
from napari_diner.tasks.worst_frames import Frames, Image, worst_frames

# side of the central part that is compared, and the most frames that are looked at
_MOST_PX, _MOST = 512, 6
# Correlation with the expected frame, turned or displaced; how much higher it is than that without a turn, which is the
# highest in sound frames; and what a displacement leaves of the rest to one, as other errors also displace detail.
_ALIKE, _HIGHER, _LEFT = 0.7, 0.12, 0.4
# least and largest displacement, in pixels, the latter as a part of the side
_NEAREST, _FARTHEST = 1.0, 0.25
_TURNS: dict[str, Callable[[Image], Image]] = {
    "upside down": lambda image: image[::-1],
    "flipped left to right": lambda image: image[:, ::-1],
    "turned by 180°": lambda image: image[::-1, ::-1],
    "transposed, rows for columns,": lambda image: image.T,
    "turned by 90°": lambda image: np.rot90(image),
    "turned by −90°": lambda image: np.rot90(image, -1),
    "transposed and turned by 180°": lambda image: image[::-1, ::-1].T,
}


class Turned(NamedTuple):
    """A frame that fits if it is turned or moved."""

    frame: int
    """Number of the frame, from zero."""
    how: str
    """What was done to it, such as ``"upside down"``; empty if it is displaced."""
    moved_px: tuple[int, int] = (0, 0)
    """Its displacement (down, right)."""


def turned_frames(residual: Frames, trivial: Frames, unexplained: Unexplained) -> list[Turned]:
    """Return frames that are much more like their prediction if that is flipped, turned or displaced.

    A wrong frame also bends its prediction, as a part of it is explained by the object, and that of frames that are
    like it. What counts is therefore the correlation, and only for frames that are explained worst.

    Parameters
    ----------
    residual, trivial
        Residuals, (N, Y, X), of the result and of a trivial answer, model minus data.
    unexplained
        What they say about each frame.
    """
    worst = worst_frames(residual, trivial, unexplained, _MOST, _MOST_PX)
    return sorted(turned for turned in (_turned(*frame) for frame in worst) if turned is not None)


def warnings_of_turns(turned: Sequence[Turned]) -> list[str]:
    """Return warnings that name turned and displaced frames.

    Parameters
    ----------
    turned
        As returned by `turned_frames`.
    """
    texts = []
    for how in dict.fromkeys(one.how for one in turned if one.how):
        numbers = [one.frame for one in turned if one.how == how]
        are, them = ("is", "it") if len(numbers) == 1 else ("are", "them")
        texts.append(
            f"{numbered(numbers)} {are} {how} against what the other frames let expect; save all frames alike, or "
            f"leave {them} out (leave_out)"
        )
    for one in turned:
        if not one.how:
            ways = zip(one.moved_px, ("up", "left"), ("down", "right"), strict=True)
            by = [f"{abs(size)} {less if size < 0 else more}" for size, less, more in ways if size]
            by[0] = by[0].replace(" ", " pixels " if abs(max(one.moved_px, key=abs)) > 1 else " pixel ", 1)
            texts.append(
                f"frame {one.frame + 1} is displaced by about {' and '.join(by)} against what the other frames "
                "let expect; align the frames, or leave it out (leave_out)"
            )
    return texts


def _turned(number: int, seen: Image, expected: Image) -> Turned | None:
    seen, expected = (image - image.mean() for image in (seen, expected))
    norm = float(np.linalg.norm(seen) * np.linalg.norm(expected)) or 1.0
    as_given = float((seen * expected).sum()) / norm
    ways = {}
    for how, turn in _TURNS.items():
        other = turn(expected)
        if other.shape == seen.shape:
            ways[how] = float((seen * other).sum()) / norm
    best, how = max((value, how) for how, value in ways.items())
    # periodic, which hardly matters at small displacements
    matches = fft.irfft2(fft.rfft2(seen) * fft.rfft2(expected).conj(), seen.shape) / norm
    rows, columns = (fft.fftfreq(size, 1 / size) for size in seen.shape)
    distance = np.hypot(rows[:, None], columns)
    matches[(distance < _NEAREST) | (distance > _FARTHEST * min(seen.shape))] = -1
    peak = np.unravel_index(int(matches.argmax()), matches.shape)
    moved = float(matches[peak])
    if best > max(_ALIKE, as_given + _HIGHER, moved):
        return Turned(number, how)
    if moved < _ALIKE or 1 - moved > _LEFT * (1 - as_given):
        return None
    return Turned(number, "", (int(rows[peak[0]]), int(columns[peak[1]])))
