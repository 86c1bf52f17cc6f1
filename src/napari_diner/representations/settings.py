"""The settings of a DINER, as they stand in a recipe. Free of torch, so that a form can be shown without it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DinerSettings(BaseModel):
    """A table of learnable keys, one a pixel, and a small network that turns a key into a value (Xie et al., 2023)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    backbone: Literal["siren", "mlp"] = Field(default="siren", title="Backbone")
    """The network behind the table: sine activations (SIREN) or ReLU (MLP)."""
    table_width: int = Field(default=2, ge=1, le=3, title="Table width")
    """Numbers in each key: the dimension of the space in which the network arranges the values."""
    tables: Literal["separate", "shared"] = Field(default="separate", title="Tables")
    """One table and network for each quantity, as published, or one table with several outputs."""
    hidden_layers: int = Field(default=2, ge=1, le=8, title="Hidden layers")
    """Hidden layers of the network; the paper uses two."""
    hidden_features: int = Field(default=64, ge=4, le=1024, title="Neurons per layer")
    """Neurons in each hidden layer; the paper uses 64."""
    omega: float = Field(default=30.0, gt=0, le=1000, title="SIREN frequency")
    """Frequency factor of the sine activations (SIREN only)."""
    key_range: float = Field(default=1e-4, ge=0, le=1, title="Initial key range")
    """Keys start uniformly within plus or minus this; zero makes them all equal."""
    evaluation: Literal["lattice", "exact"] = Field(default="lattice", title="Evaluation")
    """Evaluate the network on a lattice and interpolate (many times faster), or at every key at every step."""
    lattice_size: int = Field(default=96, ge=8, le=4096, title="Lattice size")
    """Lattice points along each dimension of the key space."""
