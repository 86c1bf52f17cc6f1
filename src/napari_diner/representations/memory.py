"""Memory of the training of a representation, from its settings alone. Does not import torch.

Counted in float32: parameters with their gradient, the two moments of Adam and copies of the best and of the first;
and arrays stored by automatic differentiation for a chunk of points.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from napari_diner.representations.settings import (
    NetworkSettings,
    RadialSettings,
    RepresentationSettings,
    suitable_lattice,
    suitable_width,
)

if TYPE_CHECKING:
    from napari_diner.representations.registry import RepresentationEntry

Parts = Mapping[str, float]
"""Bytes by the cure that would lower them."""
Memory = Callable[[tuple[int, ...], int, RepresentationSettings], Parts]
"""Returns the bytes for the samples' shape, the outputs and the settings."""

FEWER_SAMPLES = "crop or bin the frames, or use a larger machine"
_LATTICE = "lower {field:diner.lattice_size}"
_WIDTH = "lower {field:network.hidden_features}"
_TABLE = "lower {field:hash_grid.log2_table_size}"
_RADIAL = "lower {field:decaf.hidden_features}"

_FLOAT = 4
# parameter, gradient, two moments; the first, the best and the current state
_COPIES = 7
# modules that PyTorch imports for an optimiser, or for some networks already
_OPTIMISER = 80e6
# samples of a network of coordinates that are evaluated at a time, of so many neurons, and the fewest of wider ones
_CHUNK, _CHUNK_FEATURES, _FEWEST = 16_384, 64, 1024


def memory_of(
    entry: RepresentationEntry, shape: tuple[int, ...], outputs: int, settings: RepresentationSettings
) -> Parts:
    """Return the bytes of a registered representation, or those of plain samples if it has no estimate."""
    parts = dict((pixels if entry.memory is None else entry.memory)(shape, outputs, settings))
    optimiser = 0.0 if "torch._dynamo" in sys.modules else _OPTIMISER
    return {**parts, FEWER_SAMPLES: parts.get(FEWER_SAMPLES, 0.0) + optimiser}


def stored_bytes(
    entry: RepresentationEntry, shape: tuple[int, ...], outputs: int, settings: RepresentationSettings
) -> float:
    """Return the bytes of the parameters in a file; those of networks are few compared with the samples."""
    if entry.memory in (diner, hash_grid):
        outputs = settings.diner.table_width or suitable_width(shape)
    elif entry.memory is not None:
        outputs = 0
    return _FLOAT * math.prod(shape) * outputs


def samples_at_once(features: int) -> int:
    """Return how many samples of a network of coordinates to evaluate at a time on a processor.

    The activations of a layer of `features` neurons then stay in the cache, and are no larger in wider ones.
    """
    return min(_CHUNK, max(_CHUNK * _CHUNK_FEATURES // features, _FEWEST))


def pixels(shape: tuple[int, ...], outputs: int, settings: RepresentationSettings) -> Parts:
    """Return the bytes of plain samples."""
    return {FEWER_SAMPLES: _FLOAT * _COPIES * math.prod(shape) * outputs}


def diner(shape: tuple[int, ...], outputs: int, settings: RepresentationSettings) -> Parts:
    """Return the bytes of a table of keys, and of the lattice on which its network is evaluated."""
    own, samples = settings.diner, math.prod(shape)
    width = own.table_width or suitable_width(shape)
    points = (own.lattice_size or suitable_lattice(width, samples, outputs)) ** width
    activations = points if own.evaluation == "lattice" else _CHUNK
    return {
        FEWER_SAMPLES: _FLOAT * samples * (_COPIES * width + 2 * outputs),
        _LATTICE: _FLOAT * activations * _per_point(own.hidden_layers, own.hidden_features, width, outputs),
    }


def network(shape: tuple[int, ...], outputs: int, settings: RepresentationSettings) -> Parts:
    """Return the bytes of a network of coordinates."""
    return _of_coordinates(shape, outputs, settings.network, len(shape))


def pe_mlp(shape: tuple[int, ...], outputs: int, settings: RepresentationSettings) -> Parts:
    """Return the bytes of a network of encoded coordinates."""
    return _of_coordinates(shape, outputs, settings.network, len(shape) * (1 + 2 * settings.encoding.frequencies))


def hash_grid(shape: tuple[int, ...], outputs: int, settings: RepresentationSettings) -> Parts:
    """Return the bytes of a hash grid: its tables, the corners of each sample's cells, and the network."""
    own, corners = settings.hash_grid, 2 ** len(shape)
    sizes = [math.prod(points) for points in own.resolutions(shape)]
    numbers = math.prod(shape) * (settings.diner.table_width or suitable_width(shape))
    if own.log2_table_size is not None:
        numbers = own.features * sum(min(size, 1 << own.log2_table_size) for size in sizes)
    # entries of 8 bytes, weights and features
    encoding = samples_at_once(settings.network.hidden_features) * len(sizes) * corners * (2 + 1 + own.features)
    return {
        **_of_coordinates(shape, outputs, settings.network, len(sizes) * own.features),
        _TABLE: _FLOAT * (_COPIES * numbers + encoding),
    }


def decaf(shape: tuple[int, ...], outputs: int, settings: RepresentationSettings) -> Parts:
    """Return the bytes of DeCAF's network."""
    own = settings.decaf
    waves = own.directions * own.lateral_frequencies + own.axial_frequencies
    parts = _of_coordinates(shape, outputs, own, 4 * waves)
    return {FEWER_SAMPLES: parts[FEWER_SAMPLES], _RADIAL: parts[_WIDTH]}


def _of_coordinates(
    shape: tuple[int, ...], outputs: int, size: NetworkSettings | RadialSettings, inputs: int
) -> dict[str, float]:
    layers, features = size.hidden_layers, size.hidden_features
    weights = _COPIES * (inputs + features * (layers - 1)) * features
    chunk = samples_at_once(features) * _per_point(layers, features, inputs, outputs)
    return {FEWER_SAMPLES: _FLOAT * math.prod(shape) * 3 * outputs, _WIDTH: _FLOAT * (weights + chunk)}


def _per_point(layers: int, features: int, inputs: int, outputs: int) -> int:
    """Return how many numbers are stored per point in the forward and backward pass of a network."""
    # before and after each activation, and their gradients
    return 2 * inputs + (2 * layers + 2) * features + 2 * outputs
