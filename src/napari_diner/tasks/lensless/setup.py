"""The geometry of prepared frames: a complete description of a recording for the model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.light import Light
from napari_diner.physics.lensless.point_source import effective_distance_um, magnification
from napari_diner.physics.optics import Optics
from napari_diner.physics.padding import Mode
from napari_diner.physics.settings import PaddingSettings, TileSettings
from napari_diner.tasks.lensless.recipe import LenslessRecipe, RecordingRecipe

# width of an assumed continuation, and of an unknown surround in units of √(λz)
_WIDTH_UM, _SURROUND = 100.0, 2.5


@dataclass(frozen=True)
class Setup:
    """Description of prepared frames, equivalent to a recording with parallel light."""

    heights: Heights
    """Optics with the pixels of the object, distances, shifts, gains."""
    super_resolution: int = 1
    """Pixels of the object for each of the prepared frames along each axis."""
    positions_um: tuple[tuple[float, float], ...] | None = None
    """Displacement (dy, dx) of the object in the illumination for each frame, included in the shifts; none if None."""
    padding: PaddingSettings = dataclasses.field(default_factory=PaddingSettings)
    """Continuation of the field beyond its edges."""
    tiles: TileSettings = dataclasses.field(default_factory=TileSettings)
    """Settings of the computation in tiles."""

    @classmethod
    def of(cls, recipe: RecordingRecipe, gains: Sequence[float] | None = None) -> Setup:
        """Return the setup of the frames that a complete recipe describes, after their preparation.

        Pixels are those of the object: of the finest frame, divided by its magnification M, by the upsampling and by
        the super-resolution; each distance becomes z/M (see `physics.lensless.point_source`), each shift on the sensor
        (dy, dx)/M.

        Parameters
        ----------
        recipe
            The user's recipe.
        gains
            Relative brightness of each frame; one if None.
        """
        by = magnifications(recipe)
        fine, shifts, positions, scale, light = 1, None, None, 1.0, Light()
        if isinstance(recipe, LenslessRecipe):
            fine, scale = recipe.super_resolution, recipe.intensity_scale
            shifts, positions = (_at_sample(pairs, by) for pairs in (recipe.shifts_um, recipe.positions_um))
            light = recipe.light
        if positions is not None:
            pairs = zip(positions, shifts or ((0.0, 0.0),) * len(positions), strict=True)
            shifts = tuple((y + dy, x + dx) for (y, x), (dy, dx) in pairs)
        optics, factor = recipe.optics, recipe.preprocess.upsample * fine * max(by, default=1.0)
        heights = Heights(
            dataclasses.replace(optics, pixel_size_um=optics.pixel_size_um / factor),
            tuple(map(effective_distance_um, recipe.distances_um, by)),
            band_limit=recipe.band_limit,
            shifts_um=shifts,
            gains=None if gains is None else tuple(gains),
            intensity_scale=scale,
            light=light,
        )
        tiles = recipe.tiles if isinstance(recipe, LenslessRecipe) else TileSettings()
        return cls(heights, fine, positions, recipe.padding, tiles)

    @property
    def optics(self) -> Optics:
        """Light and pixels of the object."""
        return self.heights.optics

    @property
    def pixel_size_um(self) -> float:
        """Distance between neighbouring pixels of the object."""
        return self.heights.optics.pixel_size_um

    @property
    def frame_optics(self) -> Optics:
        """Light and pixels of the prepared frames."""
        return dataclasses.replace(self.optics, pixel_size_um=self.super_resolution * self.pixel_size_um)

    @property
    def padding_mode(self) -> Mode:
        """Continuation of the field; none if ``auto`` has not been resolved (see `tasks.surround`)."""
        return "none" if self.padding.mode == "auto" else self.padding.mode

    @property
    def padding_px(self) -> int:
        """Width of the padding on each side.

        The relative amplitude of diffraction at a straight edge falls to ``√(λz) / 2πx`` at the distance x. An unknown
        surround is 2.5 √(λz) wide, where it is 1/16, but not wider than the reach of diffraction, plus the
        displacements of the frames.
        """
        width_um, heights = self.padding.width_um, self.heights
        if self.padding_mode == "none":
            return 0
        if width_um is None and self.padding_mode == "unknown":
            blur_um = math.sqrt(self.optics.wavelength_in_medium_um * max(heights.distances_um))
            displaced_px = heights.reach_px - heights.spread_px
            return displaced_px + min(math.ceil(_SURROUND * blur_um / self.pixel_size_um), heights.spread_px)
        return -int(-(_WIDTH_UM if width_um is None else width_um) // self.pixel_size_um)

    def with_heights(self, **changes: Any) -> Setup:
        """Return the setup with other distances, shifts or gains."""
        return dataclasses.replace(self, heights=dataclasses.replace(self.heights, **changes))

    def without_super_resolution(self) -> Setup:
        """Return the setup with an object of the frames' pixels."""
        return dataclasses.replace(self, super_resolution=1).with_heights(optics=self.frame_optics)


def _at_sample(
    displacements: Sequence[tuple[float, float]] | None, by: Sequence[float]
) -> tuple[tuple[float, float], ...] | None:
    """Return displacements on the sensor in the scale of the sample, for the magnifications of the frames."""
    if displacements is None:
        return None
    return tuple((dy / m, dx / m) for (dy, dx), m in zip(displacements, by, strict=True))


def magnifications(recipe: RecordingRecipe, distances_um: Sequence[float] | None = None) -> tuple[float, ...]:
    """Return the magnification of each frame by a point source; 1 for parallel light.

    Parameters
    ----------
    recipe
        The user's recipe.
    distances_um
        Other distances than the recipe's.
    """
    distances = recipe.distances_um if distances_um is None else distances_um
    source = recipe.source_distance_um
    if source is None:
        return (1.0,) * len(distances)
    return tuple(magnification(source, distance, recipe.source_distance_to) for distance in distances)


def geometry_report(recipe: RecordingRecipe, setup: Setup) -> dict[str, object]:
    """Return pixels and distances for a report if a point source or a finer grid changes them; otherwise empty.

    Parameters
    ----------
    recipe
        The user's recipe.
    setup
        Setup of the prepared frames, including calibration.
    """
    if not recipe.magnifies and setup.pixel_size_um == recipe.pixel_size_um:
        return {}
    geometry: dict[str, object] = {"object_pixel_size_um": setup.pixel_size_um}
    if recipe.magnifies:
        geometry["effective_distances_um"] = list(setup.heights.distances_um)
        geometry["magnifications"] = list(magnifications(recipe))
    return geometry


def light_report(setup: Setup) -> dict[str, object]:
    """Return the parameters of an incoherent source in the model for a report; empty for a coherent one."""
    heights = setup.heights
    if heights.is_coherent:
        return {}
    blur_um = [heights.light.blur_um(distance) for distance in heights.distances_um]
    return {"light": {"blur_um": blur_um, "wavelengths_um": [wavelength_um for wavelength_um, _ in heights.lines]}}
