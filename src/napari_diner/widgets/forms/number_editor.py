"""A spin box that shows only significant digits and can represent None."""

from __future__ import annotations

import re
from typing import SupportsFloat

from qtpy.QtCore import QPoint, Signal
from qtpy.QtGui import QShowEvent, QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSizePolicy, QStyle, QStyleOptionSpinBox, QToolTip

from napari_diner.errors import RecipeError
from napari_diner.io.units import AMBIGUOUS, length_um

DECIMALS = 12
"""Decimals of a spin box; it shows only those that are needed."""
# room for the cursor beside a text, and the width up to which a field grows with it
_CURSOR_PX, _WIDEST_PX = 8, 170


class NumberEditor(QDoubleSpinBox):
    """A bounded number, in plain or scientific notation: 0.6328, 1e-05.

    A length may be typed in any unit: ``633 nm`` becomes 0.633 µm.

    Parameters
    ----------
    low, high
        Bounds, both included.
    unit
        Unit shown after the number.
    none_text
        Text shown for None, represented by a value just below `low`; None if a value is required.
    whole
        Whether it is an integer.
    title
        What the number is, for messages.
    """

    changed = Signal()
    refused = Signal(str)
    """Emitted with a message if the typed text is rejected and the previous value kept; empty once that is over."""

    def __init__(
        self,
        low: float,
        high: float,
        unit: str = "",
        none_text: str | None = None,
        *,
        whole: bool = False,
        title: str = "",
    ) -> None:
        super().__init__()
        self._optional, self._whole = none_text is not None, whole
        # the value that was set, and the rounded one of the spin box: a recipe must come back unchanged
        self._exact = self._rounded = float("nan")
        self._low, self._high, self._unit = low, high, unit
        self._title, self._refusal = title, ""
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
        self.valueChanged.connect(self._make_room)
        if (line := self.lineEdit()) is not None:
            line.textEdited.connect(self._forget_refusal)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Make room for the text, in the font and the style that are known by now."""
        super().showEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        """Widen a narrow field, as in a dock at 150 %, so that its text is not cut off; never make it narrower."""
        style, line = self.style(), self.lineEdit()
        if style is None or line is None or not self.isVisible():
            return
        option = QStyleOptionSpinBox()
        self.initStyleOption(option)
        area = QStyle.SubControl.SC_SpinBoxEditField
        within = style.subControlRect(QStyle.ComplexControl.CC_SpinBox, option, area, self).width()
        words = (self.text(), self.specialValueText())
        wanted = max(line.fontMetrics().horizontalAdvance(each) for each in words) + _CURSOR_PX
        if wanted > within:
            self.setMinimumWidth(max(self.minimumWidth(), min(self.width() - within + wanted, _WIDEST_PX)))

    def value(self) -> float | int | None:  # type: ignore[override]
        """Return the number, as typed so far, or None while the special text is shown."""
        self._confirm(while_typing=False)
        number = super().value()
        if self._optional and number == self.minimum():
            return None
        if self._whole:
            return round(number)
        return self._exact if number == self._rounded else number

    def check_typed(self) -> None:
        """Check that the last typed text was accepted; the error is raised once.

        Raises
        ------
        RecipeError
            If it was rejected.
        """
        self._confirm()
        refusal, self._refusal = self._refusal, ""
        if refusal:
            raise RecipeError(refusal)

    def _forget_refusal(self) -> None:
        if self._refusal:
            self._refusal = ""
            self.refused.emit("")

    def _confirm(self, *, while_typing: bool = True) -> None:
        line = self.lineEdit()
        if line is None or not line.isModified():
            return
        if not while_typing and line.hasFocus():
            state, _, _ = self.validate(line.text(), 0)
            if state != QValidator.State.Acceptable:
                return  # a timer asks for the value, while the user has typed a part of it
        # on some systems a clicked button does not take the focus, so a typed number may not be confirmed yet
        self.interpretText()
        line.setModified(False)

    def set_value(self, value: object) -> None:
        """Show a number or None."""
        exact = float(value) if isinstance(value, SupportsFloat) else self.minimum()
        inside = self.minimum() <= exact <= self.maximum()
        self._rounded = float("nan")
        self.setValue(exact)
        self._exact, self._rounded = exact, super().value() if inside else float("nan")

    def textFromValue(self, value: float) -> str:  # noqa: N802 (Qt's name)
        """Format a number with its significant digits."""
        return f"{value:.10g}"

    def valueFromText(self, text: str | None) -> float:  # noqa: N802 (Qt's name)
        """Parse a number; an empty text gives None where that is allowed, otherwise the value stays as it was."""
        number = None if self._is_none(text or "") else self._number(text or "")
        if number is None:
            return self.minimum() if self._optional else super().value()
        return number

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept plain and scientific notation, and units of length after a length; for integers digits only."""
        text = text or ""
        if self._is_none(text):
            return QValidator.State.Acceptable, text, position
        number = self._number(text)
        if number is not None and self.minimum() <= number <= self.maximum():
            return QValidator.State.Acceptable, text, position
        if re.fullmatch(self._pattern, self._without_suffix(text), re.IGNORECASE):
            return QValidator.State.Intermediate, text, position
        return QValidator.State.Invalid, text, position

    def _is_none(self, text: str) -> bool:
        return self._optional and (text == self.specialValueText() or not self._typed(text))

    def fixup(self, text: str | None) -> str:
        """Report why a text is rejected when the user leaves the editor; the previous value is kept."""
        typed = self._typed(text or "")
        if typed or not self._optional:
            what = " ".join(filter(None, (self._title, typed))) or "It"
            message = f"{what} {self._problem(typed)}; the value stays as it was"
            self._refusal = message
            QToolTip.showText(self.mapToGlobal(QPoint(0, self.height())), message, self)
            self.refused.emit(message)
        return text or ""

    def _problem(self, typed: str) -> str:
        """Return what is wrong with a text, after its subject."""
        if not typed:
            return "is empty"
        if AMBIGUOUS.fullmatch(typed):
            return f"may be {typed.replace(',', '')} or {typed.replace(',', '.')}, so type it with a decimal point"
        if self._number(typed) is not None:
            unit = f" {self._unit}" if self._unit else ""
            return f"is not between {self.textFromValue(self._low)} and {self.textFromValue(self._high)}{unit}"
        return "is not a length, such as 0.532 or 532 nm" if self._unit == "µm" else "is not a number"

    @property
    def _pattern(self) -> str:
        """Matches input, complete or not: a number, and letters after a length."""
        if self._whole:
            return r"[-+]?\d*"
        return r"[-+]?\d*\.?\d*(?:e[-+]?\d*)?" + (r"\s*\D*" if self._unit == "µm" else "")

    def _number(self, text: str) -> float | None:
        """Return the number in a text, in the unit of the editor, or None if there is none."""
        if AMBIGUOUS.fullmatch(self._typed(text)):
            return None
        bare = self._without_suffix(text)
        if self._unit == "µm" and not self._whole:
            return length_um(bare)
        try:
            return float(bare) if re.fullmatch(self._pattern, bare, re.IGNORECASE) else None
        except ValueError:
            return None

    def _without_suffix(self, text: str) -> str:
        return self._typed(text).replace(",", ".")

    def _typed(self, text: str) -> str:
        # the user may have typed a unit before the one that is always shown
        return text.removesuffix(self.suffix()).strip()
