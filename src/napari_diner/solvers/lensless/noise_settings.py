"""Settings of the weighting of pixels by their noise in a recipe. Does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class NoiseSettings(Settings):
    """Weighting of pixels by their noise."""

    weighting: Literal["auto", "even", "found", "robust"] = Field(default="auto", title="Weighting")
    """Equal weights, weights by the shot and read noise estimated first, or outliers down-weighted too; or auto."""

    @property
    def looks(self) -> int:
        """Number of short reconstructions to estimate the noise."""
        return {"auto": 0, "even": 0, "found": 1, "robust": 2}[self.weighting]
