"""From tiles to one field: their free phases brought into line, and their edges blended."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.lensless.tile_plan import Tile, TilePlan

Field = npt.NDArray[np.complex64]

# pixels of an overlap that are compared
_COMPARED = 20_000
# weight of the coarse picture, pixel for pixel, against that of a neighbour
_COARSE_WEIGHT = 0.02
# holds what nothing else determines
_RIDGE = 1e-9


def align(plan: TilePlan, fields: Mapping[int, Field], coarse: Mapping[int, Field]) -> dict[int, Field]:
    """Turn the phases of tiles so that neighbours agree.

    Intensities leave a constant phase of each tile free, and hardly determine a slope of it. These three numbers a
    tile, θ = c + g_y y + g_x x, are those that make ``arg(O_i O_j*) = θ_i − θ_j`` hold best over all seams, weighted by
    the brightness, and with a little weight over the coarse picture, so that slopes do not add up across many tiles.

    Parameters
    ----------
    plan
        The tiles.
    fields
        Complex fields of the tiles that are done, by number, of the tiles' shapes.
    coarse
        The coarse picture at the same tiles.

    Returns
    -------
    dict[int, Field]
        The turned fields.
    """
    order = {number: place for place, number in enumerate(fields)}
    tiles = plan.tiles
    size = 3 * len(order)
    matrix, right = _RIDGE * np.eye(size), np.zeros(size)

    def add(weights: npt.NDArray[np.float64], difference: npt.NDArray[np.float64], *sides: tuple[int, Sides]) -> None:
        rows = np.zeros((len(difference), size))
        for sign, (number, y, x) in sides:
            place = 3 * order[number]
            rows[:, place : place + 3] = sign * np.stack([np.ones_like(y), y, x], 1)
        nonlocal matrix, right
        matrix = matrix + (weights[:, None] * rows).T @ rows
        right = right + (weights[:, None] * rows).T @ difference

    for number, field in fields.items():
        y, x, index = _grid(tiles[number])
        product = field[index] * coarse[number][index].conj()
        weights, difference = _turn(product.ravel())
        add(_COARSE_WEIGHT * weights, difference, (1, (number, y, x)))
    for first, second in plan.pairs():
        if first in fields and second in fields:
            for one, other in _shared(plan, tiles[first], tiles[second]):
                product = fields[first][one[2]] * fields[second][other[2]].conj()
                weights, difference = _turn(product.ravel())
                add(weights, difference, (1, (first, *one[:2])), (-1, (second, *other[:2])))
    turns = np.linalg.solve(matrix, right)
    turned = {}
    for number, field in fields.items():
        c, gy, gx = turns[3 * order[number] : 3 * order[number] + 3]
        y, x = _coordinates(tiles[number])
        turned[number] = (field * np.exp(-1j * (c + gy * y[:, None] + gx * x[None, :]))).astype(np.complex64)
    return turned


Sides = tuple[int, npt.NDArray[np.float64], npt.NDArray[np.float64]]
Place = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]


def blend(plan: TilePlan, fields: Mapping[int, Field], background: Field | None = None) -> Field:
    """Add up tiles, each with its window; where there is none, the field is that of `background`, (Y, X)."""
    whole = np.zeros(plan.shape, np.complex64)
    covered = np.zeros(plan.shape, np.float32)
    for number, field in fields.items():
        tile = plan.tiles[number]
        rows, columns = (span.window(plan.seam_px) for span in (tile.rows, tile.columns))
        window = rows[:, None] * columns[None, :]
        where = np.ix_(tile.rows.pixels(plan.shape[0]), tile.columns.pixels(plan.shape[1]))
        whole[where] += window * field
        covered[where] += window
    if background is not None and len(fields) < len(plan.tiles):
        whole += (1 - covered) * background
    return whole


def seam_differences(plan: TilePlan, fields: Mapping[int, Field]) -> npt.NDArray[np.float64]:
    """Return the phase differences of neighbours over the seams that they share, in radians, one after the other."""
    tiles = plan.tiles
    found = [np.zeros(0)]
    for first, second in plan.pairs():
        if first in fields and second in fields:
            for one, other in _shared(plan, tiles[first], tiles[second]):
                found.append(np.angle(fields[first][one[2]] * fields[second][other[2]].conj()).ravel())
    return np.concatenate(found)


def _turn(product: npt.NDArray[np.complexfloating]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return weights and phases of products of two fields, cut where there is least."""
    mean = np.angle(product.sum())
    brightness = np.abs(product).astype(np.float64)
    phases = np.angle(product * np.exp(-1j * mean)) + mean
    # a phase far from the others is wrapped, or one of darkness
    near = np.abs(phases - mean) < 1.5
    return near * brightness / max(brightness.mean(), 1e-30), phases.astype(np.float64)


def _coordinates(tile: Tile) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return y and x within a tile, from about −1 to 1."""
    y, x = (2 * np.arange(span.size) / span.size - 1 for span in (tile.rows, tile.columns))
    return y, x


def _grid(tile: Tile) -> Place:
    """Return some places of a tile's inner part: y, x and index."""
    inner = tile.inner()
    area = (inner[0].stop - inner[0].start) * (inner[1].stop - inner[1].start)
    stride = max(1, int((area / _COMPARED) ** 0.5))
    return _place(tile, *(np.arange(part.start, part.stop, stride) for part in inner))


def _place(tile: Tile, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Place:
    y, x = _coordinates(tile)
    mesh = np.meshgrid(y[rows], x[columns], indexing="ij")
    return mesh[0].ravel(), mesh[1].ravel(), (rows[:, None], columns[None, :])


def _shared(plan: TilePlan, one: Tile, other: Tile) -> list[tuple[Place, Place]]:
    """Return the places at which the inner parts of two neighbours meet, several if they go round, as seen by each."""
    axes = []
    for a, b, length in zip((one.rows, one.columns), (other.rows, other.columns), plan.shape, strict=True):
        meetings = []
        for turn in (-length, 0, length) if plan.periodic else (0,):
            low, high = max(a.inner_start, b.inner_start + turn), min(a.inner_stop, b.inner_stop + turn)
            if high > low:
                meetings.append((np.arange(low, high), turn))
        axes.append(meetings)
    found = []
    for rows, row_turn in axes[0]:
        for columns, column_turn in axes[1]:
            stride = max(1, int((len(rows) * len(columns) / _COMPARED) ** 0.5))
            r, c = rows[::stride], columns[::stride]
            found.append(
                (
                    _place(one, r - one.rows.start, c - one.columns.start),
                    _place(other, r - row_turn - other.rows.start, c - column_turn - other.columns.start),
                )
            )
    return found
