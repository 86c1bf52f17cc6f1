"""How the noise of a recording decides what each pixel counts, as it stands in a recipe. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class NoiseSettings(Settings):
    """What pixels count, by their noise."""

    weighting: Literal["even", "found", "robust"] = Field(default="even", title="Weighting")
    """All amplitudes alike (suits shot noise), by shot and read noise found in a first look, or outliers less too."""

    @property
    def looks(self) -> int:
        """How often the frames are explained only to see their noise."""
        return {"even": 0, "found": 1, "robust": 2}[self.weighting]
