"""The live curve of how well the model explains the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyqtgraph as pg
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

Point = tuple[float, Mapping[str, float]]
"""Seconds of computing, and the quantities at that moment."""


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
        self.plot = pg.PlotWidget()
        self.plot.setMinimumHeight(120)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(False, False)
        self.plot.setMenuEnabled(False)
        self.plot.setLabel("bottom", "computing time (s)")
        bottom = self.plot.getAxis("bottom")
        bottom.enableAutoSIPrefix(False)
        bottom.setHeight(42)
        left = self.plot.getAxis("left")
        left.enableAutoSIPrefix(False)
        # on a logarithmic axis the labels between the decades would overlap; a range of one decade has a label at least
        left.setStyle(maxTextLevel=0)
        left.setWidth(48)
        self.plot.setLimits(minYRange=1)
        self.curve = self.plot.plot()
        top = QHBoxLayout()
        top.addWidget(self._quantity)
        top.addWidget(self._now, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self.plot, 1)
        self.set_theme("dark")
        self.clear()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for little: a graphics view would ask for 480 pixels."""
        return QSize(280, 170)

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
        self._quantity.setVisible(self._quantity.count() > 0)
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
        self.plot.setLabel("bottom", "computing time (s)", color=text)
        self.curve.setPen(pg.mkPen(theme.current.as_hex(), width=2))

    def _redraw(self) -> None:
        name = self._quantity.currentData()
        if name is None:
            return
        values = self._values[name]
        decibel = name.endswith("_db")
        self.plot.setLogMode(y=not decibel)
        positive = [value if decibel or value > 0 else float("nan") for value in values]
        self.curve.setData(self.seconds[: len(values)], positive, connect="finite")
        self._now.setText(f"{values[-1]:.2f} dB" if decibel else f"{values[-1]:.3g}")


def readable(name: str) -> str:
    """Turn ``"measurement_psnr_db"`` into ``"Measurement PSNR"``."""
    words = name.removesuffix("_db").replace("_", " ").capitalize()
    return words.replace("psnr", "PSNR").replace("Psnr", "PSNR")
