"""Memory of a fit. Does not import torch."""

from __future__ import annotations

import math

from napari_diner.io.arrays import DType
from napari_diner.representations.memory import FEWER_SAMPLES, memory_of, stored_bytes
from napari_diner.representations.registry import representation
from napari_diner.tasks.fit.recipe import CHANNEL_AXES, FitRecipe
from napari_diner.tasks.fit.width import widest
from napari_diner.tasks.memory import MemoryPlan

# bytes for each number: value of the sample, output, error, and returned image
_NUMBER = 24.0
# and with corrections: their codes, twice, and the corrected output
_CORRECTED = 14.0


def plan(recipe: FitRecipe, shape: tuple[int, ...], axes: str, dtype: DType, nbytes: int = 0) -> MemoryPlan:
    """Return the planned memory of a fit.

    Parameters
    ----------
    recipe
        All settings.
    shape, axes, dtype
        Form of the data; axes without names count as axes of samples.
    nbytes
        Bytes for reading them; 0 if they are in memory already.
    """
    numbers = math.prod(shape)
    together = CHANNEL_AXES if recipe.channels == "joint" and not recipe.bit_exact else ""
    named = axes.ljust(len(shape), "?")
    samples = tuple(size for size, axis in zip(shape, named, strict=False) if axis not in together)
    channels = numbers // max(math.prod(samples), 1)
    if recipe.representation == "diner":
        recipe = recipe.updated({"diner": {"table_width": recipe.diner.table_width or widest(samples, channels)}})
        if recipe.training.unique and dtype.kind in "bui":
            # equal samples share a key
            samples = (min(math.prod(samples), 2 ** min(8 * dtype.itemsize * channels, 64)),)
        recipe = recipe.with_lattice(math.prod(samples), channels)
    number = _NUMBER if recipe.max_error is None else _NUMBER + _CORRECTED
    parts = {FEWER_SAMPLES: nbytes + number * numbers}
    entry = representation(recipe.representation)
    result = dtype.itemsize * numbers + stored_bytes(entry, samples, channels, recipe)
    # pixels are the values themselves, and are not trained
    for words, size in () if entry.name == "pixels" else memory_of(entry, samples, channels, recipe).items():
        parts[words] = parts.get(words, 0.0) + size
    return MemoryPlan(f"A fit to {'×'.join(map(str, shape))} numbers", parts, result=result)
