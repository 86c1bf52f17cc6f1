"""The forward model of prepared frames, and the problem for solvers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from napari_diner.device import available_memory
from napari_diner.physics.lensless.moved import MovedMultiHeight, displaced
from napari_diner.physics.lensless.multiheight import LenslessModel, MultiHeight
from napari_diner.physics.lensless.sensor import Sensor
from napari_diner.physics.lensless.tiles import TiledMultiHeight, fastest_window_px, margin_px
from napari_diner.physics.padding import Padding
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.tasks.lensless.data import Array
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.setup import Setup


@dataclass(frozen=True)
class ModelBuilder:
    """Builds forward models for frames of any setup."""

    illumination: Array | None
    """Amplitude or complex field of the illumination, (Y, X), on the grid of the object, or of the field of view; even
    if None."""
    device: torch.device
    """Device."""
    needed_bytes: int = 0
    """Planned memory of a reconstruction in one piece."""

    def problem(self, setup: Setup, prepared: PreparedFrames) -> PhaseProblem:
        """Return the problem of explaining frames.

        The model works in tiles if the setup asks for them, or by default if they pay off.
        """
        padding = _padding(setup, prepared)
        window = self._window_px(setup, padding)
        model: LenslessModel
        if window is None:
            model = self.one_piece(setup, prepared)
        else:
            model = TiledMultiHeight(
                padding.shape,
                setup.heights,
                window,
                illumination=self.lit(padding),
                padding=padding,
                sensor=Sensor(setup.super_resolution),
                device=self.device,
            )
        return problem_of(model, prepared.amplitudes, prepared.mask, prepared.at_least)

    def one_piece(self, setup: Setup, prepared: PreparedFrames) -> MultiHeight:
        """Return the forward model of a field in one piece, however wide."""
        padding = _padding(setup, prepared)
        light = self.lit(padding)
        if light is not None and setup.positions_um is not None:
            return self.moved(setup, padding, light)
        return MultiHeight(
            padding.shape,
            setup.heights,
            illumination=light,
            padding=padding,
            sensor=Sensor(setup.super_resolution),
            device=self.device,
        )

    def moved(self, setup: Setup, padding: Padding, light: torch.Tensor) -> MovedMultiHeight:
        """Return the forward model of an object that moves in an illumination, complex, (Y, X)."""
        apart = [(-dy, -dx) for dy, dx in setup.positions_um or ((0.0, 0.0),) * setup.heights.frames]
        lights = displaced(light.to(self.device, torch.complex64), apart, setup.pixel_size_um)
        return MovedMultiHeight(padding.shape, setup.heights, lights, padding=padding, device=self.device)

    def lit(self, padding: Padding) -> torch.Tensor | None:
        """Return the illumination on the grid of the object, (Y, X), or None if it is even."""
        if self.illumination is None:
            return None
        light = torch.from_numpy(self.illumination)
        is_smaller = light.shape == padding.shape and padding.is_unknown
        return padding.replicated(light) if is_smaller else light

    def _window_px(self, setup: Setup, padding: Padding) -> int | None:
        """Return the width of the windows to compute in, or None for one piece."""
        tiles = setup.tiles
        if tiles.use == "never" or (setup.positions_um is not None and self.illumination is not None):
            return None
        wide_enough = tiles.size_px + 2 * margin_px(setup.heights)
        if tiles.use == "always":
            return wide_enough
        if self.device.type == "cpu":
            return fastest_window_px(setup.heights, padding.padded_shape)
        # a graphics card is fastest with one piece, but has less memory
        return wide_enough if self.needed_bytes > available_memory(self.device) else None


def problem_of(model: LenslessModel, amplitudes: Array, mask: Array | None, at_least: Array | None) -> PhaseProblem:
    """Return the problem of explaining amplitudes by a model, on its device; parameters as of `PhaseProblem`."""

    def there(image: Array) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(image)).to(model.device)

    mask_there, at_least_there = (None if image is None else there(image) for image in (mask, at_least))
    return PhaseProblem(model, there(amplitudes), mask_there, at_least_there)


def _padding(setup: Setup, prepared: PreparedFrames) -> Padding:
    height, width = prepared.amplitudes.shape[1:]
    shape = (height * setup.super_resolution, width * setup.super_resolution)
    return Padding(shape, setup.padding_mode, setup.padding_px, setup.padding.apodise)
