"""A fit stored so that no value differs from the data by more than a stated error."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.errors import RecipeError
from napari_diner.representations.diner import Diner, chunk_size
from napari_diner.tasks.fit.coded import coded
from napari_diner.tasks.fit.layout import Array, Layout
from napari_diner.tasks.fit.model import Fitted, pack, rounded
from napari_diner.tasks.fit.stored import (
    CORRECTION_STEP,
    CORRECTIONS,
    INDEX,
    TABLE,
    corrected,
    unpacked_table,
)

# a network gives other last digits on other machines; part of the range by which its values may differ
_ROUNDING = 2e-6
# numbers of values to which the columns of a table are rounded, of which the one with the smallest file is taken, and
# samples to find it; with a single value the corrections hold all, as where the network saves less than its keys take
_LEVELS = (1, 4, 16, 64, 256, 2048, 65536)
_TRIED = 1 << 16

Outputs = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bounded:
    """A stored fit with corrections."""

    weights: dict[str, Array]
    """Arrays of the model file."""
    header: dict[str, str]
    """Entries of its header beside the layout."""
    outputs: Outputs
    """Outputs of the representation with their corrections, (n, outputs)."""
    levels: int | None
    """Values to which each column of the table is rounded; None without a table."""
    corrected: float
    """Part of the numbers that have a correction."""


def correction_step(layout: Layout, max_error: float) -> float:
    """Return the step of the corrections, in units of the outputs, with which no value is off by more than `max_error`.

    Corrections are multiples of a step q, so that a value is off by q/2 at most. Integers are rounded afterwards, so
    that whole errors M allow ``q/2 = M + 1/2``. Part of either is kept for the rounding of the network.

    Raises
    ------
    RecipeError
        If the error is below the rounding of the network, or allows all values to be equal.
    """
    dtype, largest = np.dtype(layout.dtype), max(abs(layout.low), abs(layout.high))
    if layout.peak and max_error >= layout.peak / 2:
        raise RecipeError(
            f"{{field}} of {max_error:g} is at least half the range of the data, {layout.peak:g}, so that one number "
            f"could replace them all; set it below {layout.peak / 2:.4g}",
            "max_error",
        )
    kept = _ROUNDING * layout.peak
    if dtype.kind == "f":
        kept += float(np.finfo(dtype).eps) * largest
        half = max_error - kept
    else:
        half = math.floor(max_error) + 0.5 - kept
    if half <= kept:
        least = f"{2 * kept:.2g}" if dtype.kind == "f" else f"{max(math.ceil(2 * kept - 0.5), 0)}"
        raise RecipeError(
            f"{{field}} of {max_error:g} is below what a network of single precision reproduces of these data; set it "
            f"to {least} or more",
            "max_error",
        )
    return 2 * half / (layout.peak or 1.0)


def bounded(fitted: Fitted, rows: Array, max_error: float) -> Bounded:
    """Return a fit as it is stored, with a correction for each number.

    A coarser table takes fewer bits and leaves larger corrections. The number of values to which it is rounded is
    the one for which both together are smallest in the middle of the data, unless the recipe has bits for it.

    Parameters
    ----------
    fitted
        The representation.
    rows
        The data by samples, (n, outputs), in their type.
    max_error
        The largest error of a value, in units of the data.

    Raises
    ------
    RecipeError
        See `correction_step`.
    """
    step, layout = correction_step(fitted.layout, max_error), fitted.layout
    representation = fitted.representation
    weights = pack(replace(fitted, recipe=fitted.recipe.updated({"stored_bits": 32})))
    if not isinstance(representation, Diner):
        with torch.no_grad():
            outputs = representation.exact().flatten(1).T.cpu().numpy()
        codes = _codes(layout, rows, outputs, step)
        weights[CORRECTIONS] = _smallest(codes).reshape(*layout.sample_shape, layout.outputs)
        return _stored(weights, [CORRECTIONS], outputs, codes, step, None)
    index = weights.pop(INDEX, None)
    if index is None:
        return _of_table(fitted, weights, rows, step)
    # equal values share a key and a correction, but the index of keys may take more than a correction for each sample
    ways = (_of_table(fitted, weights, rows, step, index, shares=shares) for shares in (True, False))
    return min(ways, key=lambda way: sum(array.nbytes for array in way.weights.values()))


def _of_table(
    fitted: Fitted,
    weights: dict[str, Array],
    rows: Array,
    step: float,
    index: Array | None = None,
    *,
    shares: bool = False,
) -> Bounded:
    """Return a DINER as it is stored; with an index of its keys, or with a key and a correction for each sample."""
    representation, layout, table = fitted.representation, fitted.layout, weights[TABLE]
    assert isinstance(representation, Diner)
    if fitted.recipe.stored_bits < 32:
        levels = 1 << fitted.recipe.stored_bits
    else:
        levels = _best(representation, table, layout, rows, step, None if shares else index)
    parts = weights | rounded(table, levels)
    keys = unpacked_table(parts)
    outputs = evaluated(representation, keys.reshape(-1, keys.shape[-1]))
    codes = _codes(layout, rows, outputs, step)
    parts[CORRECTIONS] = _smallest(codes)
    names = [CORRECTIONS, TABLE]
    if index is None:
        parts[CORRECTIONS] = parts[CORRECTIONS].reshape(*layout.sample_shape, layout.outputs)
    elif shares:
        names.append(INDEX)
        parts[INDEX] = index[..., None]
    else:
        parts |= {name: parts[name][index] for name in names}
    if levels == 1:
        network = [name for name in parts if name.startswith("backbone.")]
        parts |= _constant({name: parts[name] for name in network}, outputs[0])
        names += network
    return _stored(parts, names, outputs, codes, step, levels)


def _constant(network: dict[str, Array], outputs: npt.NDArray[np.float32]) -> dict[str, Array]:
    """Return the weights of a network with the same outputs for any key, which take no room in blocks."""
    last = max((name for name in network if name.endswith(".bias")), key=lambda name: int(name.split(".")[1]))
    return {name: outputs.copy() if name == last else np.zeros_like(weights) for name, weights in network.items()}


def _stored(
    weights: dict[str, Array],
    names: list[str],
    outputs: npt.NDArray[np.float32],
    codes: npt.NDArray[np.int32],
    step: float,
    levels: int | None,
) -> Bounded:
    stored, header = coded(weights, names)
    header[CORRECTION_STEP] = json.dumps(step)
    share = float(np.count_nonzero(codes)) / codes.size
    return Bounded(stored, header, corrected(outputs, codes, step), levels, share)


def _best(
    representation: Diner, table: Array, layout: Layout, rows: Array, step: float, index: Array | None = None
) -> int:
    """Return the number of values of a rounded table with the smallest file, judged in the middle of the data.

    With an index, each sample is stored with a key of its own.
    """
    shape = table.shape[:-1] if index is None else index.shape
    edges = (_TRIED,) if len(shape) == 1 else (*[1] * (len(shape) - 2), *[round(_TRIED**0.5)] * 2)
    box = tuple(
        slice((size - min(edge, size)) // 2, (size + min(edge, size)) // 2)
        for size, edge in zip(shape, edges, strict=True)
    )
    own: tuple[slice, ...] | Array = box if index is None else index[box]
    some = (rows.reshape(*shape, -1) if index is None else rows)[own]
    part = some.size / (math.prod(shape) * layout.outputs)
    # what the network takes of these samples
    network = 4 * sum(weights.numel() for weights in representation.backbone.parameters()) * part
    sizes = []
    for levels in _LEVELS:
        parts = rounded(table, levels)
        tried = {TABLE: parts[TABLE][own]}
        keys = unpacked_table(parts | tried)
        outputs = evaluated(representation, keys.reshape(-1, keys.shape[-1]))
        codes = _smallest(_codes(layout, some.reshape(len(outputs), -1), outputs, step))
        tried[CORRECTIONS] = codes.reshape(some.shape)
        size = sum(array.nbytes for array in coded(tried, list(tried))[0].values())
        sizes.append(size if levels == 1 else size + network)
    return _LEVELS[int(np.argmin(sizes))]


def evaluated(representation: Diner, keys: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the values at keys, (n, outputs)."""
    device = representation.hash_table.device
    size = chunk_size(representation.hash_table)
    values = np.empty((len(keys), representation.outputs), np.float32)
    with torch.no_grad():
        for start in range(0, len(keys), size):
            part = torch.from_numpy(keys[start : start + size]).to(device)
            values[start : start + size] = representation.backbone(part).cpu().numpy()
    return values


def _codes(layout: Layout, rows: Array, outputs: npt.NDArray[np.float32], step: float) -> npt.NDArray[np.int32]:
    """Return the corrections of outputs in steps, (n, outputs)."""
    codes = np.empty(outputs.shape, np.int32)
    limit = np.iinfo(np.int32).max
    for start in range(0, len(rows), _TRIED):
        part = slice(start, start + _TRIED)
        codes[part] = np.rint((layout.normalised(rows[part]) - outputs[part]) / step).clip(-limit, limit)
    return codes


def _smallest(codes: npt.NDArray[np.int32]) -> Array:
    """Return codes in the smallest type that holds them, negative ones as their complement."""
    largest = max(int(codes.max(initial=0)), -int(codes.min(initial=0)))
    kind: type[np.signedinteger] = np.int8 if largest < 2**7 else np.int16 if largest < 2**15 else np.int32
    return codes.astype(kind).view(np.dtype(kind).name.replace("int", "uint"))
