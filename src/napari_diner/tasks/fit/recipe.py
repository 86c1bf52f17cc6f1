"""The recipe of fitting a representation to data that are known."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from napari_diner.representations.settings import (
    Backbone,
    DinerSettings,
    EncodingSettings,
    HashGridSettings,
    NetworkSettings,
)
from napari_diner.settings import Settings
from napari_diner.solvers.settings import TrainingSettings
from napari_diner.tasks.recipe import Recipe

Kind = Literal["diner", "siren", "pe-mlp", "hash-grid", "pixels"]
CHANNEL_AXES = "CS"
SAMPLE_AXES = "NTZYX"
LATTICE_SIZES = {1: (64, 1024), 2: (32, 96), 3: (24, 40)}
"""Fewest and most lattice points along each dimension for each table width, if the recipe does not tell."""
KEYS_PER_POINT = 6
"""Keys that make a lattice point worth its cost."""
LEARNING_RATES = {
    "diner-siren": 1e-3,
    "diner-finer": 7e-4,
    "diner-mlp": 5e-3,
    "siren": 2e-3,
    "pe-mlp": 5e-3,
    "hash-grid": 1e-2,
}
"""Step size of Adam for each representation over 3000 epochs, if the recipe does not tell; found by trying."""


def learning_rate_of(name: str, epochs: int) -> float:
    """Return the step size for a representation that the recipe does not tell; larger for a DINER with few epochs."""
    rate = LEARNING_RATES.get(name, 1e-3)
    return rate * min(max((3000 / epochs) ** 0.5, 1.0), 1.5) if name.startswith("diner") else rate


class TableSettings(Settings):
    """The table of learnable keys of a DINER, how it is evaluated and how it is stored."""

    key_range: float = Field(default=1e-4, ge=0, le=1, title="Initial key range")
    """Keys start uniformly within plus or minus this; zero makes them all equal."""
    evaluation: Literal["lattice", "exact"] = Field(default="lattice", title="Evaluation")
    """Evaluate the network on a lattice and interpolate (many times faster), or at every key at every step."""
    lattice_size: int | None = Field(default=None, ge=8, le=16384, title="Lattice size")
    """Lattice points along each dimension of the key space; empty for as many as suit the number of distinct values."""
    stored_bits: Literal[8, 16, 32] = Field(default=32, title="Stored bits")
    """Bits of each number of the table in the model file; fewer make it smaller and cost quality, as is reported."""


class FitRecipe(Recipe):
    """Everything that decides how a representation is fitted: Eq. 4b of the paper with P the identity."""

    task: Literal["fit"] = "fit"
    """Which task the recipe is for."""
    image: str | None = Field(default=None, title="Image")
    """TIFF or PNG file with an image, a stack, a volume or a video; or a folder or glob of frames."""
    axes: str = Field(default="", max_length=6, title="Axes")
    """Letters of the data's axes in order, such as YX, CYX, ZYX, TYXS; empty to take them from the file."""
    channels: Literal["joint", "separate"] = Field(default="joint", title="Channels")
    """One key for all channels (or colours) of a sample, as published, or a key for each."""
    pixel_size_um: float | None = Field(default=None, gt=0, le=1e6, title="Pixel size (µm)")
    """Distance between neighbouring pixels; taken from the file's metadata if left empty."""
    z_step_um: float | None = Field(default=None, gt=0, le=1e6, title="Slice spacing (µm)")
    """Distance between neighbouring slices; taken from the file's metadata if left empty."""

    representation: Kind = Field(default="diner", title="Representation")
    """DINER, or what it is compared with: SIREN, encoded coordinates (PE+MLP), a hash grid (InstantNGP), pixels."""
    backbone: Backbone = Field(default="siren", title="Backbone")
    """The network behind DINER's table: sine activations (SIREN), ReLU (MLP), or sines of variable period (FINER)."""
    table_width: int | None = Field(default=None, ge=1, le=3, title="Table width")
    """Numbers in each key of DINER; empty for as many as the data have axes, at most 3, as published."""
    epochs: int = Field(default=3000, ge=1, le=10_000_000, title="Epochs")
    """How often every sample is shown to the network."""
    learning_rate: float | None = Field(default=None, gt=0, le=10, title="Learning rate")
    """Step size of Adam at the start; empty for one that suits the representation."""
    bit_exact: bool = Field(default=False, title="Bit-exact")
    """Reproduce integers exactly, with a key for each channel of a sample (DINER only); takes seconds."""

    network: NetworkSettings = Field(default_factory=NetworkSettings, title="Network")
    """Size of the network."""
    table: TableSettings = Field(default_factory=TableSettings, title="Hash table")
    """Settings of the diner representation."""
    encoding: EncodingSettings = Field(default_factory=EncodingSettings, title="Positional encoding")
    """Settings of the pe-mlp representation."""
    hash_grid: HashGridSettings = Field(default_factory=HashGridSettings, title="Hash grid")
    """Settings of the hash-grid representation."""
    training: TrainingSettings = Field(default_factory=TrainingSettings, title="Training")
    """How the parameters are found."""

    @field_validator("axes")
    @classmethod
    def _known_axes(cls, axes: str) -> str:
        axes = axes.strip().upper()
        if axes:
            check_axes(axes)
        return axes

    @model_validator(mode="after")
    def _exact_is_diner(self) -> FitRecipe:
        if self.bit_exact and self.representation != "diner":
            raise ValueError("bit_exact is a mode of DINER; set representation to diner or bit_exact to false")
        if self.bit_exact and self.table.stored_bits != 32:
            raise ValueError("bit_exact needs its keys in full; set table.stored_bits to 32")
        return self

    @property
    def name(self) -> str:
        """The representation with its backbone, e.g. ``"diner-siren"``."""
        return f"diner-{self.backbone}" if self.representation == "diner" else self.representation

    def with_lattice(self, keys: int) -> FitRecipe:
        """Return the recipe with a size of the lattice that suits a number of keys, unless it has one."""
        if self.table.lattice_size is not None or self.table_width is None:
            return self
        fewest, most = LATTICE_SIZES[self.table_width]
        size = round((keys / KEYS_PER_POINT) ** (1 / self.table_width))
        return self.updated({"table": {"lattice_size": min(max(size, fewest), most)}})

    def diner_settings(self, width: int) -> DinerSettings:
        """Return the settings of the DINER whose keys have `width` numbers."""
        return DinerSettings(
            backbone=self.backbone,
            table_width=width,
            hidden_layers=self.network.hidden_layers,
            hidden_features=self.network.hidden_features,
            omega=self.network.omega,
            key_range=self.table.key_range,
            evaluation=self.table.evaluation,
            lattice_size=self.table.lattice_size or LATTICE_SIZES[width][1],
        )


def check_axes(axes: str) -> None:
    """Check that letters can be the axes of data: each known, once, Y and X last, colours (S) behind them.

    Raises
    ------
    ValueError
        If they cannot.
    """
    unknown = set(axes) - set(SAMPLE_AXES + CHANNEL_AXES)
    if unknown:
        raise ValueError(
            f"there is no axis {''.join(sorted(unknown))}; use the letters T, Z, C, Y, X, and S for colours"
        )
    if len(set(axes)) != len(axes) or not axes.removesuffix("S").endswith("YX") or "S" in axes[:-1]:
        raise ValueError("name each axis once, Y and X last and S (colours) behind them, as in ZYX, TCYX, YXS")
    if set(CHANNEL_AXES) <= set(axes):
        raise ValueError("there can be channels (C) or colours (S), not both")
