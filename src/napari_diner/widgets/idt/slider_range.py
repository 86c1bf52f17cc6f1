"""Sliders with the positions of the visible layers."""

from __future__ import annotations

import napari
import numpy as np
from napari.layers import Layer

from napari_diner.widgets.forms.layer_choice import on_layer_list
from napari_diner.widgets.layers.world import in_world


class SliderRange:
    """Limits the slider of the third axis from the last to the visible layers.

    napari aligns the axes of all layers from the last one on, so that the frames of a recording and the slices of a
    volume share a slider. It has the positions of both, even if only one of them is visible: 8 frames at 1 µm and
    10 slices at 0.5 µm make 19.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: napari.components.ViewerModel) -> None:
        self._viewer = viewer
        self._setting = False
        on_layer_list(viewer, self._follow)
        # napari sets it again whenever a layer changes
        viewer.dims.events.range.connect(self._fit)
        self._follow()

    def _follow(self) -> None:
        for layer in self._viewer.layers:
            layer.events.visible.connect(self._fit)
        self._fit()

    def _fit(self) -> None:
        dims = self._viewer.dims
        shown = [layer for layer in self._viewer.layers if layer.visible and layer.ndim > 2]
        if self._setting or dims.ndim < 3 or dims.ndisplay == 3 or not shown:
            return
        axis = dims.ndim - 3
        first, last, step = (np.array(part) for part in zip(*map(self._span, shown), strict=True))
        self._setting = True
        dims.set_range(axis, (float(first.min()), float(last.max()), float(step.min())))
        self._setting = False

    def _span(self, layer: Layer) -> tuple[float, float, float]:
        """Return the first and last point of a layer along the axis, and the spacing, in world units."""
        factor = in_world(self._viewer, layer)[-3]
        low, high = np.asarray(layer._extent_world)[:, -3] * factor
        count = layer.data.shape[-3] if hasattr(layer.data, "shape") else 0
        step = (high - low) / (count - 1) if count > 1 else abs(float(layer.scale[-3])) * factor
        return float(low), float(high), float(step) or 1.0
