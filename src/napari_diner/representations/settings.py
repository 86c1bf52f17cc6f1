"""Settings of the representations in recipes. Does not import torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from napari_diner.settings import Settings

Backbone = Literal["siren", "mlp", "finer"]


LATTICE_SIZES = {1: (64, 1024), 2: (32, 96), 3: (20, 40)}
"""Limits of the lattice points along each dimension by table width, for the default size."""
# number of keys that justify the cost of a lattice point, by table width
_KEYS_PER_POINT = {1: 6, 2: 6, 3: 40}
# keys of two numbers have many places for a single value, and find one where the network is smooth
_MOST_FOR_ONE_OUTPUT = 64


def suitable_width(shape: tuple[int, ...]) -> int:
    """Return the default numbers in each key: as many as the samples have axes, at most 3."""
    return min(max(sum(size > 1 for size in shape), 1), 3)


def suitable_lattice(width: int, keys: int, outputs: int) -> int:
    """Return the lattice points along each dimension for a number of keys, and of outputs of the network."""
    fewest, most = LATTICE_SIZES[width]
    if width == 2 and outputs == 1:
        most = _MOST_FOR_ONE_OUTPUT
    size: float = (keys / _KEYS_PER_POINT[width]) ** (1 / width)
    return min(max(round(size), fewest), most)


class NetworkSettings(Settings):
    """Size of a network of coordinates."""

    hidden_layers: int = Field(default=2, ge=1, le=16, title="Hidden layers")
    """Hidden layers of the network; the paper uses two, and four for video."""
    hidden_features: int = Field(default=64, ge=4, le=1024, title="Neurons per layer")
    """Neurons in each hidden layer; the paper uses 64."""
    omega: float = Field(default=30.0, gt=0, le=1000, title="SIREN frequency")
    """Frequency factor of the sine activations (SIREN and FINER only)."""


class EncodingSettings(Settings):
    """Positional encoding in front of a network of coordinates (Mildenhall et al., ECCV 2020)."""

    frequencies: int = Field(default=10, ge=0, le=24, title="Frequencies")
    """Octaves of sines and cosines for each coordinate."""


class HashGridSettings(Settings):
    """Multi-resolution hash encoding of InstantNGP (Müller et al., ACM Trans. Graph. 2022)."""

    levels: int = Field(default=16, ge=1, le=32, title="Levels")
    """Grids of growing resolution."""
    features: int = Field(default=2, ge=1, le=8, title="Features")
    """Learnable numbers at each grid point of each level."""
    log2_table_size: int | None = Field(default=None, ge=8, le=26, title="Table size (log2)")
    """Entries of each level's table, as a power of two; empty for as many numbers in all as DINER has (Sec. 5.1.3)."""
    base_resolution: int = Field(default=16, ge=2, le=1024, title="Coarsest grid")
    """Grid points along each axis of the coarsest level."""
    growth: float = Field(default=1.5, gt=1, le=4, title="Growth")
    """Factor between the resolutions of neighbouring levels."""

    def resolutions(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return the grid points along each axis of each level, no finer than the samples and each once."""
        sides = [int(self.base_resolution * self.growth**level) for level in range(self.levels)]
        return list(dict.fromkeys(tuple(min(points, size) for size in shape) for points in sides))


class RadialSettings(Settings):
    """The representation of DeCAF: a network of coordinates in radial and positional encoding (Liu et al., 2022)."""

    hidden_layers: int = Field(default=4, ge=1, le=32, title="Hidden layers")
    """Hidden layers of the network; DeCAF has ten, which takes hours on a CPU."""
    hidden_features: int = Field(default=64, ge=4, le=1024, title="Neurons per layer")
    """Neurons in each hidden layer; DeCAF has 208."""
    directions: int = Field(default=4, ge=1, le=64, title="Directions")
    """In-plane directions of the waves, evenly spaced over half a turn."""
    lateral_frequencies: int = Field(default=6, ge=1, le=24, title="Lateral frequencies")
    """Octaves of waves along each direction."""
    axial_frequencies: int = Field(default=5, ge=0, le=24, title="Axial frequencies")
    """Octaves of waves along z."""


class DinerSettings(Settings):
    """A table of learnable keys, one per sample, and a small network that maps a key to values (Xie et al., 2023)."""

    backbone: Literal["auto", "siren", "mlp", "finer"] = Field(default="auto", title="Backbone")
    """The network behind the table: sine activations (SIREN), ReLU (MLP), or sines of variable period (FINER); auto
    takes ReLU in fits whose keys have three numbers for three values, else sines."""
    table_width: int | None = Field(default=None, ge=1, le=3, title="Table width")
    """Numbers in each key, at most 3; by default as many as the data have axes, in a fit as many as the values need."""
    tables: Literal["separate", "shared"] = Field(default="separate", title="Tables")
    """A table and network for each quantity, as published, or one for all (lensless only)."""
    hidden_layers: int = Field(default=2, ge=1, le=16, title="Hidden layers")
    """Hidden layers of the network; the paper uses two."""
    hidden_features: int = Field(default=64, ge=4, le=1024, title="Neurons per layer")
    """Neurons in each hidden layer; the paper uses 64."""
    omega: float = Field(default=30.0, gt=0, le=1000, title="SIREN frequency")
    """Frequency factor of the sine activations (SIREN and FINER only)."""
    key_range: float = Field(default=1e-4, ge=0, le=1, title="Initial key range")
    """Keys start uniformly within plus or minus this; zero makes them all equal."""
    evaluation: Literal["lattice", "exact"] = Field(default="lattice", title="Evaluation")
    """Evaluate the network on a lattice and interpolate (many times faster), or at every key at every step."""
    lattice_size: int | None = Field(default=None, ge=8, le=16384, title="Lattice size")
    """Lattice points along each dimension of the key space; empty to choose them for the number of keys."""

    def complete(self, table_width: int, lattice_size: int) -> CompleteDinerSettings:
        """Return the settings with unset sizes replaced by these, and a SIREN for an open backbone."""
        chosen = {
            "backbone": "siren" if self.backbone == "auto" else self.backbone,
            "table_width": self.table_width or table_width,
            "lattice_size": self.lattice_size or lattice_size,
        }
        return CompleteDinerSettings.model_validate(self.model_dump() | chosen)


class CompleteDinerSettings(DinerSettings):
    """The settings of a DINER with all sizes resolved."""

    backbone: Backbone = Field(default="siren")
    """The network behind the table."""
    table_width: int = Field(default=2, ge=1, le=3)
    """Numbers in each key."""
    lattice_size: int = Field(default=96, ge=8, le=16384)
    """Lattice points along each dimension of the key space."""


class RepresentationSettings(Settings):
    """Sections of a recipe with the settings of representations."""

    diner: DinerSettings = Field(default_factory=DinerSettings, title="DINER")
    """Settings of the diner representation."""
    network: NetworkSettings = Field(default_factory=NetworkSettings, title="Network of coordinates")
    """Size of the siren, pe-mlp and hash-grid representations."""
    encoding: EncodingSettings = Field(default_factory=EncodingSettings, title="Positional encoding")
    """Settings of the pe-mlp representation."""
    hash_grid: HashGridSettings = Field(default_factory=HashGridSettings, title="Hash grid")
    """Settings of the hash-grid representation."""
    decaf: RadialSettings = Field(default_factory=RadialSettings, title="DeCAF")
    """Settings of the decaf representation."""
    extension: dict[str, dict[str, Any]] = Field(default_factory=dict, title="Extensions")
    """Settings of solvers and representations from other packages, by their names."""
