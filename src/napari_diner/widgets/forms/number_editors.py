"""Editors for numbers: spin boxes that show what a number needs, and that can show None."""

from __future__ import annotations

import re
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSizePolicy, QSpinBox

DECIMALS = 12
"""Decimals that a spin box can hold; it shows only those that are needed."""


class FloatEditor(QDoubleSpinBox):
    """A number with bounds; shows as many digits as it has, so that 0.6328 and 1e-05 are both readable.

    Parameters
    ----------
    low, high
        Bounds, both included.
    unit
        Unit shown behind the number.
    none_text
        Text shown for None, which then lies one step below `low`; None if the value must be given.
    """

    changed = Signal()

    def __init__(self, low: float, high: float, unit: str = "", none_text: str | None = None) -> None:
        super().__init__()
        self._optional = none_text is not None
        # what was set, and what the spin box made of it: it rounds, and a recipe must come back as it was
        self._exact = self._rounded = float("nan")
        self.setDecimals(DECIMALS)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)
        if none_text is not None:
            self.setSpecialValueText(none_text)
            low = 0.0 if low > 0 else low - 1
        self.setRange(low, high)
        if unit:
            self.setSuffix(f" {unit}")
        self.setMinimumWidth(90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.valueChanged.connect(self.changed)

    def value(self) -> Any:
        """Return the number, or None where the special text is shown."""
        _take_typed(self)
        number = super().value()
        if self._optional and number == self.minimum():
            return None
        return self._exact if number == self._rounded else number

    def set_value(self, value: Any) -> None:
        """Show a number or None."""
        exact = self.minimum() if value is None else float(value)
        inside = self.minimum() <= exact <= self.maximum()
        self._rounded = float("nan")
        self.setValue(exact)
        self._exact, self._rounded = exact, super().value() if inside else float("nan")

    def textFromValue(self, value: float) -> str:  # noqa: N802 (Qt's name)
        """Write a number with the digits that it needs."""
        return f"{value:.10g}"

    def valueFromText(self, text: str | None) -> float:  # noqa: N802 (Qt's name)
        """Read a number; nothing means the smallest value, which stands for None where that is allowed."""
        bare = self._bare(text or "")
        return float(bare) if bare and text != self.specialValueText() else self.minimum()

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept plain and scientific notation."""
        text = text or ""
        bare = self._bare(text)
        if text == self.specialValueText() or (not bare and self._optional):
            state = QValidator.State.Acceptable
        elif re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", bare, re.IGNORECASE):
            inside = self.minimum() <= float(bare) <= self.maximum()
            state = QValidator.State.Acceptable if inside else QValidator.State.Intermediate
        elif re.fullmatch(r"[-+]?\d*\.?\d*(e[-+]?\d*)?", bare, re.IGNORECASE):
            state = QValidator.State.Intermediate
        else:
            state = QValidator.State.Invalid
        return state, text, position

    def _bare(self, text: str) -> str:
        return text.removesuffix(self.suffix()).replace(",", ".").strip()


class IntEditor(QSpinBox):
    """A whole number with bounds.

    Parameters
    ----------
    low, high
        Bounds, both included.
    none_text
        Text shown for None, which then lies one step below `low`; None if the value must be given.
    """

    changed = Signal()

    def __init__(self, low: int, high: int, none_text: str | None = None) -> None:
        super().__init__()
        self._optional = none_text is not None
        if none_text is not None:
            self.setSpecialValueText(none_text)
            low -= 1
        self.setRange(low, high)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)
        self.setMinimumWidth(90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.valueChanged.connect(self.changed)

    def value(self) -> Any:
        """Return the number, as typed so far, or None where the special text is shown."""
        _take_typed(self)
        number = super().value()
        return None if self._optional and number == self.minimum() else number

    def set_value(self, value: Any) -> None:
        """Show a number or None."""
        self.setValue(self.minimum() if value is None else int(value))

    def valueFromText(self, text: str | None) -> int:  # noqa: N802 (Qt's name)
        """Read a number; nothing means the smallest value, which stands for None where that is allowed."""
        bare = (text or "").strip()
        if self._optional and bare in ("", self.specialValueText()):
            return self.minimum()
        return super().valueFromText(text)

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept an empty text for None."""
        if self._optional and not (text or "").strip():
            return QValidator.State.Acceptable, text or "", position
        state: tuple[QValidator.State, str, int] = super().validate(text, position)
        return state


def _take_typed(box: QAbstractSpinBox) -> None:
    """Make a number count that is typed but not yet confirmed, as some systems move no focus to a clicked button."""
    line = box.lineEdit()
    if line is not None and line.isModified():
        box.interpretText()
        line.setModified(False)
