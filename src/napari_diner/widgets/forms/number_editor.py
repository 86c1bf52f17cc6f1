"""A spin box that shows a number with the digits it needs, and that can stand for None."""

from __future__ import annotations

import re
from typing import SupportsFloat

from qtpy.QtCore import Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSizePolicy

DECIMALS = 12
"""Decimals that a spin box can hold; it shows only those that are needed."""


class NumberEditor(QDoubleSpinBox):
    """A bounded number, in plain or scientific notation, so that 0.6328 and 1e-05 are both readable.

    Parameters
    ----------
    low, high
        Bounds, both included.
    unit
        Unit shown after the number.
    none_text
        Text shown for None, which lies just below `low`; None if a value is required.
    whole
        Whether it is an integer.
    """

    changed = Signal()

    def __init__(
        self, low: float, high: float, unit: str = "", none_text: str | None = None, *, whole: bool = False
    ) -> None:
        super().__init__()
        self._optional, self._whole = none_text is not None, whole
        # what was set, and what the spin box made of it: it rounds, and a recipe must come back as it was
        self._exact = self._rounded = float("nan")
        self.setDecimals(0 if whole else DECIMALS)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)
        if none_text is not None:
            self.setSpecialValueText(none_text)
            low = 0.0 if low > 0 and not whole else low - 1
        self.setRange(low, high)
        if unit:
            self.setSuffix(f" {unit}")
        self.setMinimumWidth(90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.valueChanged.connect(self.changed)

    def value(self) -> float | int | None:  # type: ignore[override]
        """Return the number, as typed so far, or None where the special text is shown."""
        line = self.lineEdit()
        if line is not None and line.isModified():
            # some systems move no focus to a button that is clicked, so a typed number may not be confirmed yet
            self.interpretText()
            line.setModified(False)
        number = super().value()
        if self._optional and number == self.minimum():
            return None
        if self._whole:
            return round(number)
        return self._exact if number == self._rounded else number

    def set_value(self, value: object) -> None:
        """Show a number or None."""
        exact = float(value) if isinstance(value, SupportsFloat) else self.minimum()
        inside = self.minimum() <= exact <= self.maximum()
        self._rounded = float("nan")
        self.setValue(exact)
        self._exact, self._rounded = exact, super().value() if inside else float("nan")

    def textFromValue(self, value: float) -> str:  # noqa: N802 (Qt's name)
        """Write a number with the digits it needs."""
        return f"{value:.10g}"

    def valueFromText(self, text: str | None) -> float:  # noqa: N802 (Qt's name)
        """Read a number; an empty text gives the minimum, which stands for None where that is allowed."""
        bare = self._bare(text or "")
        return float(bare) if bare and text != self.specialValueText() else self.minimum()

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept plain and scientific notation, for integers digits only."""
        text = text or ""
        bare = self._bare(text)
        fraction, exponent = ("", "") if self._whole else (r"\.?\d*", r"(e[-+]?\d*)?")
        if text == self.specialValueText() or (not bare and self._optional):
            state = QValidator.State.Acceptable
        elif not re.fullmatch(rf"[-+]?\d*{fraction}{exponent}", bare, re.IGNORECASE):
            state = QValidator.State.Invalid
        else:
            state = QValidator.State.Acceptable if self._inside(bare) else QValidator.State.Intermediate
        return state, text, position

    def _inside(self, bare: str) -> bool:
        try:
            return self.minimum() <= float(bare) <= self.maximum()
        except ValueError:
            return False

    def _bare(self, text: str) -> str:
        return text.removesuffix(self.suffix()).replace(",", ".").strip()
