"""The live curve of how well the model explains the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

LABEL_HEIGHT = 22
"""Pixels that a label on the vertical axis needs."""
Point = tuple[float, Mapping[str, float]]
"""Seconds of computing, and the quantities at that moment."""


class DecadeAxis(pg.AxisItem):
    """An axis whose logarithmic labels stand at whole decades, as many as fit; pyqtgraph's overlap on small plots."""

    def logTickValues(  # noqa: N802 (pyqtgraph's name)
        self, low: float, high: float, size: float, _: object
    ) -> list[tuple[float, list[float]]]:
        """Return the decades to label."""
        decades = range(math.ceil(low), math.floor(high) + 1)
        step = max(1, math.ceil(len(decades) * LABEL_HEIGHT / max(size, 1)))
        return [(float(step), [float(decade) for decade in decades[::step]])]


class LossPlot(QWidget):
    """Quantities of a run against the seconds of computing; decibels on a linear axis, losses on a logarithmic one."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._values: dict[str, list[float]] = {}
        self._quantity = QComboBox()
        self._quantity.setToolTip("Which quantity to plot")
        self._quantity.currentIndexChanged.connect(self._redraw)
        self._now = QLabel()
        self._now.setToolTip("Its present value")
        self.plot = pg.PlotWidget(axisItems={"left": DecadeAxis("left")})
        self.plot.setMinimumHeight(100)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(False, False)
        self.plot.setMenuEnabled(False)
        self.plot.getAxis("left").setWidth(48)
        # a range of one decade has a label at least
        self.plot.setLimits(minYRange=1)
        self.curve = self.plot.plot()
        top = QHBoxLayout()
        top.addWidget(self._quantity)
        top.addWidget(self._now, 1)
        # above the plot, as a label below the axis would cost height and be cut off first
        top.addWidget(QLabel("against time (s)"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self.plot, 1)
        self.set_theme("dark")
        self.clear()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for little: a graphics view would ask for 480 pixels."""
        return QSize(280, 130)

    def clear(self) -> None:
        """Forget the curve of the run before."""
        self.seconds.clear()
        self._values.clear()
        self._quantity.clear()
        self._quantity.setVisible(False)
        self._now.clear()
        self.curve.setData([], [])

    def extend(self, points: Sequence[Point]) -> None:
        """Add points to the curve."""
        for seconds, losses in points:
            self.seconds.append(seconds)
            for name, value in losses.items():
                # a quantity that some stage does not have leaves a gap
                column = self._values.setdefault(name, [])
                column.extend([float("nan")] * (len(self.seconds) - 1 - len(column)))
                column.append(value)
                if self._quantity.findData(name) < 0:
                    self._quantity.addItem(readable(name), name)
        self._quantity.setVisible(self._quantity.count() > 1)
        self._redraw()

    def set_theme(self, name: str) -> None:
        """Take the colours of one of napari's themes."""
        theme = get_theme(name)
        text = theme.text.as_hex()
        self.plot.setBackground(theme.background.as_hex())
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(theme.secondary.as_hex())
            axis.setTextPen(text)
        self.curve.setPen(pg.mkPen(text, width=2))

    def _redraw(self) -> None:
        name = self._quantity.currentData()
        if name is None:
            return
        values = self._values[name]
        decibel = name.endswith("_db")
        self.plot.setLogMode(y=not decibel)
        positive = [value if decibel or value > 0 else float("nan") for value in values]
        self.curve.setData(self.seconds[: len(values)], positive, connect="finite")
        title = "" if self._quantity.count() > 1 else f"{readable(name)}: "
        self._now.setText(title + (f"{values[-1]:.2f} dB" if decibel else f"{values[-1]:.3g}"))


def readable(name: str) -> str:
    """Turn ``"measurement_psnr_db"`` into ``"Measurement PSNR"``."""
    words = name.removesuffix("_db").replace("_", " ").capitalize()
    return words.replace("psnr", "PSNR").replace("Psnr", "PSNR")
