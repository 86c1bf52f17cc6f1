"""The live curves of a run: losses and figures against time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from napari_diner.widgets.forms.controls import WrappedLabel, remove_margins, row

LABEL_HEIGHT = 22
"""Pixels that a label on the vertical axis needs."""
MOST_POINTS = 4000
"""Largest number of points of a curve; longer ones are thinned out to save drawing time."""
COLOURS = ("#4e9ede", "#e8833a", "#4caf6e", "#d95f8c", "#9a7bd6", "#c2a52e", "#39b3b3", "#b0705a")
"""Colours of the curves of a comparison; each is readable on dark and on light."""


class Point(NamedTuple):
    """The state of a run at one moment.

    Parameters
    ----------
    seconds
        Seconds of computing.
    losses
        The quantities at that moment.
    contender
        In a comparison, the name of its curve.
    stage
        Name of the stage; stages may have different losses, so no line joins them.
    """

    seconds: float
    losses: Mapping[str, float]
    contender: str = ""
    stage: str = ""


class DecadeAxis(pg.AxisItem):
    """An axis with labels at whole decades, as many as fit; those of pyqtgraph overlap in small plots."""

    def logTickValues(  # noqa: N802 (pyqtgraph's name)
        self, low: float, high: float, size: float, _: object
    ) -> list[tuple[float, list[float]]]:
        """Return the decades to label."""
        decades = range(math.ceil(low), math.floor(high) + 1)
        step = max(1, math.ceil(len(decades) * LABEL_HEIGHT / max(size, 1)))
        return [(float(step), [float(decade) for decade in decades[::step]])]


class _Series:
    """The points of one contender, and their curve."""

    def __init__(self, curve: pg.PlotDataItem) -> None:
        self.curve = curve
        self.seconds: list[float] = []
        self.values: dict[str, list[float]] = {}
        self._stage = ""
        self.has_line = self._was_finite = False

    def append(self, point: Point) -> None:
        is_finite = any(map(math.isfinite, point.losses.values()))
        self.has_line |= is_finite and self._was_finite and point.stage == self._stage
        self._was_finite = is_finite
        if self.seconds and point.stage != self._stage:
            # a point without values separates the parts of the curve
            self.seconds.append(point.seconds)
        self._stage = point.stage
        self.seconds.append(point.seconds)
        for name, value in point.losses.items():
            # a quantity that is missing in some stage leaves a gap
            column = self.values.setdefault(name, [])
            column.extend([float("nan")] * (len(self.seconds) - 1 - len(column)))
            column.append(value)
        if len(self.seconds) > MOST_POINTS:
            for column in self.values.values():
                column.extend([float("nan")] * (len(self.seconds) - len(column)))
                del column[1::2]
            del self.seconds[1::2]

    def conclude(self, seconds: float, name: str, value: float) -> None:
        self.append(Point(seconds, {name: value}, stage=self._stage))

    def draw(self, name: str, decibel: bool) -> None:
        values = [value if decibel or value > 0 else float("nan") for value in self.values.get(name, [])]
        self.curve.setData(self.seconds[: len(values)], values, connect="finite")


class FixedPlot(pg.PlotWidget):
    """A plot without mouse interaction."""

    def __init__(self, tip: str = "", **arguments: object) -> None:
        super().__init__(**arguments)
        self.setToolTip(tip)
        self.hideButtons()
        self.setMenuEnabled(False)
        self.setMouseEnabled(False, False)


class LossPlot(QWidget):
    """Quantities of a run against the seconds of computing; decibels on a linear axis, losses on a logarithmic one."""

    def __init__(self) -> None:
        super().__init__()
        self._series: dict[str, _Series] = {}
        self._latest = ""
        self._preferred = ""
        self._text_colour = ""
        self.quantity = QComboBox()
        self.quantity.setToolTip("Which quantity to plot")
        self.quantity.currentIndexChanged.connect(self._redraw)
        self.quantity.activated.connect(self._remember)
        self.present = QLabel()
        self.present.setToolTip("Present value")
        self.legend = WrappedLabel()
        self.plot = FixedPlot(axisItems={"left": DecadeAxis("left")})
        self.plot.setMinimumHeight(100)
        # room for the upper half of a label at the very top
        self.plot.getPlotItem().layout.setContentsMargins(1, 6, 1, 1)
        self.plot.getAxis("left").setWidth(48)
        # show at least one label
        self.plot.setLimits(minYRange=1)
        # above the plot, as a label below the axis would need height
        top = row(self.quantity, self.present, "against time (s)", stretch=self.present)
        layout = QVBoxLayout(self)
        remove_margins(layout, 2)
        layout.addLayout(top)
        layout.addWidget(self.legend)
        layout.addWidget(self.plot, 1)
        self.set_theme("dark")
        self.clear()

    @property
    def seconds(self) -> list[float]:
        """Seconds of the points of the latest curve."""
        return self._series[self._latest].seconds if self._latest in self._series else []

    @property
    def contenders(self) -> list[str]:
        """Names of the curves, in the order in which they started."""
        return list(self._series)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to plot yet."""
        return not self._series

    @property
    def has_line(self) -> bool:
        """Whether two points of a stage follow each other: single ones are not seen."""
        return any(series.has_line for series in self._series.values())

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for a small size: a graphics view would ask for 480 pixels."""
        return QSize(280, 130)

    def prefer(self, name: str) -> None:
        """Plot this quantity, if available, until the user chooses another."""
        self._preferred = name

    def clear(self) -> None:
        """Remove the curves of the previous run."""
        for series in self._series.values():
            self.plot.removeItem(series.curve)
        self._series.clear()
        self._latest = ""
        self.quantity.clear()
        self.quantity.setVisible(False)
        self.present.clear()
        self._show_legend()

    def extend(self, points: Sequence[Point]) -> None:
        """Add points to the curves."""
        for point in points:
            if point.contender not in self._series:
                self._series[point.contender] = _Series(self.plot.plot())
                self._show_legend()
            self._latest = point.contender
            self._series[point.contender].append(point)
            for name in point.losses:
                if self.quantity.findData(name) < 0:
                    self.quantity.addItem(readable(name), name)
                    if name == self._preferred:
                        self.quantity.setCurrentIndex(self.quantity.count() - 1)
        self.quantity.setVisible(self.quantity.count() > 1)
        self._redraw()

    def conclude(self, seconds: float, name: str, value: float) -> None:
        """End the latest curve with the figure of the result, if it has this quantity."""
        if self._latest in self._series and name in self._series[self._latest].values:
            self._series[self._latest].conclude(seconds, name, value)
            self._redraw()

    def set_theme(self, name: str) -> None:
        """Apply the colours of a napari theme."""
        theme = get_theme(name)
        self._text_colour = theme.text.as_hex()
        self.plot.setBackground(theme.background.as_hex())
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.secondary.as_hex())
            axis.setTextPen(self._text_colour)
        self._show_legend()

    def _remember(self) -> None:
        self._preferred = self.quantity.currentData() or ""

    def _show_legend(self) -> None:
        """Give each curve its colour, and a name if there are several."""
        several = any(self._series)
        colours = [
            COLOURS[place % len(COLOURS)] if several else self._text_colour for place in range(len(self._series))
        ]
        for colour, series in zip(colours, self._series.values(), strict=True):
            series.curve.setPen(pg.mkPen(colour, width=2))
        names = zip(colours, self._series, strict=True)
        self.legend.say(" &nbsp;".join(f'<span style="color:{colour}">■</span> {name}' for colour, name in names))
        self.legend.setVisible(several)

    def _redraw(self) -> None:
        name = self.quantity.currentData()
        if name is None:
            return
        decibel = name.endswith("_db")
        self.plot.setLogMode(y=not decibel)
        for series in self._series.values():
            series.draw(name, decibel)
        values = self._series[self._latest].values.get(name)
        if values:
            title = "" if self.quantity.count() > 1 else f"{readable(name)}: "
            self.present.setText(title + (f"{values[-1]:.2f} dB" if decibel else f"{values[-1]:.3g}"))


def readable(name: str) -> str:
    """Turn ``"measurement_psnr_db"`` into ``"Measurement PSNR"``."""
    words = name.removesuffix("_db").replace("_", " ").capitalize()
    return words.replace("psnr", "PSNR").replace("Psnr", "PSNR")
