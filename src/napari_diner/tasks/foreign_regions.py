"""Regions of single frames that do not fit the others: a bubble, a hand in the light, a part of another recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.wording import digits

# number of cells along a side, the fewest pixels of one, and the fewest frames to identify an outlying one
_ACROSS, _FEWEST_PX, _FEWEST_FRAMES = 8, 6, 4
# quantile over the cells of a frame that is its usual residual, also if half of the frame is foreign
_USUAL = 0.4
# A cell is foreign with this many times the residual that is usual in its frame and at its place: good results reach 3,
# those of simplified models of recorded samples 13, and of cells that lie in another place in each frame and are cut
# by the edges 14 if 5 % is left unexplained, 24 if it is 11 or 23 %. It must exceed the worst cells of most frames so
# many times, too, as all frames are hard to explain with wrong settings. And the residual must be at least this part
# of the mean variation.
_FOREIGN, _PER_SHARE, _UNLIKE_MOST, _RELEVANT = 20.0, 10.0, 3.0, 0.1
# cells beside a foreign one that belong to it, in units of the usual residual
_BESIDE = 5.0
# least part of the variation of a frame outside its region, without which the whole frame is foreign
_OUTSIDE = 0.25
_NAMED = 3


@dataclass(frozen=True)
class Region:
    """A region of a frame with an outlying residual."""

    frame: int
    """Number of the frame, from zero."""
    rows: tuple[int, int]
    """First row and the one after the last."""
    columns: tuple[int, int]
    """First column and the one after the last."""
    excess: float
    """Residual relative to the usual one, for the worst of its cells."""

    def __str__(self) -> str:
        (top, bottom), (left, right) = self.rows, self.columns
        return f"frame {self.frame + 1} in rows {top + 1} to {bottom} and columns {left + 1} to {right}"


def foreign_regions(residual: npt.NDArray[np.floating], trivial: npt.NDArray[np.floating]) -> list[Region]:
    """Return regions of frames in which a result explains much less than elsewhere in the frame and in other frames.

    With the squares q of the residual in a cell, f the usual ones of its frame and p those of its place, the cell
    is compared with ``max(f, p, f p / q̃)``, where q̃ is the median of all cells: frames may be noisier than others, and
    places harder to explain.

    Parameters
    ----------
    residual, trivial
        Residuals, (N, Y, X), of the result and of a trivial answer, as for `Unexplained.of`.

    Returns
    -------
    list of Region
        At most one for each frame, the worst first.
    """
    count, *shape = residual.shape
    across = [min(_ACROSS, size // _FEWEST_PX) for size in shape]
    if count < _FEWEST_FRAMES or min(across) < 2:
        return []
    edges = [np.linspace(0, size, parts + 1).astype(int) for size, parts in zip(shape, across, strict=True)]
    squares = _squares(residual, edges)
    variation = _squares(trivial, edges)
    typical = float(variation.mean())
    of_frame = np.quantile(squares, _USUAL, axis=(1, 2), keepdims=True)
    of_place = np.median(squares, axis=0, keepdims=True)
    both = of_frame * of_place / max(float(np.median(squares)), 1e-300)
    usual = np.maximum(np.maximum(of_frame, of_place), np.maximum(both, 1e-12 * typical))
    excess = np.where(squares > _RELEVANT * typical, squares / np.maximum(usual, 1e-300), 0.0)
    worst = excess.max((1, 2))
    share = min(float(squares.mean()) / max(typical, 1e-300), 1.0)
    least = max(_FOREIGN * (1 + _PER_SHARE * share), _UNLIKE_MOST * float(np.median(worst)))
    regions = []
    for frame in np.flatnonzero(worst > least).tolist():
        around = excess[frame] > _BESIDE
        if variation[frame][~around].sum() < _OUTSIDE * variation[frame].sum():
            continue
        rows, columns = np.nonzero(around)
        regions.append(
            Region(
                frame,
                (int(edges[0][rows.min()]), int(edges[0][rows.max() + 1])),
                (int(edges[1][columns.min()]), int(edges[1][columns.max() + 1])),
                float(worst[frame]),
            )
        )
    return sorted(regions, key=lambda region: -region.excess)


def warnings_of_regions(regions: Sequence[Region], cure: str) -> list[str]:
    """Return a warning that names regions by frame and place.

    Parameters
    ----------
    regions
        The regions, the worst first.
    cure
        What removes them, e.g. ``"mask them"``.
    """
    if not regions:
        return []
    named = "; ".join(map(str, regions[:_NAMED]))
    if len(regions) > _NAMED:
        named += f"; and {len(regions) - _NAMED} more"
    return [
        f"some regions do not fit the other frames, as with dirt that moves or a part of another recording: {named}; "
        f"{digits(regions[0].excess)} times as much as usual is left unexplained there; {cure}"
    ]


def _squares(images: npt.NDArray[np.floating], edges: Sequence[npt.NDArray[np.int_]]) -> npt.NDArray[np.float64]:
    """Return the sums of squares over cells, (N, R, C), of images (N, Y, X)."""
    rows, columns = (places[:-1] for places in edges)
    sums: npt.NDArray[np.float64] = np.stack(
        [
            np.add.reduceat(np.add.reduceat(np.square(page, dtype=np.float64), rows, axis=0), columns, axis=1)
            for page in images
        ]
    )
    return sums
