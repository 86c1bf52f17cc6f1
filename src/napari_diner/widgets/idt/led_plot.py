"""A plot of the directions of illumination: dots in the circle of the objective's aperture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize

from napari_diner.physics.idt.illumination import EDGE
from napari_diner.widgets.plots.loss_plot import COLOURS, FixedPlot

INSIDE, OUTSIDE, DARK_FIELD = COLOURS[0], "#e5484d", "#9a6dd7"
DOT, CURRENT = 6, 11
"""Diameters of a dot, and of the dots of the current frame, in pixels of the screen."""
SIDE = 124
"""Width and height of the plot in pixels of the screen."""

Directions = npt.NDArray[np.float64]


class LedPlot(FixedPlot):
    """Dots at (NA_y, NA_x), y downwards as in the images, and the circle of the objective's NA around them.

    Directions outside the circle, of dark field, are purple if they are used or left out by a setting, otherwise red.
    """

    def __init__(self) -> None:
        super().__init__("Direction of the light in each frame, as NA, within the aperture of the objective")
        self.setFixedSize(SIDE, SIDE)
        for side in ("left", "bottom"):
            self.hideAxis(side)
        self.setAspectLocked(True)
        self.invertY(True)
        self.getPlotItem().layout.setContentsMargins(0, 0, 0, 0)
        self._circle = self.plot()
        self._cross = [pg.InfiniteLine(0, angle) for angle in (0, 90)]
        for line in self._cross:
            self.addItem(line)
        self.dots = pg.ScatterPlotItem(pen=None, pxMode=True)
        self.addItem(self.dots)
        self._directions: Directions = np.empty((0, 2))
        self._frames = np.empty(0, np.int64)
        self._na: float | None = None
        self._current = 0
        self._wanted = np.empty(0, np.bool_)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for a small square."""
        return QSize(SIDE, SIDE)

    @property
    def outside(self) -> npt.NDArray[np.bool_]:
        """Whether each of the directions is outside the objective's aperture, (S,)."""
        return outside(self._directions, self._na)

    def show_directions(
        self,
        directions: Directions,
        frames: npt.NDArray[np.int64],
        na: float | None,
        dark_field_is_wanted: npt.ArrayLike = False,
    ) -> None:
        """Draw.

        Parameters
        ----------
        directions
            (NA_y, NA_x) of each source, (S, 2).
        frames
            Frame of each source, (S,).
        na
            Numerical aperture of the objective, or None if unknown.
        dark_field_is_wanted
            Whether directions outside the aperture are no mistake: of all, or of each source, (S,).
        """
        self._directions, self._frames, self._na = directions, frames, na
        self._wanted = np.broadcast_to(np.asarray(dark_field_is_wanted, np.bool_), frames.shape)
        angle = np.linspace(0, 2 * np.pi, 91)
        radius = na or 0.0
        self._circle.setData(radius * np.cos(angle), radius * np.sin(angle))
        reach = 1.08 * max(radius, float(np.hypot(*directions.T).max(initial=0.0)), 1e-3)
        self.setRange(xRange=(-reach, reach), yRange=(-reach, reach), padding=0)
        self._draw_dots()

    def set_current(self, frame: int) -> None:
        """Enlarge the dots of the frame that the viewer shows."""
        if frame != self._current:
            self._current = frame
            self._draw_dots()

    def set_theme(self, name: str) -> None:
        """Apply the colours of a napari theme."""
        theme = get_theme(name)
        self.setBackground(theme.background.as_hex())
        self._circle.setPen(pg.mkPen(theme.text.as_hex(), width=1.5))
        for line in self._cross:
            line.setPen(pg.mkPen(theme.secondary.as_hex()))

    def _draw_dots(self) -> None:
        beyond = np.where(self._wanted, DARK_FIELD, OUTSIDE)
        colours = np.where(self.outside, beyond, INSIDE)
        self.dots.setData(
            x=self._directions[:, 1],
            y=self._directions[:, 0],
            size=np.where(self._frames == self._current, CURRENT, DOT),
            brush=[pg.mkBrush(str(colour)) for colour in colours],
        )


def outside(directions: Directions, na: float | None) -> npt.NDArray[np.bool_]:
    """Return whether each of the directions, (S, 2), is outside an aperture, (S,); none is if the NA is unknown."""
    limit = np.inf if na is None else na * (1 + EDGE)
    beyond: npt.NDArray[np.bool_] = np.hypot(*directions.T) > limit
    return beyond
