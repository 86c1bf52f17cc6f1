"""The settings of the representations, as they stand in a recipe. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings

Backbone = Literal["siren", "mlp", "finer"]


class NetworkSettings(Settings):
    """The size of a small network."""

    hidden_layers: int = Field(default=2, ge=1, le=16, title="Hidden layers")
    """Hidden layers of the network; the paper uses two, and four for video."""
    hidden_features: int = Field(default=64, ge=4, le=1024, title="Neurons per layer")
    """Neurons in each hidden layer; the paper uses 64."""
    omega: float = Field(default=30.0, gt=0, le=1000, title="SIREN frequency")
    """Frequency factor of the sine activations (SIREN and FINER only)."""


class EncodingSettings(Settings):
    """The positional encoding in front of a coordinate network (Mildenhall et al., ECCV 2020)."""

    frequencies: int = Field(default=10, ge=0, le=24, title="Frequencies")
    """Octaves of sines and cosines for each coordinate."""


class HashGridSettings(Settings):
    """The multi-resolution hash encoding of InstantNGP (Müller et al., ACM Trans. Graph. 2022)."""

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


class DinerSettings(Settings):
    """A table of learnable keys, one a pixel, and a small network that turns a key into a value (Xie et al., 2023)."""

    backbone: Backbone = Field(default="siren", title="Backbone")
    """The network behind the table: sine activations (SIREN), ReLU (MLP), or sines of variable period (FINER)."""
    table_width: int = Field(default=2, ge=1, le=3, title="Table width")
    """Numbers in each key: the dimension of the space in which the network arranges the values."""
    tables: Literal["separate", "shared"] = Field(default="separate", title="Tables")
    """One table and network for each quantity, as published, or one table with several outputs."""
    hidden_layers: int = Field(default=2, ge=1, le=16, title="Hidden layers")
    """Hidden layers of the network; the paper uses two."""
    hidden_features: int = Field(default=64, ge=4, le=1024, title="Neurons per layer")
    """Neurons in each hidden layer; the paper uses 64."""
    omega: float = Field(default=30.0, gt=0, le=1000, title="SIREN frequency")
    """Frequency factor of the sine activations (SIREN only)."""
    key_range: float = Field(default=1e-4, ge=0, le=1, title="Initial key range")
    """Keys start uniformly within plus or minus this; zero makes them all equal."""
    evaluation: Literal["lattice", "exact"] = Field(default="lattice", title="Evaluation")
    """Evaluate the network on a lattice and interpolate (many times faster), or at every key at every step."""
    lattice_size: int = Field(default=96, ge=8, le=16384, title="Lattice size")
    """Lattice points along each dimension of the key space."""
