"""How the noise of a recording decides what each pixel counts, as it stands in a recipe. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_diner.settings import Settings


class NoiseSettings(Settings):
    """What pixels count, by their noise."""

    weighting: Literal["auto", "even", "found", "robust"] = Field(default="auto", title="Weighting")
    """All amplitudes alike, by the shot and read noise found in a first look, or outliers less too; auto decides."""

    @property
    def looks(self) -> int:
        """How often the frames are explained only to see their noise; none as long as nothing is decided."""
        return {"auto": 0, "even": 0, "found": 1, "robust": 2}[self.weighting]
