"""How well a field made of tiles explains the frames, seams included."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.physics.multiheight import MultiHeight
from napari_diner.physics.padding import Padding
from napari_diner.tasks.lensless.data import padding_width_px, prepare
from napari_diner.tasks.lensless.tile_blend import Field
from napari_diner.tasks.lensless.tile_data import TileFrames
from napari_diner.tasks.lensless.tile_plan import TilePlan


class TileCheck:
    """The residual of a whole field, computed tile by tile from the blended field, on the processor.

    Parameters
    ----------
    frames
        The recording.
    plan
        The tiles.
    field
        Complex field of the whole, (Y, X).
    """

    def __init__(self, frames: TileFrames, plan: TilePlan, field: Field) -> None:
        self.residual: npt.NDArray[np.float32] = np.zeros((len(frames.frames), *plan.shape), np.float32)
        """Model minus recorded intensities, (N, Y, X), zero where the mask says so."""
        self.peak = 0.0
        """Intensity that counts as full scale."""
        squares, misfit, valid = 0.0, 0.0, 0
        recipe = frames.recipe
        assert recipe.pixel_size_um is not None and recipe.wavelength_um is not None
        for tile in plan.tiles:
            data = frames.tile(tile)
            prepared = prepare(recipe, data)
            width = padding_width_px(recipe, recipe.pixel_size_um)
            model = MultiHeight(
                tile.shape,
                recipe.pixel_size_um,
                recipe.wavelength_um,
                recipe.distances_um,
                medium_index=recipe.medium_index,
                method=recipe.propagation,
                band_limit=recipe.band_limit,
                shifts_um=recipe.shifts_um,
                gains=prepared.gains,
                intensity_scale=recipe.intensity_scale,
                illumination=None if data.illumination is None else torch.from_numpy(data.illumination),
                padding=Padding(tile.shape, recipe.padding.mode, width, recipe.padding.apodise),
            )
            inside = (
                slice(tile.rows.core_start - tile.rows.start, tile.rows.core_stop - tile.rows.start),
                slice(tile.columns.core_start - tile.columns.start, tile.columns.core_stop - tile.columns.start),
            )
            whole = (
                slice(tile.rows.core_start, tile.rows.core_stop),
                slice(tile.columns.core_start, tile.columns.core_stop),
            )
            spectrum = model.spectrum(torch.from_numpy(np.ascontiguousarray(tile.cut(field))))
            for number in range(model.frames):
                modulus = model.field(spectrum, number).abs().numpy()[inside]
                recorded = prepared.amplitudes[number][inside]
                error, amplitude = modulus**2 - recorded**2, modulus - recorded
                if prepared.mask is not None:
                    good = prepared.mask[number][inside]
                    error, amplitude = np.where(good, error, 0), np.where(good, amplitude, 0)
                    valid += int(good.sum())
                else:
                    valid += error.size
                self.residual[number][whole] = error
                squares += float(np.sum(np.square(error), dtype=np.float64))
                misfit += float(np.sum(np.square(amplitude), dtype=np.float64))
            self.peak = max(self.peak, prepared.peak)
        self.mean_square = squares / max(valid, 1)
        """Of the intensities."""
        self.loss = misfit / max(valid, 1)
        """Mean square of the amplitudes' error."""
