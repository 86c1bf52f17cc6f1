"""The recipe of autofocus of a lensless recording."""

from __future__ import annotations

from typing import Literal

from napari_diner.errors import RecipeError
from napari_diner.preprocess.settings import FocusSettings
from napari_diner.tasks.lensless.recipe import LenslessRecipe, RecordingRecipe


class FocusRecipe(FocusSettings, RecordingRecipe):
    """Settings of the search for distances.

    It covers a range about the distances of the recording, or from `near_um` to `far_um`.
    """

    task: Literal["focus"] = "focus"
    """Name of the task."""

    @property
    def needs_distances(self) -> bool:
        """Whether to take distances from the names of files: not if there is a range to search."""
        return not self.distances_um and self.near_um is None

    def check_complete(self, frames: int) -> None:
        """Check that the recipe is complete for a stack of `frames` frames.

        Raises
        ------
        RecipeError
            If the wavelength, the pixel size or the range to search are missing, or counts differ.
        """
        if not self.distances_um and self.near_um is None:
            raise RecipeError(
                "The range to search is missing; give {field} and {field:far_um}, or {field:distances_um} per frame",
                "near_um",
            )
        if not self.distances_um and self.source_distance_um is not None:
            raise RecipeError(
                "The magnification by a point source needs initial distances; give rough ones as {field}",
                "distances_um",
            )
        RecordingRecipe.check_complete(self.with_distances(frames), frames)

    def with_distances(self, frames: int) -> FocusRecipe:
        """Return a recipe with distances: its own, or the middle of the range for every frame."""
        if self.distances_um or self.near_um is None or self.far_um is None:
            return self
        return self.updated({"distances_um": ((self.near_um + self.far_um) / 2,) * frames})

    def lensless(self, distances_um: tuple[float, ...]) -> LenslessRecipe:
        """Return the recipe of a reconstruction with these distances and the settings of this recipe."""
        shared = {
            name: getattr(self, name) for name in RecordingRecipe.model_fields if name not in ("task", "distances_um")
        }
        explicit = {name: value for name, value in shared.items() if name in self.model_fields_set}
        plain = {
            name: value.model_dump(exclude_unset=True) if hasattr(value, "model_dump") else value
            for name, value in explicit.items()
        }
        return LenslessRecipe.parse({"task": "lensless", **plain, "distances_um": distances_um})
