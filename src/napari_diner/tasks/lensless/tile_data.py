"""The frames of a large field, tile by tile and as a coarse picture, without all of them in memory at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.preprocess.settings import PreprocessSettings
from napari_diner.preprocess.steps import onto_grid
from napari_diner.tasks.lensless.data import Array, LenslessData, checked_illumination, corrected
from napari_diner.tasks.lensless.geometry import at_the_sample
from napari_diner.tasks.lensless.phase_output import PhaseOutputSettings
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.tile_blend import Field
from napari_diner.tasks.lensless.tile_plan import Tile

_GIVEN_ELSEWHERE = ("illumination", "mask")


class TileFrames:
    """A recording that is read where it is needed.

    Frames that need no preparation stay as they are, on the disk where they are mapped from it. Others are prepared
    as a whole, since a background or a dead pixel is told by all of a frame.

    Parameters
    ----------
    recipe
        As the user wrote it, complete.
    data
        The recording.

    Raises
    ------
    InputError
        If the data cannot be used.
    """

    def __init__(self, recipe: LenslessRecipe, data: LenslessData) -> None:
        seen = at_the_sample(recipe)
        self.notes: tuple[str, ...] = ()
        """Sentences for the report."""
        frames, mask = data.frames, data.mask
        illumination = checked_illumination(data.illumination, frames.shape)
        if recipe.preprocess != PreprocessSettings() or recipe.source_distance_um is not None:
            prepared = corrected(recipe, data)
            frames, mask, self.notes = prepared.intensities, prepared.mask, prepared.notes
            illumination = None if illumination is None else onto_grid(recipe.preprocess, illumination)
        self.frames: Array = frames
        self.mask: Array | None = None if mask is None else np.squeeze(mask)
        self.illumination: Array | None = illumination
        self.shape: tuple[int, int] = (frames.shape[1], frames.shape[2])
        changes: dict[str, object] = dict.fromkeys(_GIVEN_ELSEWHERE)
        changes |= {"tiles": {"use": "never"}, "equalise_gains": False}
        changes["phase_output"] = PhaseOutputSettings().model_dump()
        if recipe.equalise_gains:
            changes["gains"] = self._brightness()
        self.recipe = seen.updated(changes)
        """Of the frames here, for a tile."""

    def tile(self, tile: Tile) -> LenslessData:
        """Return the recording of one tile, its rim masked."""
        frames = tile.cut(self.frames)
        mask: npt.NDArray[np.bool_] | None = None
        if self.mask is not None:
            mask = np.broadcast_to(tile.cut(self.mask) != 0, frames.shape)
        inside = np.zeros(tile.shape, bool)
        inside[tile.inner()] = True
        if not inside.all():
            mask = np.broadcast_to(inside, frames.shape) if mask is None else mask & inside
        illumination = None if self.illumination is None else tile.cut(self.illumination)
        return LenslessData(frames, illumination, mask)

    def binned(self, factor: int) -> LenslessData:
        """Return the recording with pixels that are `factor` times as wide, each the mean of those it covers.

        Pixels outside the mask do not count; what remains at the far edges is left out.
        """
        height, width = (size // factor for size in self.shape)
        coarse = np.empty((len(self.frames), height, width), np.float32)
        mask = None if self.mask is None else np.empty(coarse.shape, bool)
        integer = self.frames.dtype.kind in "ui" and self.recipe.integer_scaling == "type_maximum"
        scale = 1 / np.iinfo(self.frames.dtype).max if integer else 1.0
        for number, frame in enumerate(self.frames):
            values = frame.astype(np.float32) * np.float32(scale)
            if mask is None:
                coarse[number] = _binned(values, factor)
                continue
            assert self.mask is not None
            good = (self.mask if self.mask.ndim == 2 else self.mask[number]) != 0
            share = _binned(good.astype(np.float32), factor)
            coarse[number] = _binned(np.where(good, values, 0), factor) / np.maximum(share, 1e-6)
            mask[number] = share > 0.5
        illumination = None if self.illumination is None else _binned(self.illumination, factor)
        return LenslessData(coarse, illumination, mask)

    def _brightness(self) -> tuple[float, ...]:
        means = []
        for number, frame in enumerate(self.frames):
            where: npt.NDArray[np.bool_] | bool = True
            if self.mask is not None:
                where = (self.mask if self.mask.ndim == 2 else self.mask[number]) != 0
            means.append(float(np.mean(frame, dtype=np.float64, where=where)))
        mean = float(np.mean(means))
        return tuple(value / mean for value in means)


class CoarsePicture:
    """The whole field with wide pixels, read at the pixels of a tile.

    Parameters
    ----------
    field
        Complex, of the binned shape.
    factor
        How many pixels a wide one covers along each axis.
    periodic
        Whether the field repeats itself.
    """

    def __init__(self, field: Field, factor: int, periodic: bool) -> None:
        mode = "grid-wrap" if periodic else "nearest"
        self.mode = mode
        self.factor = factor
        parts = (field.real, field.imag)
        self._splines = [ndimage.spline_filter(part.astype(np.float32), 3, np.float32, mode=mode) for part in parts]

    def at(self, tile: Tile, stride: int = 1) -> Field:
        """Return the picture at every `stride`-th pixel of a tile, by cubic splines."""
        offset = [(span.start + 0.5) / self.factor - 0.5 for span in (tile.rows, tile.columns)]
        shape = tuple(-(-size // stride) for size in tile.shape)
        real, imaginary = (
            ndimage.affine_transform(
                spline, [stride / self.factor] * 2, offset, shape, np.float32, mode=self.mode, prefilter=False
            )
            for spline in self._splines
        )
        fine: Field = real + np.complex64(1j) * imaginary
        return fine


def coarse_recipe(recipe: LenslessRecipe, factor: int) -> LenslessRecipe:
    """Return the recipe of the binned frames of `TileFrames.binned`: second order, since it is for the slow phase."""
    assert recipe.pixel_size_um is not None
    changes = {"pixel_size_um": factor * recipe.pixel_size_um, "solver": "gauss-newton", "start": "contrast-transfer"}
    return recipe.updated(changes | {"uncertainty": {"map": False}})


def _binned(image: Array, factor: int) -> npt.NDArray[np.float32]:
    height, width = (size // factor for size in image.shape)
    cells = image[: height * factor, : width * factor].reshape(height, factor, width, factor)
    mean: npt.NDArray[np.float32] = cells.mean((1, 3), dtype=np.float32)
    return mean
